"""The Lasserre hierarchy as a relaxation of a network: the adversary plays a pseudo-distribution.

Its score is ``min_r L(-row_r)``. With weights w >= 0 of sum 1, squares and multipliers, the polynomial

    R = -sum of w_r row_r + sum of (z^T F F^T z) g + sum of q h

satisfies ``L(R) >= score(L)`` for every pseudo-expectation L, and L(R) is at most its constant coefficient plus the
others' absolute values: in coordinates in which each variable has ``1 - t^2 >= 0`` no moment exceeds 1 in size (going
down from the highest, ``L(t^(2b + 2e_k)) <= L(t^(2b))``; mixed ones by Cauchy and Schwarz), and those of squares are
not negative. So any F, q and w are a dual.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from relaxations.base import Branch, Query, Relaxation, Solution
from relaxations.sos.matrices import Matrices
from relaxations.sos.moments import atoms, covariance, first, of_point
from relaxations.sos.networks import NetworkProblem, network_problem
from relaxations.sos.solve import solve
from specs.polynomial import Monomial

LARGEST_BASIS = 66  # of one clique: 10 variables at order 2; a second or so of an interior-point method
MOST_MOMENTS = 12_000


@dataclass(frozen=True)
class Pseudo:
    """Moments (size,) of the monomials a relaxation speaks of, in the coordinates of its box."""

    moments: np.ndarray


@dataclass(frozen=True)
class SosDual:
    """``weights`` (R,) of the rows, not negative and of sum 1; ``factors`` F by square, ``multipliers`` by equation."""

    weights: np.ndarray
    factors: tuple[np.ndarray, ...]
    multipliers: tuple[np.ndarray, ...]


class Lasserre(Relaxation[Pseudo, SosDual]):
    """The hierarchy's order 2 (or another one), sparse along the cliques of the network."""

    name = "sos"

    def __init__(self, query: Query, order: int = 2) -> None:
        super().__init__(query)
        self.order = order
        self.problem: NetworkProblem = network_problem(query)
        self.scaling = self.problem.bounded.scaling
        self.cliques = self.problem.bounded.cliques()
        self.program = self.problem.bounded.program(order, self.cliques)
        self.matrices = Matrices(self.program)
        self.monomials: tuple[Monomial, ...] = self.matrices.monomials

    @classmethod
    def declines(cls, query: Query) -> str:
        """Too many variables in one clique, or a network that is not of ReLUs."""
        reason = super().declines(query)
        if reason:
            return reason
        size = query.network.input_size + query.count_unstable
        if size > 60:
            return f"{size} inputs and unstable neurons are too many for sums of squares of degree 4 (at most 60)"
        groups = network_problem(query).bounded.cliques()
        largest = max(map(len, groups))
        basis = comb(largest + 2, 2)
        if basis > LARGEST_BASIS:
            return f"a clique of {largest} variables needs a basis of {basis} monomials (at most {LARGEST_BASIS})"
        moments = sum(comb(len(group) + 4, 4) for group in groups)
        return f"{moments} moments are too many (at most {MOST_MOMENTS})" if moments > MOST_MOMENTS else ""

    def embed(self, x: np.ndarray) -> Pseudo:
        t = self.scaling.to_t(self.problem.point(self.query, x))
        t[[k for k in range(len(t)) if k not in self.scaling.free]] = 0.0
        moments = of_point(t, self.monomials)
        return Pseudo(np.array([moments[m] for m in self.monomials]))

    def outside(self, action: Pseudo) -> float:
        y = action.moments
        worst = abs(float(self.matrices.normaliser @ y) - 1)
        for number in range(len(self.matrices.squares)):
            worst = max(worst, -float(np.linalg.eigvalsh(self.matrices.matrix(number, y))[0]))
        for cells in self.matrices.equations:
            worst = max(worst, float(np.abs(cells.apply(y)).max(initial=0.0)))
        return worst

    def score(self, action: Pseudo) -> float:
        return float((-self.matrices.objectives @ action.moments).min())

    def solve(self, seconds: float = np.inf) -> Solution[Pseudo, SosDual]:
        solved = solve(self.program, seconds)
        if solved is None:
            dual = self._trivial()
            return Solution(self.bound(dual), dual, None, finished=False, seconds=seconds)
        weights = np.maximum(solved.weights, 0)
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
        dual = SosDual(weights, tuple(map(_factor, solved.grams)), solved.multipliers)
        action = Pseudo(np.array([solved.moments[m] for m in self.monomials]))
        return Solution(self.bound(dual), dual, action, self.score(action), solved.finished, solved.seconds)

    def bound(self, dual: SosDual) -> float:
        rest = -dual.weights @ self.matrices.objectives
        size = self.matrices.size
        for cells, unit, factor in zip(self.matrices.squares, self.matrices.units, dual.factors, strict=True):
            rest = rest + unit * cells.pull((factor @ factor.T).ravel(), size)
        units = self.matrices.equation_units
        for cells, unit, multiplier in zip(self.matrices.equations, units, dual.multipliers, strict=True):
            rest = rest + unit * cells.pull(multiplier, size)
        cost = np.where(self.matrices.even, np.maximum(rest, 0), np.abs(rest))
        return float(rest[0] + cost[1:].sum())

    def some_dual(self, rng: np.random.Generator) -> SosDual:
        trivial = self._trivial()
        return SosDual(
            rng.dirichlet(np.ones(len(trivial.weights))),
            tuple(rng.normal(size=factor.shape) * rng.exponential() for factor in trivial.factors),
            tuple(rng.normal(size=multiplier.shape) for multiplier in trivial.multipliers),
        )

    def input_of(self, action: Pseudo) -> np.ndarray:
        return self._inputs(self._mean(action))

    def round(self, action: Pseudo, rng: np.random.Generator, count: int = 1) -> np.ndarray:
        """The pseudo-mean, the atoms if there are any, then samples of a Gaussian with the pseudo-covariance."""
        mean = self._mean(action)
        found = [self._inputs(mean), *self._atoms(action, rng)][:count]
        free = [k for k in self.scaling.free if k < self.query.network.input_size]
        if len(found) < count and free:
            values, vectors = np.linalg.eigh(covariance(self._moments(action), free))
            root = vectors * np.sqrt(np.maximum(values, 0))
            for draw in rng.normal(size=(count - len(found), len(free))):
                t = mean.copy()
                t[free] += root @ draw
                found.append(self._inputs(t))
        found += [found[0]] * (count - len(found))
        return self.query.moved_inside(np.array(found))

    def tighten(self, action: Pseudo) -> list[Branch]:
        """Neurons by how far the pseudo-mean of their output is from the ReLU of that of their argument."""
        x = self.scaling.to_x(self._mean(action))
        size = self.query.network.input_size
        found = []
        for number, ((layer, neuron), z) in enumerate(zip(self.problem.units, self.problem.arguments)):
            argument = sum(float(c) * (x[m[0][0]] if m else 1.0) for m, c in z.terms.items())
            gap = float(x[size + number] - max(argument, 0.0))
            if gap > 1e-9:
                found.append(Branch(layer, neuron, gap))
        return sorted(found, key=lambda branch: -branch.weight)

    def _trivial(self) -> SosDual:
        count = len(self.program.objectives)
        factors = tuple(np.zeros((side, side)) for side in self.matrices.sides)
        multipliers = tuple(np.zeros(cells.height) for cells in self.matrices.equations)
        return SosDual(np.full(count, 1 / count), factors, multipliers)

    def _moments(self, action: Pseudo) -> dict[Monomial, float]:
        return dict(zip(self.monomials, action.moments.tolist(), strict=True))

    def _mean(self, action: Pseudo) -> np.ndarray:
        """The pseudo-mean of all variables in t; 0 for those that are fixed."""
        mean = np.zeros(len(self.scaling.scale))
        free = list(self.scaling.free)
        mean[free] = first(self._moments(action), free)
        return mean

    def _inputs(self, t: np.ndarray) -> np.ndarray:
        return self.scaling.to_x(t)[: self.query.network.input_size]

    def _atoms(self, action: Pseudo, rng: np.random.Generator) -> list[np.ndarray]:
        """Inputs that flat moments consist of; the clique with the most inputs has to hold them all."""
        inputs = {k for k in self.scaling.free if k < self.query.network.input_size}
        clique = next((c for c in self.cliques if inputs <= set(c)), None)
        free = [] if clique is None else [k for k in clique if k in self.scaling.free]
        if not free or self.order < 2:
            return []
        points = atoms(self._moments(action), free, self.order, rng)
        found = []
        for point in points if points is not None else ():
            t = np.zeros(len(self.scaling.scale))
            t[free] = point
            found.append(self._inputs(t))
        return found


def _factor(gram: np.ndarray) -> np.ndarray:
    """F with F F^T as close to a symmetric matrix as a semidefinite one can be."""
    values, vectors = np.linalg.eigh(gram)
    return vectors * np.sqrt(np.maximum(values, 0))
