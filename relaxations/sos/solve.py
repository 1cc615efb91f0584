"""A moment problem solved in floating point: by Clarabel, or by SCS where Clarabel gives up."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relaxations.sos.program import Equation, Program, Solved, Square
from specs.errors import CertifyError
from specs.polynomial import Monomial, Polynomial, multiply

SOLVERS = ("clarabel", "scs")
CLARABEL = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}


class SolverError(CertifyError):
    """A solver that is not installed, or that gave no answer at all."""


def solve(program: Program, seconds: float = np.inf, solver: str = "clarabel") -> Solved | None:
    """Both optima, or None when no solver got anywhere in the time (or there is no optimum).

    Raises ``SolverError`` when cvxpy or the solver is not installed.
    """
    started = time.monotonic()
    order = [solver, *(other for other in SOLVERS if other != solver)]
    for name in order:
        left = seconds - (time.monotonic() - started)
        if left <= 0:
            return None
        found = _Conic(program).solve(name, left, started)
        if found is not None:
            return found
    return None


class _Conic:
    """The program over the vector of all moments, through cvxpy."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.index: dict[Monomial, int] = {}
        self.blocks = [self._block(square) for square in program.squares]
        self.equations = [self._equation(equation) for equation in program.equations]
        self.objectives = [self._row(p) for p in program.objectives]
        # The solver sees objectives with coefficients of at most 1.
        self.unit = max([1e-300, *(abs(v) for row in self.objectives for v in row.values())])
        self.normaliser = self._row(program.normaliser)

    def solve(self, solver: str, seconds: float, started: float) -> Solved | None:
        cp = _cvxpy()
        name = {"clarabel": cp.CLARABEL, "scs": cp.SCS}[solver]
        if name not in cp.installed_solvers():
            raise SolverError(f"the solver {solver} is not installed: pip install {solver}")
        y, top, short = cp.Variable(len(self.index)), cp.Variable(), cp.Variable(nonneg=True)
        cap = self.program.cap
        rows = [top >= self._vector(row) / self.unit @ y for row in self.objectives]
        normal = self._vector(self.normaliser) @ y == (1 if cap is None else 1 - short)
        cones = [self._cone(cp, block, y) for block in self.blocks]
        equal = [self._matrix(len(rows_), cells) @ y == 0 for rows_, cells in self.equations if rows_]
        problem = cp.Problem(
            cp.Minimize(top if cap is None else top + cap / self.unit * short), [*rows, normal, *cones, *equal]
        )
        limits: dict[str, Any] = {}
        if np.isfinite(seconds):
            limits = {"time_limit": seconds} if solver == "clarabel" else {"time_limit_secs": seconds}
        if solver == "clarabel":
            limits |= CLARABEL
        if solver == "scs":
            limits |= {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 50_000}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # whether a solution is accurate is found out here, exactly
                problem.solve(solver=name, **limits)
        except cp.error.SolverError:
            return None
        if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or y.value is None:
            return None
        if any(part.dual_value is None for part in (*rows, *cones, *equal)):
            return None
        duals = iter(equal)
        multipliers = tuple(
            -self.unit * np.atleast_1d(next(duals).dual_value) if rows_ else np.zeros(0) for rows_, _ in self.equations
        )
        moments = {monomial: float(y.value[k]) for monomial, k in self.index.items()}
        grams = tuple(
            _symmetric(cone.dual_value, size) * (self.unit / factor)
            for cone, (size, _, factor) in zip(cones, self.blocks, strict=True)
        )
        weights = np.array([float(row.dual_value) for row in rows])
        finished = problem.status == cp.OPTIMAL
        taken = time.monotonic() - started
        return Solved(self.unit * float(problem.value), weights, grams, multipliers, moments, finished, taken)

    def _number(self, monomial: Monomial) -> int:
        return self.index.setdefault(monomial, len(self.index))

    def _row(self, p: Polynomial) -> dict[int, float]:
        return {self._number(m): float(c) for m, c in p.terms.items()}

    def _block(self, square: Square) -> tuple[int, list[tuple[int, int, float]], float]:
        """Size, cells (position in the column-major matrix, moment, coefficient), and the condition's largest one."""
        size = len(square.basis)
        largest = max((abs(float(c)) for c in square.condition.terms.values()), default=1.0) or 1.0
        terms = [(m, float(c) / largest) for m, c in square.condition.terms.items()]
        cells = []
        for j, right in enumerate(square.basis):
            for i, left in enumerate(square.basis[: j + 1]):
                both = multiply(left, right)
                for monomial, value in terms:
                    number = self._number(multiply(both, monomial))
                    cells.append((j * size + i, number, value))
                    if i != j:
                        cells.append((i * size + j, number, value))
        return size, cells, largest

    def _equation(self, equation: Equation) -> tuple[tuple[Monomial, ...], list[tuple[int, int, float]]]:
        cells = [
            (i, self._number(multiply(m, monomial)), float(value))
            for i, m in enumerate(equation.basis)
            for monomial, value in equation.polynomial.terms.items()
        ]
        return equation.basis, cells

    def _vector(self, row: Mapping[int, float]) -> np.ndarray:
        vector = np.zeros(len(self.index))
        vector[list(row)] = list(row.values())
        return vector

    def _matrix(self, rows: int, cells: Sequence[tuple[int, int, float]]) -> Any:
        from scipy.sparse import csr_matrix

        i, j, values = (np.array(part) for part in zip(*cells))
        return csr_matrix((values, (i, j)), shape=(rows, len(self.index)))

    def _cone(self, cp: Any, block: tuple[int, list[tuple[int, int, float]], float], y: Any) -> Any:
        size, cells, _ = block
        flat = self._matrix(size * size, cells) @ y
        return flat >= 0 if size == 1 else cp.reshape(flat, (size, size), order="F") >> 0


def _symmetric(values: Any, size: int) -> np.ndarray:
    matrix = np.asarray(values, dtype=float).reshape(size, size)
    return (matrix + matrix.T) / 2


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError:
        raise SolverError("sums of squares need cvxpy: pip install cvxpy clarabel scs") from None
    return cvxpy
