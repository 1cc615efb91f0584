"""What a pseudo-distribution says of itself: its matrices, whether it could be real, and the points it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.sos.basis import monomials
from relaxations.sos.program import Equation, Program, Square
from specs.polynomial import ONE, Monomial, Polynomial, multiply

Moments = Mapping[Monomial, float]
FLAT = 1e-4
"""Singular values below this share of the largest count as 0; solvers leave some 1e-7 of noise in them."""


def expectation(moments: Moments, p: Polynomial) -> float:
    """L(p)."""
    return float(sum(float(value) * moments[m] for m, value in p.terms.items()))


def of_point(t: Sequence[float], wanted: Sequence[Monomial]) -> dict[Monomial, float]:
    """The moments of a real point: evaluation."""
    return {m: float(np.prod([t[variable] ** power for variable, power in m])) for m in wanted}


def support(program: Program) -> tuple[Monomial, ...]:
    """Every monomial whose moment a program speaks of."""
    found: dict[Monomial, None] = {ONE: None}
    for square in program.squares:
        products = {multiply(a, b) for i, a in enumerate(square.basis) for b in square.basis[: i + 1]}
        found |= {multiply(m, n): None for m in products for n in square.condition.terms}
    for equation in program.equations:
        found |= {multiply(m, n): None for m in equation.basis for n in equation.polynomial.terms}
    for p in (*program.objectives, program.normaliser):
        found |= dict.fromkeys(p.terms)
    return tuple(found)


def matrix(moments: Moments, basis: Sequence[Monomial], condition: Polynomial | None = None) -> np.ndarray:
    """The moment matrix L(z z^T), or the localising matrix L(z z^T g), for the basis z."""
    terms = {ONE: 1.0} if condition is None else {m: float(value) for m, value in condition.terms.items()}
    values = np.zeros((len(basis), len(basis)))
    for i, a in enumerate(basis):
        for j, b in enumerate(basis[: i + 1]):
            both = multiply(a, b)
            values[i, j] = values[j, i] = sum(value * moments[multiply(both, m)] for m, value in terms.items())
    return values


def violation(moments: Moments, program: Program) -> float:
    """By how much moments violate what a program asks of them, conditions scaled to coefficients of at most 1."""
    worst = abs(expectation(moments, program.normaliser) - 1)
    for square in program.squares:
        worst = max(worst, _violated_square(moments, square))
    for equation in program.equations:
        worst = max(worst, _violated_equation(moments, equation))
    return worst


def _violated_square(moments: Moments, square: Square) -> float:
    size = max(abs(float(c)) for c in square.condition.terms.values()) if square.condition.terms else 1.0
    return -float(np.linalg.eigvalsh(matrix(moments, square.basis, square.condition) / size)[0])


def _violated_equation(moments: Moments, equation: Equation) -> float:
    size = max((abs(float(c)) for c in equation.polynomial.terms.values()), default=1.0)
    terms = {m: float(c) / size for m, c in equation.polynomial.terms.items()}
    values = [abs(sum(c * moments[multiply(m, n)] for n, c in terms.items())) for m in equation.basis]
    return max(values, default=0.0)


@dataclass(frozen=True)
class Flatness:
    """Ranks of the moment matrices of orders ``inner`` and ``order``; equal ranks make the moments those of atoms."""

    order: int
    inner: int
    rank: int
    inner_rank: int
    tolerance: float

    @property
    def flat(self) -> bool:
        return self.rank == self.inner_rank


def flatness(
    moments: Moments, variables: Sequence[int], order: int, step: int = 1, tolerance: float = FLAT
) -> Flatness:
    """Curto and Fialkow's test for the moments of these variables up to degree ``2 order``.

    ``step`` is half the largest degree of a condition, rounded up and at least 1: if the ranks of orders ``order``
    and ``order - step`` agree, the moments are those of ``rank`` points that fulfil all conditions, in exact
    arithmetic. Here ranks are numerical: singular values below ``tolerance`` times the largest count as 0.
    """
    inner = order - step
    ranks = [_rank(matrix(moments, monomials(variables, k)), tolerance) for k in (order, inner)]
    return Flatness(order, inner, *ranks, tolerance)


def _rank(values: np.ndarray, tolerance: float) -> int:
    sizes = np.linalg.svd(values, compute_uv=False)
    return int((sizes > tolerance * sizes[0]).sum())


def atoms(
    moments: Moments,
    variables: Sequence[int],
    order: int,
    rng: np.random.Generator,
    tolerance: float = FLAT,
    step: int = 1,
) -> np.ndarray | None:
    """The points (rank, variables) that flat moments consist of, or None if the moments are not flat.

    Henrion and Lasserre 2005 (Positive Polynomials in Control): the columns of a Cholesky factor in echelon form
    express every monomial in ``rank`` of them; multiplication by a variable is then a matrix, and the points are the
    joint eigenvalues, read off the ordered Schur form of a random combination.
    """
    from scipy.linalg import schur

    found = flatness(moments, variables, order, step, tolerance)
    if not found.flat:
        return None
    basis = monomials(variables, order)
    values, vectors = np.linalg.eigh(matrix(moments, basis))
    factor = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, : found.rank]
    echelon, pivots = _echelon(factor)
    if pivots is None:
        return None
    rows = {monomial: k for k, monomial in enumerate(basis)}
    multiplied = []
    for variable in variables:
        shifted = [multiply(basis[k], ((variable, 1),)) for k in pivots]
        if any(monomial not in rows for monomial in shifted):
            return None
        multiplied.append(echelon[[rows[monomial] for monomial in shifted]])
    mixed = np.tensordot(rng.dirichlet(np.ones(len(multiplied))), np.array(multiplied), axes=1)
    _, q = schur(mixed)
    return np.array([[q[:, i] @ n @ q[:, i] for n in multiplied] for i in range(found.rank)])


def _echelon(factor: np.ndarray) -> tuple[np.ndarray, list[int] | None]:
    """The factor with its columns combined so that some rows, the first possible ones, are the identity's."""
    scale = float(np.abs(factor).max())
    pivots: list[int] = []
    for row in range(len(factor)):
        chosen = factor[[*pivots, row]]
        if np.linalg.svd(chosen, compute_uv=False)[-1] > 1e-3 * scale:
            pivots.append(row)
        if len(pivots) == factor.shape[1]:
            return factor @ np.linalg.inv(factor[pivots]), pivots
    return factor, None


def first(moments: Moments, variables: Sequence[int]) -> np.ndarray:
    """The pseudo-mean."""
    return np.array([moments[((k, 1),)] for k in variables])


def covariance(moments: Moments, variables: Sequence[int]) -> np.ndarray:
    """The pseudo-covariance of variables; 0 where their product has no moment, as in no common clique."""
    mean = first(moments, variables)
    found = np.zeros((len(variables), len(variables)))
    for i, a in enumerate(variables):
        for j, b in enumerate(variables):
            product = multiply(((a, 1),), ((b, 1),))
            found[i, j] = moments[product] - mean[i] * mean[j] if product in moments else 0.0
    return found
