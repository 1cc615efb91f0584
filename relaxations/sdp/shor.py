"""Shor's relaxation of a query, the semidefinite relaxation of Raghunathan, Steinhardt and Liang (2018b).

The adversary chooses moments of degree 2 of inputs and hidden values that no test of degree 2 can tell from those of
real executions. Source: arXiv:1811.01057; every constraint of the triangle relaxation is implied here, and one of
theirs is strengthened by ``b (L - b) >= 0`` for the negative part of each pre-activation (docs/relaxations/sdp.md).
A ball of inputs is one more constraint, on the sum of squares of the inputs' distances from its centre.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from relaxations.base import Branch, Query, Relaxation, Solution
from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers
from relaxations.sdp import first_order, interior_point

LARGEST = first_order.LARGEST
FIRST_ORDER = 1600  # rows from which on an interior point takes minutes: a step costs about ten matrix products


@dataclass(frozen=True)
class Moments:
    """``matrix`` (1 + N, 1 + N): the pseudo-expectations of products of (1, e), e being the symbols of a lifting."""

    matrix: np.ndarray


class Shor(Relaxation[Moments, Multipliers]):
    """Actions are moment matrices, duals multipliers of every kind."""

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        self.lifting = Lifting.of(query)

    @classmethod
    def declines(cls, query: Query) -> str:
        size = 1 + len(query.lower) + query.count_unstable
        too_large = f"its matrix would have {size} rows, more than {LARGEST}" if size > LARGEST else ""
        return super().declines(query) or too_large

    def embed(self, x: np.ndarray) -> Moments:
        vector = self.lifting.vectors(x[None])[0]
        return Moments(np.outer(vector, vector))

    def outside(self, action: Moments) -> float:
        lifting, x = self.lifting, action.matrix
        b = lifting.inactive / lifting.low[:, None]
        with_b = b @ x
        product = 0.5 * (with_b[:, 0] + with_b[np.arange(len(b)), lifting.symbols])
        back = with_b[:, 0] - np.einsum("ij,ij->i", with_b, b)
        # the moments of a real vector are met up to its own size
        size = max(1.0, float(np.abs(b).sum(axis=1).max(initial=0.0)))
        of_b = max(float(np.abs(product).max(initial=0.0)), float((-back).max(initial=0.0))) / size
        semidefinite = -float(np.linalg.eigvalsh(x)[0]) / len(x)
        of_ball = 0.0 if lifting.ball is None else lifting.ball.mean(x)
        return max(0.0, abs(float(x[0, 0]) - 1), float((np.diag(x) - 1).max()), semidefinite, of_b, of_ball)

    def score(self, action: Moments) -> float:
        return float((-(self.lifting.rows @ action.matrix[0])).min())

    def solve(self, seconds: float = np.inf) -> Solution[Moments, Multipliers]:
        """By the interior point method, or where the matrix is large by first-order steps, which yield no action."""
        started = time.monotonic()
        if self.lifting.size > FIRST_ORDER:
            steps = first_order.solve(self.lifting, seconds)
            value, used = self.bound(steps.dual), time.monotonic() - started
            return Solution(value, steps.dual, None, finished=steps.finished, seconds=used)
        found = interior_point.solve(self.lifting, over=lambda: time.monotonic() - started > seconds)
        action = Moments(found.moments)
        return Solution(
            self.bound(found.dual), found.dual, action, self.score(action), found.finished, time.monotonic() - started
        )

    def bound(self, dual: Multipliers) -> float:
        lifting = self.lifting
        if dual.squares is None:
            form = lifting.linear_form(dual)
            return float(np.abs(form[1:]).sum() - form[0])
        matrix, squares = lifting.quadratic_form(dual), lifting.of_symbols(dual.squares)
        missing = max(0.0, -float(np.linalg.eigvalsh(matrix)[0]))
        return float(squares.sum() + missing * lifting.size)

    def some_dual(self, rng: np.random.Generator) -> Multipliers:
        lifting = self.lifting

        def of_neurons(signed: bool = False) -> tuple[np.ndarray, ...]:
            values = rng.exponential(size=len(lifting.up)) * rng.integers(0, 2, len(lifting.up))
            return lifting.split(values * rng.choice([-1, 1], len(values)) if signed else values)

        weights = rng.dirichlet(np.ones(len(lifting.rows)))
        squares = lifting.of_inputs(rng.exponential(size=lifting.size))
        squares[0] *= rng.choice([-1, 1])
        linear = of_neurons(), of_neurons(), of_neurons()
        ball = 0.0 if lifting.ball is None else float(rng.exponential() * rng.integers(0, 2))
        return Multipliers(weights, *linear, of_neurons(signed=True), of_neurons(), squares, ball)

    def input_of(self, action: Moments) -> np.ndarray:
        return self.lifting.input_of(action.matrix[0])

    def round(self, action: Moments, rng: np.random.Generator, count: int = 1) -> np.ndarray:
        """The mean, then inputs drawn from the Gaussian with these moments."""
        lifting = self.lifting
        mean = action.matrix[0, : 1 + len(lifting.live)]
        values, vectors = np.linalg.eigh(action.matrix[: len(mean), : len(mean)] - np.outer(mean, mean))
        values[values < 1e-9 * len(values)] = 0  # what rounding has left of a point's own covariance
        drawn = mean + (rng.normal(size=(count, len(mean))) * np.sqrt(values)) @ vectors.T
        drawn[0] = mean
        return self.query.moved_inside(np.stack([lifting.input_of(vector) for vector in drawn]))

    def tighten(self, action: Moments) -> list[Branch]:
        """Neurons by how far their mean output stands above the ReLU of their mean pre-activation."""
        lifting, mean = self.lifting, action.matrix[0]
        gaps = lifting.active @ mean - np.maximum(lifting.z @ mean, 0)
        found = [Branch(k, neuron, float(gap)) for (k, neuron), gap in zip(lifting.neurons(), gaps) if gap > 1e-9]
        return sorted(found, key=lambda branch: -branch.weight)
