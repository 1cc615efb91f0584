"""Inputs that are written into a layer of a model: an adversary that controls part of the computation itself.

Latent adversaries are the relaxed adversaries of P. Christiano, *Training robust corrigibility* (2019), and
E. Hubinger, *Relaxed adversarial training for inner alignment* (2019); S. Casper et al. 2024, arXiv:2403.05030, train
against them. Here they are quantified over: what is proved holds for every state of a stated set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from specs.compose import internal_tensor
from specs.language.networks import Module
from specs.language.schema.inputs import Input
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.sets import InputSet


@dataclass(frozen=True)
class Injection:
    """Input number ``input`` is added to what the node ``at`` of ``model`` holds, or stands in its place.

    ``layer`` is what the specification calls the node. Of an abstraction the layer is the output, and whatever is given
    the input of the abstraction by a call is given this instead.
    """

    input: int
    model: str
    at: str
    layer: str
    mode: Literal["add", "replace"]
    is_abstraction: bool = False


@dataclass(frozen=True)
class State:
    """Slots of what a layer holds in one call ``after`` something is written into it."""

    after: tuple[int, ...]


def injections(
    source: Source, sections: Mapping[str, Input], modules: Sequence[Module], inputs: Sequence[InputSet]
) -> tuple[Injection, ...]:
    """Those of the sections; faults go to ``source``."""
    by_name = {module.name: module for module in modules}
    found: list[Injection] = []
    for k, one in enumerate(inputs):
        inject = sections[one.name].inject
        if inject is None:
            continue
        path = ("inputs", one.name, "inject")
        module = by_name.get(inject.model)
        if module is None:
            source.fault(f"there is no model {inject.model!r}{did_you_mean(inject.model, by_name)}", *path, "model")
            continue
        if module.is_sealed:
            told = f"{module.name} is the network of a chain, whose error is known of it as it is"
            source.fault(f"{told}: nothing can be written into it", *path, "model")
            continue
        try:
            node = module.taps.get(inject.at) or internal_tensor(module.graph, inject.at)
        except ValueError as error:
            hint = did_you_mean(inject.at, module.taps) if module.taps else ""
            source.fault(f"{module.name} {error}{hint}", *path, "at")
            continue
        shape = module.graph.by_name[node].shape
        if prod(shape) != one.size:
            source.fault(
                f"layer {inject.at} of {module.name} holds {prod(shape)} values (shape {list(shape)}), "
                f"but {one.name} has {one.size}",
                *("inputs", one.name, "shape"),
            )
        if one.is_normalized:
            source.fault("what is written into a layer has no units of its own; remove normalize", *path[:2])
        if any((other.model, other.at) == (module.name, node) for other in found):
            source.fault(f"another input is written into layer {inject.at} of {module.name}", *path, "at")
        found.append(Injection(k, module.name, node, inject.at, inject.mode))
    return tuple(found)
