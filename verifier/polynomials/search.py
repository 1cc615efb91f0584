"""Looking for a point in one of a problem's cases: local search from many starting points, judged exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from specs.polynomial import Polynomial
from specs.polynomial_problem import PolynomialCase, PolynomialProblem

SCREENED = 200  # random points for each local search
STEPS = 200  # of one local search
ROUNDINGS = (1, 2, 4, 8, 10, 16, 64, 100, 1000)  # denominators tried on the coordinates of a point


@dataclass(frozen=True)
class Found:
    """A point of the box that is in case ``case``, in exact arithmetic."""

    case: int
    point: tuple[Fraction, ...]


class Numeric:
    """A polynomial's values and gradients in floats, its coefficients scaled to a sum of 1."""

    def __init__(self, p: Polynomial, size: int) -> None:
        unit = float(p.norm) or 1.0
        self.values = np.array([float(c) / unit for c in p.terms.values()])
        self.powers = np.zeros((len(p.terms), size), dtype=int)
        for row, monomial in enumerate(p.terms):
            for variable, power in monomial:
                self.powers[row, variable] = power

    def __call__(self, x: np.ndarray) -> float:
        return float(self.values @ np.prod(x**self.powers, axis=1))

    def at_all(self, x: np.ndarray) -> np.ndarray:
        """Values (B,) at many points (B, size)."""
        products = np.ones((len(x), len(self.values)))
        for k in range(x.shape[1]):
            powers = self.powers[:, k]
            if powers.any():
                products *= x[:, k, None] ** powers
        return products @ self.values

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """The derivatives (size,)."""
        found = np.zeros(len(x))
        for k in range(len(x)):
            lowered = self.powers.copy()
            lowered[:, k] = np.maximum(lowered[:, k] - 1, 0)
            found[k] = self.values * self.powers[:, k] @ np.prod(x**lowered, axis=1)
        return found


def search(
    problem: PolynomialProblem,
    rng: np.random.Generator,
    starts: int,
    deadline: float,
    first: Sequence[np.ndarray] = (),
) -> Found | None:
    """A point in a case, or None when none was found.

    Local searches start at the points ``first``, then at the best of many random points and at a few of the others,
    ``starts`` in all.
    """
    low, up = (np.array([float(side) for side in sides]) for sides in (problem.lower, problem.upper))
    for number, case in enumerate(problem.cases):
        climb = _climber(case, low, up)
        drawn = rng.uniform(low, up, (SCREENED * starts, len(low)))
        order = np.argsort(-_scores(case, drawn), kind="stable")
        best = starts - starts // 3
        for start in [*first, *drawn[order[:best]], *rng.permutation(drawn)[: starts // 3]]:
            if time.monotonic() > deadline:
                return None
            found = _exact(problem, number, climb(np.clip(start, low, up)))
            if found is not None:
                return found
    return None


def _scores(case: PolynomialCase, x: np.ndarray) -> np.ndarray:
    """How far points (B, n) are from being in a case: the least of all inequalities and of minus all equations."""
    size = x.shape[1]
    parts = [Numeric(p, size).at_all(x) for p in (*case.strict, *case.weak)]
    parts += [-np.abs(Numeric(p, size).at_all(x)) for p in case.zero]
    return np.min(parts, axis=0) if parts else np.zeros(len(x))


def _climber(case: PolynomialCase, low: np.ndarray, up: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Maximises the least of all inequalities, the equations held, by sequential quadratic programming."""
    from scipy.optimize import minimize

    size = len(low)
    above = [Numeric(p, size) for p in (*case.strict, *case.weak)]
    equal = [Numeric(p, size) for p in case.zero]

    def climb(start: np.ndarray) -> np.ndarray:
        least = min((p(start) for p in above), default=0.0)
        constraints: list[dict[str, Any]] = [
            {"type": "ineq", "fun": lambda v, p=p: p(v[:-1]) - v[-1], "jac": lambda v, p=p: [*p.gradient(v[:-1]), -1.0]}
            for p in above
        ]
        constraints += [
            {"type": "eq", "fun": lambda v, p=p: p(v[:-1]), "jac": lambda v, p=p: [*p.gradient(v[:-1]), 0.0]}
            for p in equal
        ]
        done = minimize(
            lambda v: -v[-1],
            np.append(start, least),
            jac=lambda v: np.append(np.zeros(size), -1.0),
            bounds=[*zip(low, up), (-1.0, 1.0)],
            constraints=constraints,
            method="SLSQP",
            options={"maxiter": STEPS, "ftol": 1e-13},
        )
        return np.clip(done.x[:-1], low, up)

    return climb


def _exact(problem: PolynomialProblem, number: int, x: np.ndarray) -> Found | None:
    """The point itself or one close to it with small denominators, if it is in the case beyond doubt."""
    if not np.isfinite(x).all():
        return None
    itself = tuple(Fraction(float(v)) for v in x)
    candidates = [tuple(Fraction(round(v * d), d) for v in itself) for d in ROUNDINGS] + [itself]
    for point in candidates:
        inside = tuple(min(max(v, low), up) for v, low, up in zip(point, problem.lower, problem.upper))
        if problem.cases[number].contains(inside):
            return Found(number, inside)
    return None
