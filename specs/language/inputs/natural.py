"""``natural``: where a layer has to stay that an adversary writes into.

A hull of data keeps the adversary to states like those seen; what it says of inputs is statistical at best. Bounds on
all that the layer can hold for a set of inputs say more: an adversary that may write every such state finds every
failure that some input causes, so that a proof against it is a proof about the inputs. That the bounds are ones is a
requirement of its own, with a certificate of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import ceil, frexp, isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from specs.graph import Graph
from specs.hulls import Ellipsoid, Hull, HullRow, HullShape, activations, ellipsoid_of, hull_of
from specs.language.expressions.dnf import Atom, Dnf
from specs.language.inputs.dataset import Examples, read_examples
from specs.language.inputs.injection import Injection, State
from specs.language.networks import Module
from specs.language.schema.inputs import Gaussian, Natural
from specs.language.text.source import Source
from specs.problem import Box, Terms
from specs.sets import InputSet

Reach = Callable[[Graph, Sequence[Box], Sequence[Terms]], Sequence[float]]
"""For each direction a number that the outputs of the graph do not pass on any of the boxes, as floats say."""

MOST_PAIRS = 500
GRAIN, SLACK = 256, Fraction(1, 64)
"""Bounds are multiples of about the width / GRAIN, at least SLACK of that from what floats say: a proof needs room.

Floats that differ in their last digits then give the same bounds, all but surely, so that a certificate found on one
machine is about what another one reads.
"""


@dataclass(frozen=True)
class HeldOut:
    """``inside`` of the ``examples`` of a file have a state in the hull; ``built_on``: the hull is of the same file."""

    file: Path
    sha256: str
    inside: int
    examples: int
    built_on: bool


@dataclass(frozen=True)
class NaturalSet:
    """``hull`` of the layer that input ``input`` is written into; ``file`` is that of the data, if there is some.

    ``proved_by`` is the requirement that says of a reachable set that it is one, ``held_out`` how much of other data is
    natural.
    """

    injection: Injection
    input: InputSet
    hull: Hull | Ellipsoid
    file: Path | None
    text: str
    proved_by: str = ""
    held_out: HeldOut | None = None

    def atoms(self, places: Sequence[int], of_outputs: bool) -> tuple[Atom, ...]:
        """The rows, with the layer's elements at ``places`` among the outputs, or else among the inputs."""
        moved = (tuple(sorted((places[i], c) for i, c in row.terms)) for row in self.hull.rows)
        return tuple(
            Atom(() if of_outputs else terms, terms if of_outputs else (), -row.bound, False, -1)
            for terms, row in zip(moved, self.hull.rows)
        )

    def outside(self, slots: Sequence[int]) -> Dnf:
        """The ways to be outside, of a state in these slots."""
        return tuple((atom.mirrored()._replace(strict=True),) for atom in self.atoms(slots, of_outputs=True))

    def holds(self, state: Sequence[Fraction]) -> bool:
        return self.hull.contains(state)


def data_hull(
    source: Source,
    injection: Injection,
    one: InputSet,
    section: Natural,
    module: Module,
    given: Sequence[InputSet],
    folder: Path,
) -> NaturalSet | None:
    """The hull of what the layer holds on a data file; faults go to ``source``.

    Data is what the model is given. Where one input, of its size, is normalised, it is data of that input in raw units.
    """  # fmt: skip
    path = ("inputs", one.name, "natural")
    try:
        data = read_examples(folder / section.data)
        if section.sha256 and data.sha256 != section.sha256:
            raise ValueError(f"{data.file} has the hash {data.sha256}: it is other data than meant")
        states = _states(data, injection, module, given)
        hull = _hull(section, states)
        held_out = None
        if section.held_out:
            other = read_examples(folder / section.held_out)
            inside = int(hull.inside(_states(other, injection, module, given)).sum())
            held_out = HeldOut(other.file, other.sha256, inside, len(other.inputs), other.sha256 == data.sha256)
    except ValueError as error:
        source.fault(str(error), *path)
        return None
    if isinstance(hull, Hull) and any(low > up for low, up in hull.bounds):
        source.fault(f"the hull is empty: min_support {section.min_support} leaves nothing of some activation", *path)
        return None
    size = f"{len(hull.rows)} rows" if isinstance(hull, Hull) else f"{hull.held} of them inside"
    text = (
        f"{one.name} keeps {injection.layer} of {injection.model} in the {hull.kind} hull of {data.file.name} "
        f"({hull.points} examples, {size}, sha256:{data.sha256})"
    )
    return NaturalSet(injection, one, hull, data.file, text, held_out=held_out)


