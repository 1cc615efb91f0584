"""A simplex method in exact rationals, with the explanations that make it a theory solver.

Feasibility is the method of Dutertre and de Moura (A Fast Linear-Arithmetic Solver for DPLL(T), CAV 2006), which is
also the one inside Reluplex (Katz et al. 2017, arXiv:1702.01135); a primal phase with the same pivots minimises.
Bland's rule everywhere, so both end. For small problems: a pivot costs rows times columns fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relaxations.smt.encode import ZERO, Vector, zeros
from relaxations.smt.limits import Deadline

Bound = Fraction | None  # None: there is none


@dataclass(frozen=True)
class Problem:
    """Points of the box [``lower``, ``upper``], where sides may be missing, with ``forms @ v + constants >= 0``."""

    forms: Sequence[Vector]
    constants: Sequence[Fraction]
    lower: Sequence[Bound]
    upper: Sequence[Bound]


@dataclass(frozen=True)
class Optimum:
    """A point where the objective is least, or any point if there was none, and multipliers of the constraints.

    The objective minus the multipliers times the constraints has its least value over the box at ``value``.
    """

    value: Fraction
    point: Vector
    multipliers: Vector


@dataclass(frozen=True)
class Conflict:
    """Multipliers >= 0 of the constraints whose sum is negative everywhere on the box: no point meets them all.

    If some are strict, the sum may also be at most 0, where a strict one takes part.
    """

    multipliers: Vector


def minimise(problem: Problem, objective: Vector | None = None, deadline: Deadline | None = None) -> Optimum | Conflict:
    """The exact optimum, or why there is no point; raises ``OutOfTime`` and, if it is unbounded, ``ValueError``."""
    tableau = _Tableau(problem, deadline or Deadline.never())
    blocked = tableau.feasible()
    if blocked is not None:
        return Conflict(blocked)
    point = tableau.point
    if objective is None:
        return Optimum(ZERO, point, zeros(len(problem.forms)))
    multipliers = tableau.minimise(objective)
    point = tableau.point
    return Optimum(objective @ point if len(point) else ZERO, point, multipliers)


def satisfy(problem: Problem, strict: Sequence[bool], deadline: Deadline | None = None) -> Optimum | Conflict:
    """A point that meets the constraints, those that are ``strict`` with a value above 0.

    The least of the strict values, up to 1, is made as large as possible. If that is 0 the multipliers of the optimum
    prove it: some strict constraint has one, and the sum is nowhere on the box positive.
    """
    if not any(strict):
        return minimise(problem, deadline=deadline)
    forms = [np.append(form, -Fraction(flag)) for form, flag in zip(problem.forms, strict)]
    widened = Problem(forms, problem.constants, [*problem.lower, ZERO], [*problem.upper, Fraction(1)])
    slack = zeros(len(problem.lower) + 1)
    slack[-1] = Fraction(-1)
    found = minimise(widened, slack, deadline)
    if isinstance(found, Conflict) or found.value == 0:
        return Conflict(found.multipliers)
    return Optimum(ZERO, found.point[:-1], zeros(len(forms)))


class _Tableau:
    """Basic variables as combinations of the others; the problem's variables come first, one per constraint after."""

    def __init__(self, problem: Problem, deadline: Deadline) -> None:
        self.size, self.deadline = len(problem.lower), deadline
        self.lower: list[Bound] = [*problem.lower, *(-constant for constant in problem.constants)]
        self.upper: list[Bound] = [*problem.upper, *[None] * len(problem.forms)]
        self.rows: dict[int, dict[int, Fraction]] = {
            self.size + k: {j: c for j, c in enumerate(form) if c} for k, form in enumerate(problem.forms)
        }
        self.values: list[Fraction] = []
        for low, up in zip(problem.lower, problem.upper):
            self.values.append(low if low is not None else up if up is not None else ZERO)
        for row in list(self.rows.values()):
            self.values.append(sum((c * self.values[j] for j, c in row.items()), ZERO))

    @property
    def point(self) -> Vector:
        found = zeros(self.size)
        found[:] = self.values[: self.size]
        return found

    def feasible(self) -> Vector | None:
        """Move into the bounds; the multipliers of a conflict if that is impossible."""
        if any(l is not None and u is not None and l > u for l, u in zip(self.lower, self.upper)):
            raise ValueError("the box is empty")
        while True:
            self.deadline.check()
            out = min((i for i in self.rows if self._side(i)), default=None)
            if out is None:
                return None
            side, row = self._side(out), self.rows[out]
            enter = min((j for j, c in row.items() if self._can_move(j, side * (1 if c > 0 else -1))), default=None)
            if enter is None:
                return self._explanation(row, out, side)
            target = self.lower[out] if side > 0 else self.upper[out]
            assert target is not None
            self._move(enter, (target - self.values[out]) / row[enter])
            self._pivot(out, enter)

    def minimise(self, objective: Vector) -> Vector:
        """Least value from a point within the bounds; the multipliers of the constraints at it."""
        while True:
            self.deadline.check()
            costs = self._costs(objective)
            enter = min((j for j, d in costs.items() if self._can_move(j, -1 if d > 0 else 1)), default=None)
            if enter is None:
                found = zeros(len(self.values) - self.size)
                for j, d in costs.items():
                    if j >= self.size:
                        found[j - self.size] = d
                return found
            self._step(enter, -1 if costs[enter] > 0 else 1)

    def _step(self, enter: int, direction: int) -> None:
        """Move a variable until something blocks: a basic variable, which then leaves, or its own other bound."""
        limit, out = self._room(enter, direction), None
        for i in sorted(self.rows):
            c = self.rows[i].get(enter)
            if c is None:
                continue
            room = self._room(i, direction if c > 0 else -direction)
            if room is not None and (limit is None or room / abs(c) < limit):
                limit, out = room / abs(c), i
        if limit is None:
            raise ValueError("the objective has no least value")
        self._move(enter, direction * limit)
        if out is not None:
            self._pivot(out, enter)

    def _costs(self, objective: Vector) -> dict[int, Fraction]:
        costs: dict[int, Fraction] = {}
        for j, weight in enumerate(objective):
            if weight:
                for i, c in (self.rows[j] if j in self.rows else {j: Fraction(1)}).items():
                    costs[i] = costs.get(i, ZERO) + weight * c
        return {j: d for j, d in costs.items() if d}

    def _side(self, i: int) -> int:
        """1 below the lower bound, -1 above the upper one, 0 between them."""
        low, up = self.lower[i], self.upper[i]
        if low is not None and self.values[i] < low:
            return 1
        return -1 if up is not None and self.values[i] > up else 0

    def _room(self, i: int, direction: int) -> Bound:
        bound = self.upper[i] if direction > 0 else self.lower[i]
        return None if bound is None else abs(bound - self.values[i])

    def _can_move(self, j: int, direction: int) -> bool:
        return self._room(j, direction) != 0

    def _explanation(self, row: dict[int, Fraction], out: int, side: int) -> Vector:
        """The constraints that hold the row where it is; those of variables alone are the box's."""
        found = zeros(len(self.values) - self.size)
        for j, c in [(out, Fraction(1)), *((j, -c * side) for j, c in row.items())]:
            if j >= self.size:
                found[j - self.size] = c
        return found

    def _move(self, j: int, by: Fraction) -> None:
        self.values[j] += by
        for i, row in self.rows.items():
            if j in row:
                self.values[i] += row[j] * by

    def _pivot(self, out: int, enter: int) -> None:
        row = self.rows.pop(out)
        pivot = row.pop(enter)
        solved = {j: -c / pivot for j, c in row.items()}
        solved[out] = 1 / pivot
        for other in self.rows.values():
            factor = other.pop(enter, None)
            if factor is None:
                continue
            for j, c in solved.items():
                value = other.get(j, ZERO) + factor * c
                if value:
                    other[j] = value
                else:
                    other.pop(j, None)
        self.rows[enter] = solved
