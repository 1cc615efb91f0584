"""The one normal form every question is compiled to: boxes of inputs and linear rows over inputs and outputs."""

from __future__ import annotations

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
class Row:
    """``sum x + sum y + constant > 0`` (``strict``) or ``>= 0``; indices are into the flat input and output."""

    x: Terms
    y: Terms
    constant: Fraction
    strict: bool = True


@dataclass(frozen=True)
class Case:
    """For every input of ``box``, at least one row of ``any_of`` is true."""

    box: Box
    any_of: tuple[Row, ...]


@dataclass(frozen=True)
class Problem:
    """The property holds iff every case holds. No case: the property holds vacuously."""

    graph: Graph
    cases: tuple[Case, ...]
