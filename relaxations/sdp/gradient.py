"""The bound of Raghunathan, Steinhardt and Liang (2018a): one hidden layer, on a ball of the maximum norm.

Let ``f(x) = v' max(W x + b, 0) + linear part`` be what is to be bounded on ``|x - c| <= eps``. On the way from c to x
its gradient is ``W' (v * s) + w`` with s in [0, 1]^m the active neurons, so that for t = (x - c) / eps in [-1, 1]^n

    f(x) <= f(c) + eps max over s, t of t' (W' (v * s) + w).

With s = (1 + r) / 2 that is eps/4 times a quadratic form of the vector (1, t, r) with entries in [-1, 1], and relaxing
its products to a moment matrix P of diagonal at most 1,

    f(x) <= f(c) + eps/4 max { <M, P> : P >= 0, P_jj <= 1 },
    M = [ 0           u'              0           ]
        [ u           0               W' diag(v)  ],         u = W' v + 2 w,
        [ 0           diag(v) W       0           ]

whose dual is ``min over c of (1 + n + m) lambda_max^+(M - diag(c)) + sum max(c, 0)``. That uses no ranges: it holds for
all radii at once, and its gap grows with the radius. Source: arXiv:1801.09344.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from relaxations.base import Query
from relaxations.bounds.boxes import composed
from relaxations.maps.linear import dense
from relaxations.solvers import required

STEPS = 1000  # of the descent
RATE, FALLS = 0.1, 0.002  # of the first step, in units of the mean square, and by what it falls to the last
SMOOTH, LAST_SMOOTH = 0.02, 0.0005  # mu, in the same units
ALL_PAIRS, BLOCK = 150, 16  # size up to which all eigenvalues are computed, and how many above
FIRST, SECOND = 0.9, 0.99  # Adam's constants
ROUNDING = 2.0**-53
LEAST_SHIFT, LARGER = 1e-12, 4.0  # of the largest square
SAME_RADIUS = 1e-9  # relative: radii that differ by rounding alone


@dataclass(frozen=True)
class TwoLayers:
    """A score ``constant + linear x + v' max(W x + b, 0)`` on the ball of ``radius`` around ``centre``."""

    weight: np.ndarray
    bias: np.ndarray
    outer: np.ndarray
    linear: np.ndarray
    constant: float
    centre: np.ndarray
    radius: float

    @staticmethod
    def of(query: Query, row: int = 0) -> TwoLayers:
        """What the adversary gains by one row. Raises ``ValueError`` where ``declines`` says why."""
        why = declines(query)
        if why:
            raise ValueError(why)
        coefs, constants = composed(query.rows, query.network.output)
        layer = query.network.layers[0]
        [(_, weight)] = layer.terms
        inputs, hidden = query.network.input_size, len(layer.bias)
        linear = -coefs[0][row] if 0 in coefs else np.zeros(inputs)
        outer = -coefs[1][row] if 1 in coefs else np.zeros(hidden)
        centre, radii = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
        return TwoLayers(dense(weight), layer.bias, outer, linear, -float(constants[row]), centre, float(radii.max()))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The score (B,) at inputs (B, n)."""
        return self.constant + x @ self.linear + np.maximum(x @ self.weight.T + self.bias, 0) @ self.outer

    @property
    def form(self) -> np.ndarray:
        """M (1 + n + m, 1 + n + m)."""
        inputs, hidden = len(self.centre), len(self.bias)
        scaled = self.outer[:, None] * self.weight
        matrix = np.zeros((1 + inputs + hidden,) * 2)
        matrix[0, 1 : 1 + inputs] = matrix[1 : 1 + inputs, 0] = scaled.sum(axis=0) + 2 * self.linear
        matrix[1 + inputs :, 1 : 1 + inputs] = scaled
        matrix[1 : 1 + inputs, 1 + inputs :] = scaled.T
        return matrix

    def bound(self, squares: np.ndarray) -> float:
        """At least the score on the ball, for any c (1 + n + m,): by a Cholesky factor of diag(c) - M, c enlarged.

        c is raised by the least eigenvalue that is missing, as floating point finds it, and further until there is a
        factor of what is left after taking off the rounding of one (Rump 2006, doi:10.1007/s10543-006-0056-1).
        """
        matrix = np.diag(np.asarray(squares, dtype=float)) - self.form
        size, on = len(matrix) + 2, np.diag_indices(len(matrix))
        before, largest = matrix[on].copy(), max(float(np.abs(matrix).sum(axis=1).max()), np.finfo(float).tiny)
        shift = max(0.0, -float(np.linalg.eigvalsh(matrix)[0]))
        step = LEAST_SHIFT * largest
        while True:
            diagonal = np.maximum(before + shift, 0)
            spent = 4 * size * ROUNDING * float(diagonal.sum()) + np.finfo(float).tiny
            matrix[on] = diagonal - spent
            try:
                np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                shift += step
                step *= LARGER
                continue
            return float(self(self.centre[None])[0]) + self.radius / 4 * float(diagonal.sum())


@dataclass(frozen=True)
class GradientBound:
    """``squares`` c and the bound of the score that they prove; ``seconds`` were used."""

    squares: np.ndarray
    value: float
    seconds: float


def declines(query: Query) -> str:
    """Why the bound says nothing about a query; "" if it does.

    It is for one hidden layer of ReLUs. A box that is no ball, such as one cut off at the edge of the inputs' domain,
    counts as the ball around its centre with its largest radius, which is sound.
    """
    network = query.network
    if len(network.layers) != 1:
        return f"it is for one hidden layer, and the network has {len(network.layers)}"
    return "it is for ReLUs, and the network has signs" if network.signs else ""


def is_ball(query: Query) -> bool:
    """Whether the box has one radius, so that nothing is lost by taking it for a ball."""
    radii = (query.upper - query.lower) / 2
    return bool(np.ptp(radii) <= SAME_RADIUS * radii.max(initial=0.0))


def solve(layers: TwoLayers, seconds: float = np.inf, steps: int = STEPS) -> GradientBound:
    """Descent on c with Adam, on ``sum(c) + (1 + n + m) lambda_max(M - diag(c))``, smoothed.

    It starts from the sums of the rows' absolute values, with which ``diag(c) - M`` is diagonally dominant, and never
    ends worse. A step takes all eigenvalues of a small matrix, and of a large one some, refined from step to step.
    """
    began = time.monotonic()
    matrix = layers.form
    start = np.abs(matrix).sum(axis=1)
    unit = float(start.mean())
    if unit == 0 or steps < 1:
        return GradientBound(start, layers.bound(start), time.monotonic() - began)
    scaled, c = matrix / unit, np.sqrt((matrix**2).sum(axis=1)) / unit
    pairs = _All() if len(c) <= ALL_PAIRS else _Block(len(c))
    first, second = np.zeros_like(c), np.zeros_like(c)
    for t in range(1, steps + 1):
        way = max(t / steps, (time.monotonic() - began) / seconds)
        rate, mu = RATE * FALLS**way, SMOOTH * (LAST_SMOOTH / SMOOTH) ** way
        values, vectors = pairs.refined(scaled, c)
        c = np.maximum(c + values[-1], 0)  # moving all alike costs as much as it gains
        share = np.exp((values - values[-1]) / mu)
        gradient = 1 - len(c) * (vectors**2 @ (share / share.sum()))
        first = FIRST * first + (1 - FIRST) * gradient
        second = SECOND * second + (1 - SECOND) * gradient**2
        c = np.maximum(c - rate * (first / (1 - FIRST**t)) / (np.sqrt(second / (1 - SECOND**t)) + 1e-12), 0)
        if way >= 1:
            break
    found = min(((layers.bound(square), square) for square in (c * unit, start)), key=lambda pair: pair[0])
    return GradientBound(found[1], found[0], time.monotonic() - began)


class _All:
    """All eigenvalues of ``matrix - diag(c)``, the largest last, and the eigenvectors as columns."""

    def refined(self, matrix: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(matrix - np.diag(c))
        return values, vectors


class _Block(_All):
    """The largest ones by Ritz pairs kept from step to step, as LOBPCG does (Knyazev 2001)."""

    def __init__(self, size: int) -> None:
        self.basis = np.random.default_rng(0).normal(size=(size, 3 * BLOCK))

    def refined(self, matrix: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        basis = np.linalg.qr(self.basis)[0]
        product = matrix @ basis - c[:, None] * basis
        inner = basis.T @ product
        values, turn = np.linalg.eigh((inner + inner.T) / 2)
        values, turn = values[-BLOCK:], turn[:, -BLOCK:]
        vectors = basis @ turn
        changed = turn * (np.arange(len(turn)) >= BLOCK)[:, None]
        self.basis = np.concatenate([vectors, product @ turn - vectors * values, basis @ changed], axis=1)
        return values, vectors


def optimum(layers: TwoLayers, solver: str = "CLARABEL") -> float:
    """The relaxation's value by cvxpy: no bound, and for small networks. Raises ``MissingSolver`` without it."""
    cvxpy = required("cvxpy", "the reference formulation needs cvxpy")
    matrix = layers.form
    moments = cvxpy.Variable(matrix.shape, PSD=True)
    problem = cvxpy.Problem(cvxpy.Maximize(cvxpy.trace(matrix @ moments)), [cvxpy.diag(moments) <= 1])
    value = float(problem.solve(solver=solver))
    return float(layers(layers.centre[None])[0]) + layers.radius / 4 * value
