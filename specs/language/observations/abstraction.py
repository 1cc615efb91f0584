"""``abstract_by``: networks called on an input are given what a small network makes of it, or more than that.

P. Christiano's *abstracting observations*: an adversary that chooses the few numbers a system is shown can be searched
and refuted where one that chooses the whole input cannot. The numbers are an input of their own, within bounds on all
that the abstraction can give; that these are bounds is a requirement of its own, as for what a layer can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.errors import ModelError
from specs.graph import Graph
from specs.hulls import Hull, HullRow
from specs.language.inputs.injection import Injection
from specs.language.networks import Module
from specs.language.observations.channels import Hidden
from specs.language.schema.channels import AbstractBy, OutcomeBox
from specs.language.schema.inputs import Input, Natural
from specs.language.text.source import Source
from specs.sets import InputSet

NAME = "abstraction"


@dataclass(frozen=True)
class Abstraction:
    """Of one input: what is ``hidden``, how it is ``written``, its ``section``, and the bounds that are ``given``."""

    module: Module
    hidden: Hidden
    written: Injection
    section: Input
    given: Hull | None

    @property
    def graph(self) -> Graph:
        return self.module.graph

    @property
    def name(self) -> str:
        return self.hidden.input.name


def read_abstraction(
    source: Source,
    sections: Mapping[str, Input],
    inputs: Sequence[InputSet],
    number: int,
    folder: Path,
    load: Callable[..., Graph],
) -> Abstraction | None:
    """The one of the sections that has one; its input is to be ``number``. Faults go to ``source``."""
    asked = [(k, one) for k, one in enumerate(inputs) if sections[one.name].abstract_by is not None]
    for _, one in asked[1:]:
        source.fault("only one input can be abstracted", "inputs", one.name, "abstract_by")
    if not asked:
        return None
    k, one = asked[0]
    section = sections[one.name].abstract_by
    assert section is not None
    path = ("inputs", one.name, "abstract_by")
    if one.role:
        source.fault("what is written into a layer is not abstracted", *path)
    file = folder / section.network
    try:
        graph = load(file)
    except (ModelError, OSError, ValueError) as error:
        source.fault(str(error), *path, "network")
        return None
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.input_size != one.size:
        source.fault(
            f"has {len(graph.inputs)} inputs of {graph.input_size} values and {len(graph.outputs)} outputs; an "
            f"abstraction of {one.name} takes its {one.size} values and gives one tensor",
            *(*path, "network"),
        )
        return None
    seen = _seen(one, section, graph)
    written = Injection(number, f"{NAME} of {one.name}", graph.outputs[0], "output", "replace", is_abstraction=True)
    given = _hull(source, section.box, graph.output_size, (*path, "box")) if section.box is not None else None
    kept = Input(shape=tuple(Fraction(side) for side in seen.shape), natural=Natural(reachable=section.hull))
    return Abstraction(Module(f"of {one.name}", NAME, file, graph), Hidden("abstract", k, seen), written, kept, given)


def _seen(one: InputSet, section: AbstractBy, graph: Graph) -> InputSet:
    """What stands in place of the input; its bounds are those of the natural set."""
    size, shape = graph.output_size, graph.by_name[graph.outputs[0]].shape
    zero, unit = (Fraction(0),) * size, (Fraction(1),) * size
    bounds = "the bounds given" if section.box is not None else f"{section.hull} bounds"
    role = f"anything within {bounds} on what {section.network} makes of {one.name}, in place of {one.name}"
    words = "within these bounds"
    return InputSet(
        f"{one.name}@{NAME}", shape, (), (), zero, unit, (None,) * size, (None,) * size, words=words, role=role
    )


def _hull(source: Source, box: OutcomeBox, size: int, path: tuple[str, ...]) -> Hull | None:
    sides = []
    for key, value in (("lo", box.lo), ("hi", box.hi)):
        flat = list(_flatten(value)) if isinstance(value, tuple) else [value] * size
        if len(flat) != size:
            source.fault(f"has {len(flat)} numbers for the {size} values of the abstraction", *path, key)
            return None
        sides.append(flat)
    if any(low > up for low, up in zip(*sides)):
        source.fault("is empty: lo is above hi", *path)
        return None
    one = Fraction(1)
    rows = [row for i, (low, up) in enumerate(zip(*sides)) for row in (((i, one), up), ((i, -one), -low))]
    return Hull("box", size, tuple(HullRow((term,), bound, 0) for term, bound in rows), 0)


def _flatten(value: Any) -> list[Fraction]:
    return [part for item in value for part in _flatten(item)] if isinstance(value, tuple) else [value]
