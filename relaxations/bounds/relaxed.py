"""The bounds by intervals and by lines as relaxations: what the adversary is allowed, and the action it then takes.

    Interval    every unit takes any value of its interval, whatever its inputs are
    Crown       every unstable unit takes any value between two fixed lines
    AlphaCrown  the lower line may be any of those through 0; what all of them leave is the unit's triangle

Neither lines nor intervals are always the better ones: a lower line of slope 1 lets a ReLU be negative, which no
interval does. The last two therefore take intervals into account, and are never looser than the first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relaxations.actions import Point
from relaxations.base import Branch, Query, Relaxation, Solution
from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.balls import MANY_PASSES, least
from relaxations.bounds.boxes import composed
from relaxations.bounds.dual import Duals, Frame, Lines, backward, lines
from relaxations.bounds.interval import interval_bounds
from relaxations.executions import affine_excess, forward, input_excess, invented, lines_excess, score
from relaxations.network import Layer

STEPS, DECAY = 25, 0.97  # of one ascent, between two looks at the clock
RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)  # of the ascents, one after the other


class Interval(Relaxation[Point, np.ndarray]):
    """A: any input of the box, and any pre-activations and outputs in the intervals of interval arithmetic.

    The dual (R,) are the weights of the rows; the best single row is the one that is found. The ranges of the query
    play no part. Source: Gowal et al. 2018, arXiv:1810.12715.
    """

    name: ClassVar[str] = "ibp"

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        found = interval_bounds(query.network, query.lower[None], query.upper[None], query.ball)[:-1]
        self.intervals = [(low[0], up[0]) for low, up in found]

    def embed(self, x: np.ndarray) -> Point:
        return Point.real(self.query, x)

    def outside(self, action: Point) -> float:
        return max(input_excess(self.query, action), self.interval_excess(action))

    def interval_excess(self, action: Point) -> float:
        """The largest distance of a pre-activation or an output from its interval."""
        worst = 0.0
        for z, a, (low, up) in zip(action.z, action.a, self.intervals):
            for value, lowest, most in ((z, low, up), (a, np.maximum(low, 0), np.maximum(up, 0))):
                worst = max(worst, float(np.maximum(lowest - value, value - most).max(initial=0.0)))
        return worst

    def score(self, action: Point) -> float:
        return score(self.query, action)

    def solve(self, seconds: float = np.inf) -> Solution[Point, np.ndarray]:
        started = time.monotonic()
        unit = np.eye(len(self.query.rows.constant))
        values = [self.bound(weights) for weights in unit]
        best = unit[int(np.argmin(values))]
        action = self.least(best)
        return Solution(min(values), best, action, self.score(action), True, time.monotonic() - started)

    def bound(self, dual: np.ndarray) -> float:
        weights = on_simplex(dual)
        coefs, constant = self._combined(weights)
        outputs = zip(coefs[1:], self._outputs())
        lowest = constant + least_of_inputs(self.query, coefs[0])
        return -(lowest + sum(float(np.where(a > 0, low, up) @ a) for a, (low, up) in outputs))

    def some_dual(self, rng: np.random.Generator) -> np.ndarray:
        return rng.dirichlet(np.ones(len(self.query.rows.constant)))

    def input_of(self, action: Point) -> np.ndarray:
        return action.x

    def tighten(self, action: Point) -> list[Branch]:
        """Neurons whose output is not that of their sources, by how far it is off times its coefficient."""
        coefs, _ = self._combined(np.full(len(self.query.rows.constant), 1 / len(self.query.rows.constant)))
        real = Point.real(self.query, action.x)
        moved = Point(action.x, real.z, action.a)
        return invented(moved, coefs[1:])

    def _outputs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.maximum(low, 0), np.maximum(up, 0)) for low, up in self.intervals]

    def _combined(self, weights: np.ndarray) -> tuple[list[np.ndarray], float]:
        """The weighted row's coefficients on every source, and its constant."""
        coefs, constant = composed(self.query.rows, self.query.network.output)
        widths = self.query.network.widths
        whole = [weights @ coefs[s] if s in coefs else np.zeros(n) for s, n in enumerate(widths)]
        return whole, float(weights @ constant)

    def least(self, weights: np.ndarray) -> Point:
        """The action at which the weighted row is least."""
        coefs, _ = self._combined(weights)
        a = [np.where(c > 0, low, up) for c, (low, up) in zip(coefs[1:], self._outputs())]
        x = minimiser(self.query, coefs[0])
        z = [np.where(c > 0, low, up) for c, (low, up) in zip(coefs[1:], self.intervals)]
        return Point(x, tuple(z), tuple(a))


@dataclass(frozen=True)
class Slopes:
    """A dual: by layer, slopes (m_k,) in [0, 1] of the unstable neurons' lower lines, and weights (R,) of the rows."""

    slopes: tuple[np.ndarray, ...]
    weights: np.ndarray