def _hull(section: Natural, states: NDArray[np.float64]) -> Hull | Ellipsoid:
    if isinstance(section.hull, Gaussian):
        if (section.min_support, section.margin, section.pairs, section.directions) != (1, 0, None, None):
            raise ValueError("a gaussian hull has a share of the data in it, and no other options")
        return ellipsoid_of(states, section.hull.gaussian)
    return hull_of(
        states, HullShape(section.hull, section.min_support, section.margin, section.pairs, section.directions)
    )


def _states(data: Examples, injection: Injection, module: Module, given: Sequence[InputSet]) -> NDArray[np.float64]:
    """What the layer holds on the examples."""
    fitting = [x for x in given if x.size == module.graph.input_size and x.is_normalized]
    if len(fitting) > 1:
        raise ValueError(f"{' and '.join(x.name for x in fitting)} are normalised: of which is the data?")
    inputs = data.inputs
    if fitting and inputs.shape[1] == fitting[0].size:
        mean, scale = (np.array([float(v) for v in part]) for part in (fitting[0].mean, fitting[0].scale))
        inputs = (inputs - mean) / scale
    return activations(module.graph, inputs, [injection.at]).values[injection.at]


def reachable_hull(
    kind: str, injection: Injection, one: InputSet, graph: Graph, boxes: Sequence[Box], reach: Reach
) -> NaturalSet:
    """What the layer, the output of ``graph``, holds on the boxes, rounded outward.

    Raises ``ValueError`` where bounds are not finite, or where an octagon has too many rows.
    """
    size = graph.output_size
    directions = list(_directions(kind, size))
    if len(directions) > 2 * size + 4 * MOST_PAIRS:
        raise ValueError(f"an octagon of {size} values has {len(directions):,} rows; give a box")
    found = reach(graph, boxes, directions)
    if not all(map(isfinite, found)):
        raise ValueError("there are no finite bounds on what the layer holds")
    bounds = dict(zip(directions, map(Fraction, found)))
    largest = max(map(abs, bounds.values()))
    rows = []
    for direction, bound in bounds.items():
        width = bound + bounds[tuple((i, -c) for i, c in direction)]
        scale = max(width, abs(bound) / 64, largest / 2**12, Fraction(1, 2**20))  # what rounding is small against
        grain = Fraction(2) ** frexp(float(scale))[1] / GRAIN
        rows.append(HullRow(direction, grain * ceil(bound / grain + SLACK), 0))
    hull = Hull(kind, size, tuple(rows), 0)
    return claimed_hull(injection, one, hull)


def claimed_hull(injection: Injection, one: InputSet, hull: Hull) -> NaturalSet:
    """The natural set of bounds that have to be proved."""
    text = f"{one.name} keeps {injection.layer} of {injection.model} within {hull.kind} bounds on all it can hold"
    return NaturalSet(injection, one, hull, None, text, proved_by=f"{one.name.replace('@', '-')}-reachable")


def _directions(kind: str, size: int) -> Iterator[Terms]:
    """Directions of the rows, opposite ones after each other."""
    one = Fraction(1)
    for i in range(size):
        yield ((i, one),)
        yield ((i, -one),)
    for i, j in combinations(range(size), 2) if kind == "octagon" else ():
        for sign in (one, -one):
            yield ((i, one), (j, sign))
            yield ((i, -one), (j, -sign))


def covers_all(natural: NaturalSet, states: Sequence[State], where: Sequence[object]) -> bool:
    """Whether the adversary of a requirement finds every failure that some input causes, if the hull is reachable.

    It has to be free to write, in the only call there is, what the layer holds on that input.
    """
    one = natural.input
    if natural.injection.is_abstraction:  # conditions and requirements read nothing but what it gives
        return bool(natural.proved_by) and len(states) == 1
    if not natural.proved_by or where or len(states) != 1 or one.linear:
        return False
    if natural.injection.mode == "add":
        return one.contains([Fraction(0)] * one.size)
    return one.ball is None and not one.points and not any(bound is not None for bound in (*one.lower, *one.upper))
