"""Inputs that stand in place of a layer, in an ellipsoid around data: its points are those of a ball, mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from specs.ellipsoids import EllipsoidSet
from specs.hulls import Ellipsoid
from specs.language.inputs.injection import Injection
from specs.language.inputs.natural import NaturalSet, data_hull
from specs.language.networks import Module
from specs.language.schema.inputs import Gaussian, Input
from specs.language.text.source import Source
from specs.sets import InputSet


def with_ellipsoids(
    source: Source,
    sections: Mapping[str, Input],
    modules: Sequence[Module],
    inputs: tuple[InputSet, ...],
    written: Sequence[Injection],
    folder: Path,
) -> tuple[tuple[InputSet, ...], dict[int, NaturalSet]]:
    """The inputs, those with a gaussian hull as ellipsoids, and their natural sets by injection; faults to ``source``.

    An ellipsoid is a set by itself: it is intersected with no other one, since a case has one ball.
    """
    by_name = {module.name: module for module in modules}
    found, sets = list(inputs), {}
    for number, injection in enumerate(written):
        one = inputs[injection.input]
        section, path = sections[one.name], ("inputs", one.name, "natural")
        natural = section.natural
        if natural is None or not isinstance(natural.hull, Gaussian):
            continue
        if not natural.data or natural.reachable:
            source.fault("a gaussian hull is one of data: give data, and no reachable", *path)
        elif injection.mode == "add":
            source.fault(
                f"a gaussian hull holds what stands in place of a layer: say mode: replace. Where nothing else limits "
                f"{one.name}, the same states are reached; beside a ball, take a hull of another kind",
                *("inputs", one.name, "inject"),
            )
        elif section.box or section.ball or section.points or section.linear or section.normalize:
            source.fault("beside a gaussian hull there are no other sets; conditions may stand under `where`", *path)
        else:
            given = [x for x in inputs if not x.role]
            made = data_hull(source, injection, one, natural, by_name[injection.model], given, folder)
            if made is not None and isinstance(made.hull, Ellipsoid):
                found[injection.input] = EllipsoidSet.within(made.hull, one)
                sets[number] = replace(made, input=found[injection.input])
    return tuple(found), sets
