"""The triangle program of one query, kept in the solver: solved again for other objectives, and under phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.lp.encoding import Encoded
from relaxations.lp.highs import Answer, Solver
from relaxations.lp.safe_dual import Phases, SafeDual, phases_of, safe_dual
from relaxations.multipliers import Multipliers


@dataclass(frozen=True)
class Solved:
    """``safe`` is what ``dual`` proves under the phases. ``action`` is None where there is none, or none was found."""

    dual: Multipliers | None
    safe: SafeDual
    action: Point | None
    finished: bool

    @property
    def empty(self) -> bool:
        """Whether the dual shows that no action has the phases."""
        return self.safe.value == -np.inf


class PhaseProgram:
    """The triangle relaxation of a query under phases that change; each solve starts from the basis of the last."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.encoded = Encoded.of(query)
        self._solver = Solver(self.encoded.program)
        self._phases = phases_of(query)

    def solve(self, phases: Phases | None = None, seconds: float = np.inf) -> Solved:
        """The adversary's best action under the ``phases`` (none if not given), and a dual that bounds it."""
        phases = phases or phases_of(self.query)
        self._fix(phases)
        answer = self._solver.solve(seconds)
        return self._read(answer, phases, self.encoded.program.cost, None)

    def least(self, row: int, seconds: float = np.inf) -> Solved:
        """The same for one row of the query alone: ``-safe.value`` is a lower bound of it. Free of phases."""
        phases = phases_of(self.query)
        self._fix(phases)
        cost, offset = self.encoded.objective(row)
        self._solver.minimise(cost, offset)
        answer = self._solver.solve(seconds)
        program = self.encoded.program
        self._solver.minimise(program.cost, program.offset)
        return self._read(answer, phases, cost, np.eye(len(self.query.rows.constant))[row])

    def _read(self, answer: Answer, phases: Phases, cost: np.ndarray, weights: np.ndarray | None) -> Solved:
        action = None if answer.values is None else self.encoded.action(answer.values)
        duals = []
        if answer.rows is not None and answer.infeasible:
            none = np.zeros(len(self.query.rows.constant))
            duals = [self.encoded.multipliers(sign * answer.rows, 0 * cost, none) for sign in (1.0, -1.0)]
        elif answer.rows is not None:
            weights = self.encoded.weights(answer.rows) if weights is None else weights
            duals = [self.encoded.multipliers(answer.rows, cost, weights)] if weights.any() else []
        judged = [(dual, safe_dual(self.query, dual, phases)) for dual in duals]
        nothing = SafeDual(np.inf, tuple(np.zeros(len(l)) for l, _ in self.query.ranges))
        dual, safe = min(judged, key=lambda pair: pair[1].value, default=(None, nothing))
        return Solved(dual, safe, action, answer.finished)

    def _fix(self, phases: Phases) -> None:
        """Tell the solver which phases have changed."""
        columns = self.encoded.columns
        for k, (old, new) in enumerate(zip(self._phases, phases)):
            free = columns.unstable[k]
            changed = old[free] != new[free]
            phase = new[free][changed]
            zero = np.zeros(len(phase))
            self._solver.limit(columns.outputs[k][free][changed], zero, np.where(phase < 0, 0.0, np.inf))
            self._solver.limit(columns.parts[k][changed], zero, np.where(phase > 0, 0.0, np.inf))
        self._phases = phases
