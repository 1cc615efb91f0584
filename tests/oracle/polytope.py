"""Exact linear programming over bounded polytopes: the integer simplex method with Bland's rule."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Affine = Sequence[int]  # [f0, f1, ..., fn] stands for f0 + f1 t1 + ... + fn tn


class Polytope:
    """A non-empty set ``{0 <= t <= width, some affine functions of t >= 0}``; every answer about it is exact.

    Kept as a feasible simplex dictionary: each basic variable is ``row[0] + row[1:] . nonbasic`` over the common
    denominator ``den > 0``. Variables 1..n are the coordinates, later ones the slacks of the constraints. Entries
    stay integers because they are minors of the constraint matrix (Bareiss), so a pivot divides without remainder.
    Minimising moves to another dictionary of the same set.
    """

    def __init__(self, width: Sequence[Fraction]) -> None:
        n = len(width)
        self.den = 1
        self.nonbasic = list(range(1, n + 1))
        self.basic = list(range(n + 1, 2 * n + 1))
        self.rows = []
        for i, w in enumerate(width):
            row = [w.numerator] + [0] * n
            row[i + 1] = -w.denominator
            self.rows.append(row)

    def copy(self) -> Polytope:
        twin = object.__new__(Polytope)
        twin.den, twin.nonbasic, twin.basic = self.den, list(self.nonbasic), list(self.basic)
        twin.rows = list(self.rows)  # rows are replaced by pivots, never changed in place
        return twin

    def cut(self, f: Affine) -> Polytope | None:
        """The part where ``f >= 0``, or None when it is empty."""
        part = self.copy()
        part.rows.append(part._express(f))
        part.basic.append(1 + len(part.nonbasic) + len(part.basic))
        return part if part._restore() else None

    def minimise(self, f: Affine) -> tuple[Fraction, tuple[Fraction, ...]]:
        """Least value of ``f`` and a point where it is taken."""
        self.rows.append(self._express(f))
        while self._descend():
            pass
        return Fraction(self.rows.pop()[0], self.den), self._point()

    def falls_below_zero(self, f: Affine) -> bool:
        """Whether ``f < 0`` somewhere."""
        self.rows.append(self._express(f))
        while self.rows[-1][0] >= 0 and self._descend():
            pass
        return self.rows.pop()[0] < 0

    def _descend(self) -> bool:
        """One pivot towards the least value of the cost in the last row, by Bland's rule; False at the optimum."""
        cost = self.rows[-1]
        entering = min((v for v, c in zip(self.nonbasic, cost[1:]) if c < 0), default=None)
        if entering is None:
            return False
        s = self.nonbasic.index(entering) + 1
        best: tuple[int, int, int, int] | None = None  # the row that reaches zero first, and its ratio over / under
        for i, (row, variable) in enumerate(zip(self.rows, self.basic)):
            if row[s] < 0:
                over, under = row[0], -row[s]
                if best is None or (over * best[3], variable) < (best[2] * under, best[1]):
                    best = i, variable, over, under
        assert best is not None, "the polytope is bounded"
        self._pivot(best[0], s)
        return True

    def _restore(self) -> bool:
        """Pivots to a feasible dictionary: the dual simplex method for the zero cost. False when there is none."""
        while True:
            leaving = min((v for row, v in zip(self.rows, self.basic) if row[0] < 0), default=None)
            if leaving is None:
                return True
            r = self.basic.index(leaving)
            entering = min((v for v, a in zip(self.nonbasic, self.rows[r][1:]) if a > 0), default=None)
            if entering is None:
                return False
            self._pivot(r, self.nonbasic.index(entering) + 1)

    def _express(self, f: Affine) -> list[int]:
        """``f`` over the nonbasic variables, times ``den``."""
        row = [f[0] * self.den] + [0] * len(self.nonbasic)
        for j, variable in enumerate(self.nonbasic, 1):
            if variable < len(f):
                row[j] = f[variable] * self.den
        for basic_row, variable in zip(self.rows, self.basic):
            if variable < len(f) and f[variable]:
                factor = f[variable]
                row = [a + factor * b for a, b in zip(row, basic_row)]
        return row

    def _pivot(self, r: int, s: int) -> None:
        """Exchanges the basic variable of row ``r`` with the nonbasic variable of column ``s``."""
        old, den = self.rows[r], self.den
        pivot = old[s]
        sign = 1 if pivot > 0 else -1
        for i, row in enumerate(self.rows):
            if i != r:
                factor = row[s]
                new = [sign * (pivot * a - factor * b) // den for a, b in zip(row, old)]
                new[s] = sign * factor
                self.rows[i] = new
        swapped = [-sign * b for b in old]
        swapped[s] = sign * den
        self.rows[r] = swapped
        self.den = sign * pivot
        self.basic[r], self.nonbasic[s - 1] = self.nonbasic[s - 1], self.basic[r]

    def _point(self) -> tuple[Fraction, ...]:
        point = [Fraction(0)] * len(self.nonbasic)
        for row, variable in zip(self.rows, self.basic):
            if variable <= len(point):
                point[variable - 1] = Fraction(row[0], self.den)
        return tuple(point)
