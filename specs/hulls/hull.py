"""A polyhedron in the space of some activations, given by rows with exact rational numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from specs.problem import Terms

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class HullRow:
    """``sum coefficient * h[index] <= bound`` over flat activations ``h``.

    ``support`` is the number of data points on which the left-hand side is at least as large as the
    ``min_support``-th largest value: how often the data came up to the bound, before ``margin`` moved it outward.
    """

    terms: Terms
    bound: Fraction
    support: int

    def value(self, h: Sequence[Fraction] | Mapping[int, Fraction]) -> Fraction:
        """The left-hand side, exactly."""
        return sum((coefficient * h[index] for index, coefficient in self.terms), Fraction(0))

    def holds(self, h: Sequence[Fraction] | Mapping[int, Fraction]) -> bool:
        return self.value(h) <= self.bound


@dataclass(frozen=True)
class Hull:
    """All ``h`` of ``size`` flat activations for which every row holds; the rows are closed half-spaces.

    ``points`` is the number of data points that it was built from.
    """

    kind: str
    size: int
    rows: tuple[HullRow, ...]
    points: int

    def contains(self, h: Sequence[Fraction | float]) -> bool:
        """Whether ``h`` satisfies every row, in rational arithmetic. Raises ``ValueError`` where the size differs."""
        return not self.violated(h)

    def violated(self, h: Sequence[Fraction | float]) -> list[HullRow]:
        """The rows that do not hold at ``h``, in rational arithmetic."""
        if len(h) != self.size:
            raise ValueError(f"{len(h)} activations for a hull of {self.size}")
        exact = [Fraction(value) for value in h]
        return [row for row in self.rows if not row.holds(exact)]

    def inside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of ``values`` (points, size) is inside: exact, in rationals where float64 leaves doubt."""
        found = np.ones(len(values), dtype=bool)
        for row in self.rows:
            index, coefs = [i for i, _ in row.terms], np.array([float(c) for _, c in row.terms])
            terms = values[:, index] * coefs
            excess = terms.sum(axis=1) - float(row.bound)
            # Twice what n products and n additions can err by; one value against one bound is compared exactly.
            sure = len(index) == 1 and abs(coefs[0]) == 1
            size = np.abs(terms).sum(axis=1) + abs(float(row.bound))
            error = 0.0 if sure else 4 * (len(index) + 1) * EPS * size
            found &= excess <= error
            for k in [] if sure else np.flatnonzero(found & (np.abs(excess) <= error)):
                found[k] = row.holds({i: Fraction(v) for i, v in zip(index, values[k, index].tolist())})
        return found

    @property
    def bounds(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Lower and upper bound of every activation, by the rows about it alone.

        Raises ``ValueError`` where one is not bounded on both sides; hulls that `hull_of` builds are.
        """
        low: dict[int, Fraction] = {}
        up: dict[int, Fraction] = {}
        for row in self.rows:
            if len(row.terms) == 1:
                ((i, c),) = row.terms
                side, value = (up, row.bound / c) if c > 0 else (low, row.bound / c)
                side[i] = value if i not in side else (min if c > 0 else max)(side[i], value)
        if not len(low) == len(up) == self.size:
            raise ValueError("some activation is not bounded by rows about it alone")
        return tuple((low[i], up[i]) for i in range(self.size))
