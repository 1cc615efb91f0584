"""Points by the names of the inputs that they are of, so that they can be carried from one question to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from specs.joint import JointSet
from specs.sets import InputSet

Inputs = InputSet | JointSet


def places_of(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """By input, which numbers of what the network consumes are its elements."""
    if isinstance(inputs, JointSet):
        return {one.name: own for one, own in zip(inputs.sets, inputs.places)}
    return {inputs.name: tuple(range(inputs.size))}


def named(inputs: Inputs, point: Sequence[Fraction]) -> dict[str, list[Fraction]]:
    """What is consumed of each input."""
    return {name: [point[place] for place in own] for name, own in places_of(inputs).items()}


def point_of(inputs: Inputs, values: Mapping[str, Sequence[Fraction]]) -> list[Fraction] | None:
    """The point with these values; None where there are none of some input."""
    wanted = places_of(inputs)
    if not set(wanted) <= set(values):
        return None
    found = [Fraction(0)] * (inputs.n_inputs if isinstance(inputs, JointSet) else inputs.size)
    for name, own in wanted.items():
        for place, value in zip(own, values[name], strict=True):
            found[place] = Fraction(value)
    return found


def columns(inputs: Inputs, of: Inputs) -> np.ndarray | None:
    """For each number that ``inputs`` consume, where ``of`` has it; None where it does not have all."""
    wanted, known = places_of(inputs), places_of(of)
    if not set(wanted) <= set(known):
        return None
    size = inputs.n_inputs if isinstance(inputs, JointSet) else inputs.size
    found = np.zeros(size, dtype=np.int64)
    for name, own in wanted.items():
        found[list(own)] = known[name]
    return found
