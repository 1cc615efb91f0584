"""The one normal form every question is compiled to: boxes and balls of inputs, rows over inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.graph import Graph

Terms = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class Box:
    """Closed box of flat inputs, bounds as exact rationals. ``lower[i] <= upper[i]``; equality is allowed."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if len(self.lower) != len(self.upper):
            raise ValueError(f"box has {len(self.lower)} lower and {len(self.upper)} upper bounds")
        empty = [i for i, (lo, up) in enumerate(zip(self.lower, self.upper)) if lo > up]
        if empty:
            raise ValueError(f"box is empty: lower > upper in input(s) {empty[:5]}")


@dataclass(frozen=True)
class Ball:
    """Flat inputs x with ``sum weights[i] |x[i] - center[i]|^norm <= bound``; every weight > 0, ``bound >= 0``.

    All numbers are exact, the norm is 1 or 2. A Euclidean ball in raw units is an ellipsoid in the model's, hence the
    weights; they keep square roots out.
    """

    center: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    bound: Fraction
    norm: int = 2

    def __post_init__(self) -> None:
        if self.norm not in (1, 2):
            raise ValueError(f"ball of the norm {self.norm}; 1 and 2 are known")
        if len(self.center) != len(self.weights):
            raise ValueError(f"ball has {len(self.weights)} weights and {len(self.center)} coordinates of its centre")
        if any(weight <= 0 for weight in self.weights) or self.bound < 0:
            raise ValueError("ball needs weights above 0 and a bound of at least 0")

    def spent(self, x: Sequence[Fraction]) -> Fraction:
        """What is at most ``bound`` in the ball: the weighted powers of the point's differences, added up."""
        if len(x) != len(self.center):
            raise ValueError(f"a point of {len(x)} numbers for a ball of {len(self.center)}")
        parts = (weight * abs(value - c) ** self.norm for weight, value, c in zip(self.weights, x, self.center))
        return sum(parts, Fraction(0))

    def holds(self, x: Sequence[Fraction]) -> bool:
        """Whether the point lies in the ball, its surface included."""
        return self.spent(x) <= self.bound

    def nearest(self, box: Box) -> tuple[Fraction, ...]:
        """The point of the box that is nearest to the centre, in every coordinate."""
        return tuple(min(max(c, low), up) for c, low, up in zip(self.center, box.lower, box.upper, strict=True))

    def meets(self, box: Box) -> bool:
        """Whether ball and box have a point in common."""
        return self.holds(self.nearest(box))


@dataclass(frozen=True)
class Row:
    """``sum x + sum y + constant > 0`` (``strict``) or ``>= 0``; indices are into the flat input and output."""

    x: Terms
    y: Terms
    constant: Fraction
    strict: bool = True


@dataclass(frozen=True)
class Case:
    """For every input of ``box``, and of ``ball`` if there is one, at least one row of ``any_of`` is true."""

    box: Box
    any_of: tuple[Row, ...]
    ball: Ball | None = None


@dataclass(frozen=True)
class Problem:
    """The property holds iff every case holds. No case: the property holds vacuously."""

    graph: Graph
    cases: tuple[Case, ...]