class Crown(Relaxation[Point, Slopes]):
    """A: pre-activations follow from the outputs before them, and each unstable output lies between two lines.

    They are the triangle's upper edge and the line of slope 0 or 1 that leaves the smaller area. Where intervals bound
    some row better than lines bound any, A is that of ``Interval``. For one row the greedy action attains the bound,
    unless it takes a pre-activation out of its range, which no action of A does. Of the dual only the weights are free:
    ``bound`` takes any slopes, and bounds every real execution with them, but other slopes than A's say nothing of
    actions below their lines.
    Source: Zhang et al. 2018, arXiv:1811.00866.
    """

    name: ClassVar[str] = "crown"

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        self.interval = Interval(query)
        coefs, constant = composed(query.rows, query.network.output)
        self.target = Layer(tuple(coefs.items()), constant)
        self.frame = frame_of(query)
        self.lines: Lines = lines(self.frame, (None,) * len(query.ranges), np)
        self.default = tuple(np.where(u > -l, 1.0, 0.0) for l, u in query.ranges)
        unit = np.eye(len(constant))
        by_lines = [self.substituted(Slopes(self._chosen(self.default), row)) for row in unit]
        by_intervals = [self.interval.bound(row) for row in unit]
        self.row = unit[int(np.argmin(np.minimum(by_lines, by_intervals)))]
        self.intervals_are_better = min(by_intervals) < min(by_lines)

    def embed(self, x: np.ndarray) -> Point:
        return Point.real(self.query, x)

    def outside(self, action: Point) -> float:
        return self.interval.outside(action) if self.intervals_are_better else self.lines_excess(action)

    def lines_excess(self, action: Point) -> float:
        """By how much an action violates the box, the affine maps or the lines."""
        query = self.query
        return max(input_excess(query, action), affine_excess(query, action), lines_excess(query, action, self.lowest))

    @property
    def lowest(self) -> Sequence[np.ndarray] | None:
        """Slopes (n_k,) of the lower lines that bound A; None if that is the ReLU itself."""
        return self.default

    def score(self, action: Point) -> float:
        return score(self.query, action)

    def solve(self, seconds: float = np.inf) -> Solution[Point, Slopes]:
        """The best single row."""
        started = time.monotonic()
        dual = Slopes(self._chosen(self.default), self.row)
        action = self.interval.least(self.row) if self.intervals_are_better else self._greedy(dual)
        return Solution(self.bound(dual), dual, action, self.score(action), True, time.monotonic() - started)

    def bound(self, dual: Slopes) -> float:
        return self.interval.bound(dual.weights) if self.intervals_are_better else self.substituted(dual)

    def substituted(self, dual: Slopes) -> float:
        """The bound by backward substitution alone."""
        low, _, _ = backward(self.query.network, self.target, self.frame, self.lines, self._duals(dual), np)
        return -float(low[0])

    def substitution(self, dual: Slopes) -> list[tuple[np.ndarray, np.ndarray]]:
        """By layer, the coefficients (n_k,) of the outputs, and the slopes of the lines these are replaced by."""
        _, _, chosen = backward(self.query.network, self.target, self.frame, self.lines, self._duals(dual), np)
        return [(a[0], slope[0]) for a, slope, _ in chosen]

    def some_dual(self, rng: np.random.Generator) -> Slopes:
        return Slopes(self._chosen(self.default), self.interval.some_dual(rng))

    def input_of(self, action: Point) -> np.ndarray:
        return action.x

    def tighten(self, action: Point) -> list[Branch]:
        """Neurons by how far their output is from the ReLU, times what it counts for in the action's worst row."""
        if self.intervals_are_better:
            return self.interval.tighten(action)
        row = np.eye(len(self.query.rows.constant))[int(np.argmax(action.margins(self.query)))]
        duals = self._duals(Slopes(self._chosen(self.default), row))
        _, _, chosen = backward(self.query.network, self.target, self.frame, self.lines, duals, np)
        return invented(action, [a[0] for a, _, _ in chosen])

    def _greedy(self, dual: Slopes) -> Point:
        """The input where the affine form is least, and every output on the line that was chosen for it there.

        Outputs that A does not allow are moved to the nearest that it does. The real execution instead, where it is
        better or where that cannot be done.
        """
        _, form, chosen = backward(self.query.network, self.target, self.frame, self.lines, self._duals(dual), np)
        x = minimiser(self.query, form[0])

        def outputs(k: int, z: np.ndarray) -> np.ndarray:
            l, u = self.query.ranges[k]
            free = self.lines.free[k][0]
            a, slope, _ = (part[0] for part in chosen[k])
            wanted = slope * z + np.where(a < 0, self.lines.offset[k][0], 0.0)
            least = np.maximum(z, 0) if self.lowest is None else self.lowest[k] * z
            inside = np.maximum(np.minimum(wanted, u * (z - l) / np.where(free, u - l, 1.0)), least)
            return np.where(free, inside, np.where(l >= 0, z, 0.0))

        greedy, real = forward(self.query, x, outputs), self.embed(self.query.moved_inside(x[None])[0])
        size = max(float(np.abs(values).max(initial=0.0)) for values in (x, *greedy.z))
        allowed = self.outside(greedy) <= 1e-9 * (1 + size)
        return greedy if allowed and self.score(greedy) >= self.score(real) else real

    def _chosen(self, slopes: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Of slopes (n_k,) for all neurons those of the unstable ones."""
        return tuple(part[self.query.unstable(k)] for k, part in enumerate(slopes))

    def _duals(self, dual: Slopes) -> Duals:
        slopes = []
        for k, (part, default) in enumerate(zip(dual.slopes, self.default)):
            filled = default.copy()
            filled[self.query.unstable(k)] = np.clip(part, 0, 1)
            slopes.append(filled[None])
        return Duals(tuple(slopes), (None,) * len(slopes), on_simplex(dual.weights)[None])


class AlphaCrown(Crown):
    """A: as for ``Crown``, but with the triangle for every unstable output: all lower lines at once.

    The dual's slopes are free, and the best of them give the optimum of the triangle's linear program (Salman et al.
    2019, arXiv:1902.08722); ascent stops a little above it. Source: Xu et al. 2021, arXiv:2011.13824.
    """

    name: ClassVar[str] = "alpha-crown"

    @property
    def lowest(self) -> Sequence[np.ndarray] | None:
        return None

    def outside(self, action: Point) -> float:
        return max(self.lines_excess(action), self.interval.interval_excess(action))

    def bound(self, dual: Slopes) -> float:
        return min(self.substituted(dual), self.interval.bound(dual.weights))

    def solve(self, seconds: float = np.inf) -> Solution[Point, Slopes]:
        """Ascent on slopes and weights from every row and from all rows at once; never worse than ``Crown``."""
        started = time.monotonic()
        count = len(self.query.rows.constant)
        weights = np.concatenate([np.eye(count), np.full((int(count > 1), count), 1 / count)])
        duals = self._batch([Slopes(self._chosen(self.default), row) for row in weights])
        kept = [min(self._single(duals), key=self.bound)]
        for rate in RATES:
            if time.monotonic() - started >= seconds:
                break
            rates = Rates(rate, rate, DECAY, weights=rate)
            duals = ascend(self.query.network, self.target, self.frame, self.lines, duals, STEPS, rates)
            kept.append(min(self._single(duals), key=self.bound))
        dual = min(kept, key=self.bound)
        action = max((self._greedy(seen) for seen in kept), key=self.score)
        finished = len(kept) == 1 + len(RATES)
        return Solution(self.bound(dual), dual, action, self.score(action), finished, time.monotonic() - started)

    def some_dual(self, rng: np.random.Generator) -> Slopes:
        return Slopes(
            tuple(rng.uniform(size=len(part)) for part in self._chosen(self.default)), self.interval.some_dual(rng)
        )

    def _batch(self, several: list[Slopes]) -> Duals:
        parts = [self._duals(dual) for dual in several]
        slopes = tuple(np.concatenate(layer) for layer in zip(*(part.slopes for part in parts)))
        return Duals(slopes, (None,) * len(slopes), np.concatenate([part.weights for part in parts]))

    def _single(self, duals: Duals) -> list[Slopes]:
        return [
            Slopes(self._chosen([part[i] for part in duals.slopes]), weights) for i, weights in enumerate(duals.weights)
        ]


def on_simplex(weights: np.ndarray) -> np.ndarray:
    """The weights without negative parts, scaled to the sum 1; equal ones if nothing is left."""
    positive = np.maximum(weights, 0)
    total = positive.sum()
    return positive / total if total > 0 else np.full(len(positive), 1 / len(positive))


def frame_of(query: Query) -> Frame:
    """The inputs and ranges of a query."""
    low, up = (tuple(side[None] for side in sides) for sides in zip(*query.ranges)) if query.ranges else ((), ())
    return Frame((query.lower + query.upper) / 2, (query.upper - query.lower) / 2, low, up, query.ball)


def least_of_inputs(query: Query, form: np.ndarray) -> float:
    """A lower bound of a linear form (n,) over the query's inputs."""
    if query.ball is None:
        return float(np.where(form > 0, query.lower, query.upper) @ form)
    mid, rad = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
    return float(form @ mid + least(form[None], mid, rad, query.ball, np)[0][0])


def minimiser(query: Query, form: np.ndarray) -> np.ndarray:
    """An input (n,) of the query at which a linear form is least."""
    if query.ball is None:
        return np.where(form > 0, query.lower, query.upper)
    mid, rad = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
    return query.moved_inside(least(form[None], mid, rad, query.ball, np, MANY_PASSES)[1])[0]
