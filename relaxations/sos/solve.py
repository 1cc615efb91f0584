"""A moment problem solved in floating point: by Clarabel, or by SCS where Clarabel gives up."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from relaxations.sos.matrices import Matrices
from relaxations.sos.program import Program, Solved
from specs.errors import CertifyError

SOLVERS = ("clarabel", "scs")
OPTIONS = {
    "clarabel": {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11},
    "scs": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 20_000},
}
TIME_LIMIT = {"clarabel": "time_limit", "scs": "time_limit_secs"}


class SolverError(CertifyError):
    """A solver that is not installed."""


def solve(program: Program, seconds: float = np.inf, solver: str = "clarabel", fallback: bool = True) -> Solved | None:
    """Both optima, or None when no solver got anywhere in the time (or there is no optimum).

    With ``fallback`` the other solver is tried where the first gives up. Raises ``SolverError`` when cvxpy or the
    solver is not installed.
    """
    started = time.monotonic()
    matrices = Matrices(program)
    for name in (solver, *(other for other in SOLVERS if other != solver and fallback)):
        left = seconds - (time.monotonic() - started)
        if left <= 0:
            return None
        found = _solve(program, matrices, name, left, started)
        if found is not None:
            return found
    return None


def _solve(program: Program, matrices: Matrices, solver: str, seconds: float, started: float) -> Solved | None:
    """One solver's answer, through cvxpy. The solver sees objectives with coefficients of at most 1."""
    cp = _cvxpy()
    name = {"clarabel": cp.CLARABEL, "scs": cp.SCS}[solver]
    if name not in cp.installed_solvers():
        raise SolverError(f"the solver {solver} is not installed: pip install {solver}")
    size, cap = matrices.size, program.cap
    unit = float(np.abs(matrices.objectives).max(initial=0.0)) or 1.0
    y, top, short = cp.Variable(size), cp.Variable(), cp.Variable(nonneg=True)
    rows = [top >= row / unit @ y for row in matrices.objectives]
    normal = matrices.normaliser @ y == (1 if cap is None else 1 - short)
    cones = [
        _cone(cp, cells.sparse(size) @ y, side) for cells, side in zip(matrices.squares, matrices.sides, strict=True)
    ]
    equal = [cells.sparse(size) @ y == 0 for cells in matrices.equations]
    least = cp.Minimize(top if cap is None else top + cap / unit * short)
    problem = cp.Problem(least, [*rows, normal, *cones, *equal])
    limit = {TIME_LIMIT[solver]: seconds} if np.isfinite(seconds) else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether a solution is accurate is found out here, exactly
            problem.solve(solver=name, **OPTIONS[solver], **limit)
    except cp.error.SolverError:
        return None
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or y.value is None:
        return None
    if any(part.dual_value is None for part in (*rows, *cones, *equal)):
        return None
    return Solved(
        value=unit * float(problem.value),
        weights=np.array([float(row.dual_value) for row in rows]),
        grams=tuple(
            _symmetric(cone.dual_value, side) * (unit / scale)
            for cone, side, scale in zip(cones, matrices.sides, matrices.units, strict=True)
        ),
        multipliers=tuple(
            np.atleast_1d(part.dual_value) * (-unit / scale)
            for part, scale in zip(equal, matrices.equation_units, strict=True)
        ),
        moments={monomial: float(y.value[k]) for monomial, k in matrices.index.items()},
        finished=problem.status == cp.OPTIMAL,
        seconds=time.monotonic() - started,
    )


def _cone(cp: Any, flat: Any, side: int) -> Any:
    return flat >= 0 if side == 1 else cp.reshape(flat, (side, side), order="F") >> 0


def _symmetric(values: Any, size: int) -> np.ndarray:
    matrix = np.asarray(values, dtype=float).reshape(size, size)
    return (matrix + matrix.T) / 2


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError:
        raise SolverError("sums of squares need cvxpy: pip install cvxpy clarabel scs") from None
    return cvxpy
