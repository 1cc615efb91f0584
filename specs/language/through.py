"""What a network is given, when a channel stands in front of it: the call's argument, replaced and passed through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from specs.graph import ops
from specs.language.channels import Channels, Front, dropped
from specs.language.expression import ExpressionFault
from specs.language.networks import Module
from specs.language.scope import Argument
from specs.language.terms import Linear
from specs.language.vectors import Vectors

Inputs = Callable[[Module, Sequence[Argument], int], list[str]]


def through(
    channels: Channels,
    vectors: Vectors,
    raw: Callable[[int], list[Linear]],
    module: Module,
    arguments: Sequence[Argument],
    column: int,
    inputs: Inputs,
) -> list[str]:
    """One node for each input of ``module``; ``inputs`` makes them of arguments, ``raw(k)`` are those of input ``k``.

    Raises ``ExpressionFault``.
    """
    whole = [_number(channels, raw, one) for one in arguments]
    seen = [k if k is None else channels.seen(module.name, k) for k in whole]
    if channels.rounds(module.name) and whole[:1] == [None]:
        raise ExpressionFault(
            f"what {module.name} is given is rounded or noisy, so it is called on one input as it is, "
            f"and not on {arguments[0].text}",
            column,
        )
    shown = [one if k is None else replace(one, terms=tuple(raw(k))) for one, k in zip(arguments, seen, strict=True)]
    front = channels.fronts.get(module.name)
    if front is None:
        return inputs(module, shown, column)
    entry = module if front.graph is None else replace(module, graph=front.graph)
    (node,) = inputs(entry, shown, column)
    noise = None if whole[0] is None else channels.noise(module.name, whole[0])
    if noise is not None:
        elements = [vectors.variables[place] for place in vectors.coupling.places[noise]]
        added = vectors.composer.reshaped(vectors.picked(elements), vectors.composer.shape(node))
        node = vectors.composer.add(ops.Add(), node, added)
    return [_after(vectors, front, module, node, whole[0], channels, column)]


def _after(
    vectors: Vectors, front: Front, module: Module, node: str, k: int | None, channels: Channels, column: int
) -> str:
    """The node without what is dropped, and behind the front's network."""
    composer = vectors.composer
    if front.dropped:
        units = [vectors.coupling.normalization[place] for place in channels.places[k]] if k is not None else []
        node = dropped(composer, front, node, units, column)
    if front.graph is not None:
        (node,) = composer.inline(front.graph, [node], front.graph.outputs, f"{module.name}.front")
    return composer.reshaped(node, module.graph.by_name[module.graph.inputs[0]].shape)


def _number(channels: Channels, raw: Callable[[int], list[Linear]], argument: Argument) -> int | None:
    """The input that an argument is, as it is."""
    terms = list(argument.terms)
    numbers = [k for k in range(channels.first) if len(channels.places[k]) == len(terms)]
    return next((k for k in numbers if raw(k) == terms), None)
