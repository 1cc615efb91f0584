"""HiGHS, the only solver of linear and mixed-integer programs here; no other file knows its interface.

Source: Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5 (dual simplex).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from relaxations.solvers import required

IPM_NONZEROS = 10_000  # a first solve with more coefficients goes to the interior-point method, twice as fast there

# One thread as everywhere. No presolve: it finds nothing in these programs, and does not look at the clock while it
# searches. Mixed-integer optima to the last digits, with binaries that are nearly whole.
OPTIONS = {
    "threads": 1,
    "presolve": "off",
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
}


@dataclass(frozen=True)
class Program:
    """Minimise ``cost @ v + offset`` where ``lower <= v <= upper`` and ``row_lower <= matrix @ v <= row_upper``.

    ``matrix`` is a scipy.sparse CSR matrix (m, n). The columns where ``integral`` is True are whole numbers.
    """

    matrix: Any
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    cost: np.ndarray
    offset: float = 0.0
    integral: np.ndarray | None = None


@dataclass(frozen=True)
class Answer:
    """What HiGHS says; nothing of it is proved.

    ``values`` (n,) is the best point, None if there is none. ``rows`` (m,) are the last dual values of the rows, in an
    ``infeasible`` program a ray of them, None if there are none. ``bound``: by its word no point
    is better. ``finished`` is False where the time ran out.
    """

    finished: bool
    infeasible: bool
    values: np.ndarray | None
    rows: np.ndarray | None
    objective: float
    bound: float


class Solver:
    """One program kept in HiGHS, so that solving it again after a small change starts from the last basis."""

    def __init__(self, program: Program) -> None:
        self._highs = _highspy()
        self.program = program
        self._solver = quiet(self._highs)
        for option, value in OPTIONS.items():
            self._solver.setOptionValue(option, value)
        self._solver.passModel(self._model(program))
        self._is_mip = program.integral is not None and bool(program.integral.any())
        self._large = program.matrix.nnz > IPM_NONZEROS and not self._is_mip
        self._fresh = True

    def limit(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Change the bounds of some columns; a dual simplex then goes on from where it was."""
        if len(columns):
            self._solver.changeColsBounds(len(columns), np.asarray(columns, dtype=np.int32), lower, upper)

    def minimise(self, cost: np.ndarray, offset: float = 0.0) -> None:
        """Change the objective to ``cost @ v + offset``."""
        self._solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
        self._solver.changeObjectiveOffset(offset)

    def start_from(self, values: np.ndarray) -> None:
        """A point (n,) that a mixed-integer search may begin with."""
        self._solver.setSolution(len(values), np.arange(len(values), dtype=np.int32), values)

    def solve(self, seconds: float = np.inf) -> Answer:
        """Simplex, but for the first solve of a large program the interior-point method; at most about ``seconds``."""
        solver, status = self._solver, self._highs.HighsModelStatus
        by_ipm = self._large and self._fresh
        if not self._is_mip:
            solver.setOptionValue("solver", "ipm" if by_ipm else "simplex")
        self._fresh = False
        # Its clock goes on from one run to the next.
        solver.setOptionValue("time_limit", float(min(solver.getRunTime() + max(seconds, 0.0), 1e9)))
        solver.run()
        said = solver.getModelStatus()
        if said == status.kInfeasible:
            if by_ipm:  # which has no ray to show for it
                solver.clearSolver()
                return self.solve(seconds)
            _, exists, ray = solver.getDualRay()
            return Answer(True, True, None, np.array(ray) if exists else None, np.inf, np.inf)
        found, info = solver.getSolution(), solver.getInfo()
        finished = said == status.kOptimal
        values = np.array(found.col_value) if found.value_valid and info.primal_solution_status == 2 else None
        rows = np.array(found.row_dual) if found.dual_valid else None
        objective = float(info.objective_function_value) if values is not None else np.inf
        if self._is_mip:
            searched = finished or said == status.kTimeLimit  # after an error of the solver its bound says 0
            bound = float(info.mip_dual_bound) if searched else -np.inf
            return Answer(finished, False, values, None, objective, bound)
        return Answer(finished, False, values, rows, objective, objective if finished else -np.inf)

    def _model(self, program: Program) -> Any:
        highs = self._highs
        model, matrix = highs.HighsLp(), program.matrix.tocsr()
        model.num_row_, model.num_col_ = matrix.shape
        model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, program.lower, program.upper
        model.row_lower_, model.row_upper_, model.offset_ = program.row_lower, program.row_upper, program.offset
        model.a_matrix_.format_ = highs.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        if program.integral is not None:
            kinds = highs.HighsVarType
            model.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in program.integral]
        return model


def quiet(highspy: ModuleType) -> Any:
    """A solver that prints nothing, its banner neither: the first thing that could print is switching callbacks on."""

    class Quiet(highspy.Highs):  # type: ignore[misc, name-defined]
        def enableCallbacks(self) -> None:
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

    solver = Quiet()
    solver.setOptionValue("output_flag", False)
    return solver


def _highspy() -> ModuleType:
    return required("highspy", "linear programs need HiGHS")
