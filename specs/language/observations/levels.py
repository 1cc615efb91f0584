"""Rounding to levels, exactly: which inputs a level stands for, and what a network can be given for a set of inputs.

Rounding is no piecewise linear function, so it does not become part of a network. What the network is given is an input
of its own that takes levels only, joined with the input it is made of. Either every combination of levels is a case of
the question, or, where there are too many, anything between the lowest and the highest level may be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from specs.language.expressions.dnf import Atom, Dnf

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Levels:
    """``count`` levels from ``low`` to ``up``, evenly spaced, both ends among them; they are one where these agree."""

    low: Fraction
    up: Fraction
    count: int

    @property
    def step(self) -> Fraction:
        return (self.up - self.low) / (self.count - 1)

    def number(self, value: Fraction) -> int:
        """Of the nearest level, of the upper one half way between two; what lies outside goes to the end."""
        if not self.step:
            return 0
        return min(self.count - 1, max(0, floor((value - self.low) / self.step + HALF)))

    def level(self, number: int) -> Fraction:
        return self.low + number * self.step

    def of(self, value: Fraction) -> Fraction:
        """The value rounded."""
        return self.level(self.number(value))

    def border(self, number: int) -> Fraction:
        """The least value that is rounded to this level or a higher one."""
        return self.low + (number - HALF) * self.step

    def numbers(self, low: Fraction | None, up: Fraction | None) -> range:
        """Of the levels that values in an interval are rounded to; ``None`` stands for no bound."""
        return range(0 if low is None else self.number(low), (self._last if up is None else self.number(up)) + 1)

    @property
    def _last(self) -> int:
        return self.count - 1 if self.step else 0

    def cell(self, number: int, among: range) -> tuple[Fraction | None, Fraction | None]:
        """Values from the first (included) to the second (not included) are those of this level, of those ``among``."""
        first = self.border(number) if number > among.start else None
        return first, self.border(number + 1) if number < among.stop - 1 else None

    def nearest_value(self, number: int, low: Fraction | None, up: Fraction | None) -> Fraction:
        """A value in an interval, some of which this level stands for, that is rounded to it; the level if it can be.

        Not the end of what the level stands for, as far as there is a choice: that may be the next one's.
        """
        first, last = self.cell(number, range(self._last + 1))
        least = max((v for v in (first, low) if v is not None), default=self.level(number))
        most = min((v for v in (last, up) if v is not None), default=self.level(number))
        inner = [v for v in (self.level(number), (least + most) / 2, least) if least <= v <= most]
        return next((v for v in inner if self.number(v) == number), self.level(number))


@dataclass(frozen=True)
class Scaled:
    """How an element in raw units depends on what networks consume: ``mean + scale * value``, ``scale`` above 0."""

    mean: Fraction
    scale: Fraction

    def at_least(self, place: int, raw: Fraction) -> Atom:
        return Atom(((place, Fraction(-1)),), (), (raw - self.mean) / self.scale, False, -1)

    def below(self, place: int, raw: Fraction, strict: bool) -> Atom:
        return Atom(((place, Fraction(1)),), (), (self.mean - raw) / self.scale, strict, -1)


def rounded(levels: Levels, scaled: Scaled, x: int, seen: int, low: Fraction | None, up: Fraction | None) -> Dnf:
    """That variable ``seen`` is what variable ``x``, in an interval, is rounded to: one alternative for each level."""
    among = levels.numbers(low, up)
    found = []
    for number in among:
        level = levels.level(number)
        first, last = levels.cell(number, among)
        atoms = [scaled.at_least(seen, level), scaled.below(seen, level, False)]
        atoms += [scaled.at_least(x, first)] if first is not None else []
        atoms += [scaled.below(x, last, True)] if last is not None else []
        found.append(tuple(atoms))
    return tuple(found)


def near(levels: Levels, scaled: Scaled, x: int, seen: int) -> tuple[Dnf, ...]:
    """That both are at most half a step apart, which rounding inside the range never is more."""
    bound = levels.step / 2 / scaled.scale
    one = Fraction(1)
    return tuple(((Atom(tuple(sorted(((x, sign), (seen, -sign)))), (), -bound, False, -1),),) for sign in (one, -one))


def of_points(
    levels: Sequence[Levels],
    scaled: Sequence[Scaled],
    x: Sequence[int],
    seen: Sequence[int],
    points: Sequence[Sequence[Fraction]],
) -> Dnf:
    """That ``seen`` is one of the raw ``points`` rounded, and ``x`` that point."""
    return tuple(
        tuple(
            atom
            for one, unit, i, j, value in zip(levels, scaled, x, seen, point, strict=True)
            for place, raw in ((i, value), (j, one.of(value)))
            for atom in (unit.at_least(place, raw), unit.below(place, raw, False))
        )
        for point in points
    )
