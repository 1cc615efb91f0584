"""The normal form of a polynomial question: sets of which it is to be shown that they are empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.polynomial import Polynomial


@dataclass(frozen=True)
class PolynomialCase:
    """The points of a box at which every ``strict`` is > 0, every ``weak`` is >= 0 and every ``zero`` is = 0."""

    strict: tuple[Polynomial, ...] = ()
    weak: tuple[Polynomial, ...] = ()
    zero: tuple[Polynomial, ...] = ()

    def contains(self, point: Sequence[Fraction]) -> bool:
        """Whether all conditions hold at a point, in exact arithmetic."""
        return (
            all(p.at(point) > 0 for p in self.strict)
            and all(p.at(point) >= 0 for p in self.weak)
            and all(p.at(point) == 0 for p in self.zero)
        )

    @property
    def all(self) -> tuple[Polynomial, ...]:
        return (*self.strict, *self.weak, *self.zero)


@dataclass(frozen=True)
class PolynomialProblem:
    """The property holds if no point of the box [``lower``, ``upper``] (n,) is in any of the cases."""

    variables: tuple[str, ...]
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    cases: tuple[PolynomialCase, ...]

    def __post_init__(self) -> None:
        size = len(self.variables)
        if not len(self.lower) == len(self.upper) == size:
            raise ValueError(f"{len(self.lower)} lower and {len(self.upper)} upper bounds of {size} variables")
        if any(low > up for low, up in zip(self.lower, self.upper)):
            raise ValueError("the box is empty")
        used = frozenset(k for case in self.cases for p in case.all for k in p.variables)
        if used and max(used) >= size:
            raise ValueError(f"variable {max(used)} of {size}")

    def in_box(self, point: Sequence[Fraction]) -> bool:
        return all(low <= x <= up for low, x, up in zip(self.lower, point, self.upper))

    def violated(self, point: Sequence[Fraction]) -> int | None:
        """The first case that a point of the box is in, None if there is none."""
        if not self.in_box(point):
            return None
        return next((k for k, case in enumerate(self.cases) if case.contains(point)), None)
