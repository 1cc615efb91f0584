"""From points of a problem that allows more than is meant to points that are meant.

A relaxed set has points that no input causes. A violation there is a relaxed attack, and a hint where to look for a
real one: what is given is rounded to levels again, in the nearest way and in others, one element after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from specs.joint import JointSet
from specs.language.observations.levels import Levels
from specs.sets import InputSet

Point = tuple[Fraction, ...]


@dataclass(frozen=True)
class Rounded:
    """Set number ``seen`` of a requirement is set number ``of`` rounded to ``levels``."""

    of: int
    seen: int
    levels: tuple[Levels, ...]


@dataclass(frozen=True)
class Meant:
    """``holds(point)`` tells whether a point of a problem over ``inputs`` is one that is meant."""

    inputs: InputSet | JointSet
    rounding: tuple[Rounded, ...]
    holds: Callable[[Sequence[Fraction]], bool]

    def around(self, point: Sequence[Fraction], seed: int, count: int) -> Iterator[Point]:
        """Points that are meant near one that may not be: the nearest, then some rounded at random.

        What lies between two levels goes to one of both, more often to the nearer one.
        """
        rng = np.random.default_rng(seed)
        size = sum(len(one.levels) for one in self.rounding)
        for number in range(count + 1):
            found = self._at(point, rng.random(size).tolist() if number else [0.5] * size)
            if self.holds(found):
                yield found

    def beside(self, point: Sequence[Fraction], seed: int) -> Iterator[Point]:
        """Points that differ from one that is meant in one element's level, those next to it, in a random order."""
        rng = np.random.default_rng(seed)
        moves = [
            (k, e, step) for k, one in enumerate(self.rounding) for e in range(len(one.levels)) for step in (-1, 1)
        ]
        for k, e, step in (moves[i] for i in rng.permutation(len(moves))):
            one = self.rounding[k]
            place, levels = self._place(one.seen, e), one.levels[e]
            raw = self._raw(one.seen, e, point[place])
            number = levels.number(raw) + step
            if 0 <= number < levels.count:
                found = self._with(point, {(k, e): number})
                if self.holds(found):
                    yield found

    def _at(self, point: Sequence[Fraction], chances: Sequence[float]) -> Point:
        numbers, start = {}, 0
        for k, one in enumerate(self.rounding):
            for e, (levels, chance) in enumerate(zip(one.levels, chances[start:])):
                raw = self._raw(one.seen, e, point[self._place(one.seen, e)])
                share = (raw - levels.low) / levels.step if levels.step else Fraction(0)
                numbers[k, e] = min(max(floor(share + Fraction(chance)), 0), levels.count - 1)
            start += len(one.levels)
        return self._with(point, numbers)

    def _with(self, point: Sequence[Fraction], numbers: dict[tuple[int, int], int]) -> Point:
        """The point with these levels, and inputs that are rounded to them."""
        found = list(point)
        for (k, e), number in numbers.items():
            one = self.rounding[k]
            given, levels = self._sets[one.of], one.levels[e]
            value = levels.nearest_value(number, given.lower[e], given.upper[e])
            for part, raw in ((one.seen, levels.level(number)), (one.of, value)):
                own = self._sets[part]
                found[self._place(part, e)] = (raw - own.mean[e]) / own.scale[e]
        return tuple(found)

    @property
    def _sets(self) -> tuple[InputSet, ...]:
        return self.inputs.sets if isinstance(self.inputs, JointSet) else (self.inputs,)

    def _place(self, part: int, e: int) -> int:
        return self.inputs.places[part][e] if isinstance(self.inputs, JointSet) else e

    def _raw(self, part: int, e: int, value: Fraction) -> Fraction:
        one = self._sets[part]
        return one.mean[e] + one.scale[e] * value
