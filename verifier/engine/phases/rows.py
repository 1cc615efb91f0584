"""Bounds of neurons of one layer, in several nodes at once: each lower and each upper bound is a row of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from relaxations.bounds.ascent import Rates
from relaxations.bounds.balls import Ball, moved_inside
from relaxations.bounds.dual import Duals, Frame, Lines, backward, evaluate
from relaxations.network import Layer, ReluNetwork
from verifier.engine.phases.batch import Batch, as_stored, halved, padded
from verifier.engine.phases.node import COARSE, Node, RowDuals

CELLS_AT_ONCE = 1 << 19  # rows times neurons of one batch; bounds memory, not results
DEPENDS = 1e-30  # what a relaxed neuron costs a bound at least, if the bound depends on it
PAD = 3e-5  # of a range: how much wider the search believes it, because it rounds in float32
Ascend = Callable[..., Duals]


class OutOfTime(Exception):
    """The time was over in the middle of bounding; what was begun is to be forgotten."""


class LayerRows:
    """A network on one box, as far as it is in ``ball``, and how rows over it are bounded.

    ``ascend`` and ``map`` are those of ``Bounding``.
    """

    def __init__(
        self,
        network: ReluNetwork,
        lower: np.ndarray,
        upper: np.ndarray,
        caution: float,
        ascend: Ascend,
        ball: Ball | None = None,
    ) -> None:
        self.exact, self.lower, self.upper = network, lower, upper
        self.network = network.astype(np.float32)
        self.mid, self.rad = (lower + upper) / 2, (upper - lower) / 2
        self.mid32, self.rad32 = self.mid.astype(np.float32), self.rad.astype(np.float32)
        self.ball, self.ball32 = ball, None if ball is None else ball.astype(np.float32)
        self.caution, self.ascend = caution, ascend
        self.map: Callable[..., Iterable[Any]] = map
        self.over: Callable[[], bool] = _never
        sizes = np.cumsum(self.network.widths)
        # Powers of two: a tier that compiles a program for each shape of batch then needs few.
        self.rows_at_once = [1 << max(3, int(CELLS_AT_ONCE // size).bit_length() - 1) for size in sizes]

    def moved_inside(self, points: np.ndarray) -> np.ndarray:
        """Inputs (B, n) of box and ball, near those given."""
        return moved_inside(points, self.lower, self.upper, self.ball)

    def __getstate__(self) -> dict[str, Any]:
        """Another process does its own work itself."""
        return {**self.__dict__, "map": map, "over": _never}

    def _rows_of(self, nodes: Sequence[Node], k: int, neurons: Sequence[np.ndarray]) -> np.ndarray:
        """Rows of layer k, lower bounds before upper ones: node, place among its stored rows, neuron, sign (4, N)."""
        parts = []
        for i, (node, chosen) in enumerate(zip(nodes, neurons)):
            stored, ones = node.rows[k].neurons, np.ones(len(chosen), dtype=int)
            at = np.searchsorted(stored, chosen)
            parts.append(np.stack([i * ones, at, chosen, ones]))
            parts.append(np.stack([i * ones, at + len(stored), chosen, -ones]))
        return np.concatenate(parts, axis=1)

    def _each(self, function: Callable[..., Any], jobs: list[Any]) -> Iterator[Any]:
        """The results of the jobs in order, as long as there is time."""
        for result in self.map(function, jobs):
            if self.over():
                raise OutOfTime
            yield result

    def _bound_rows(self, nodes: list[Node], neurons: list[np.ndarray], k: int) -> None:
        """Bound ``neurons[i]`` of layer k in node i by its stored duals as they are."""
        layer, batch = self.network.layers[k], Batch(nodes, k, self.mid32, self.rad32, self.ball32)
        owner, place, neuron, sign = self._rows_of(nodes, k, neurons)
        if nodes[0].rows[k].shared:
            place = np.zeros_like(place)
        slopes = [node.rows[k].slopes for node in nodes]
        multipliers = [padded(node.rows[k].multipliers, len(node.splits)) for node in nodes]
        jobs = []
        for part in in_batches(len(owner), self.rows_at_once[k]):
            o, p = owner[part], place[part]
            weights = _signed_units(neuron[part], sign[part], len(layer.bias))
            duals = Duals(batch.slopes(slopes, o, p, COARSE), batch.multipliers(multipliers, o, p), weights)
            jobs.append((self.network, layer, *batch.lines(o), duals))
        bound = np.concatenate(list(self._each(_bounded, jobs)))
        self._intersect(nodes, k, neurons, owner, sign, bound)

    def _ascend_rows(self, nodes: list[Node], neurons: list[np.ndarray], k: int, steps: int, rates: Rates) -> None:
        """Bound ``neurons[i]`` of layer k in node i by ascent from its stored duals; the better ones are stored."""
        layer, batch = self.network.layers[k], Batch(nodes, k, self.mid32, self.rad32, self.ball32)
        owner, place, neuron, sign = self._rows_of(nodes, k, neurons)
        slopes = [[s.copy() for s in node.rows[k].slopes] for node in nodes]
        multipliers = [padded(node.rows[k].multipliers, len(node.splits)) for node in nodes]
        gaps = [[g.copy() for g in node.rows[k].gap or ()] for node in nodes]
        bound = np.empty(len(owner))
        parts = list(in_batches(len(owner), self.rows_at_once[k]))
        jobs = []
        for part in parts:
            o, p = owner[part], place[part]
            weights = _signed_units(neuron[part], sign[part], len(layer.bias))
            duals = Duals(batch.slopes(slopes, o, p, COARSE), batch.multipliers(multipliers, o, p), weights)
            jobs.append((self.ascend, (self.network, layer, *batch.lines(o), duals), steps, rates))
        for part, (duals, bounds, cost) in zip(parts, self._each(_ascended, jobs)):
            o, p = owner[part], place[part]
            bound[part] = bounds
            batch.store(duals, o, p, COARSE, slopes, multipliers)
            for i in np.unique(o):
                rows = np.flatnonzero(o == i)
                for j in range(k):
                    gaps[i][j][p[rows]] = cost[j][rows]
        for i, node in enumerate(nodes):
            node.rows[k] = RowDuals(node.rows[k].neurons, tuple(slopes[i]), multipliers[i], tuple(gaps[i]))
        self._intersect(nodes, k, neurons, owner, sign, bound)

    def _intersect(
        self,
        nodes: Sequence[Node],
        k: int,
        neurons: Sequence[np.ndarray],
        owner: np.ndarray,
        sign: np.ndarray,
        bound: np.ndarray,
    ) -> None:
        """Take over new bounds of layer k where they are better, a little wider than they were computed."""
        for i, (node, chosen) in enumerate(zip(nodes, neurons)):
            low, up = bound[(owner == i) & (sign > 0)], -bound[(owner == i) & (sign < 0)]
            low, up = widened(low, up, PAD * self.caution)
            lower, upper = node.lower[k].copy(), node.upper[k].copy()
            lower[chosen] = np.maximum(lower[chosen], low)
            upper[chosen] = np.minimum(upper[chosen], up)
            node.empty = node.empty or bool((lower > upper).any())
            node.lower[k], node.upper[k] = lower, upper


def _never() -> bool:
    return False


def _bounded(job: tuple[ReluNetwork, Layer, Frame, Lines, Duals]) -> np.ndarray:
    """Bounds of some rows by their duals as they are."""
    return backward(*job, np)[0]


def _ascended(
    job: tuple[Ascend, tuple[ReluNetwork, Layer, Frame, Lines, Duals], int, Rates],
) -> tuple[Duals, np.ndarray, list[np.ndarray]]:
    """Better duals of some rows, as they are stored; their bounds; and what each neuron costs them."""
    climb, (network, target, frame, drawn, duals), steps, rates = job
    duals = as_stored(climb(network, target, frame, drawn, duals, steps, rates), COARSE)
    seen = evaluate(network, target, frame, drawn, duals, np, with_cost=True)
    marked = (
        np.where(free & (coefs != 0), np.maximum(cost, DEPENDS), 0)
        for free, coefs, cost in zip(drawn.free, seen.coefs, seen.cost)
    )
    return duals, seen.bound, [halved(cost) for cost in marked]


def in_batches(count: int, at_once: int) -> Iterator[slice]:
    """Which of ``count`` rows come together."""
    return (slice(at, at + at_once) for at in range(0, count, at_once))


def _signed_units(neurons: np.ndarray, signs: np.ndarray, size: int) -> np.ndarray:
    """Rows (N, size) that are +1 or -1 at one neuron each."""
    out = np.zeros((len(neurons), size), dtype=np.float32)
    out[np.arange(len(neurons)), neurons] = signs
    return out


def widened(low: np.ndarray, up: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds that are wider by a share of the larger magnitude: what rounding to float32 may have cost."""
    pad = share * np.maximum(np.abs(low), np.abs(up))
    return low - pad, up + pad
