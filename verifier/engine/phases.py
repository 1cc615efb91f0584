"""Branch and bound by ReLU phases on one box of one case: for networks with too many inputs to split.

Intermediate bounds are frozen at the box (the frame); each node of the tree is bounded by ascent on the duals of the
triangle relaxation under its phases, warm-started from its parent. A closed node is stored with its duals as the
checker will read them: slopes in steps of 1/255, multipliers in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.bounds.beta import Duals, Frame, Pass, evaluate
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.network import ReluNetwork, push
from verifier.certificate.words import FRAME, HINTED, LEAF, OPEN, RELU
from verifier.engine.explore import Budget, Exploration, Explorer, joined

ROOT_STEPS, STEPS = 60, 16  # of dual ascent, at the root and at every other node
SLOPE_RATE, MULTIPLIER_RATE, DECAY = 0.15, 0.2, 0.97
PATIENCE = 8  # further ascents on fully split nodes before the search by phases is given up
MARGIN = 1e-9  # of the rows' size: a bound below it is not believed
EASY = 1e4  # times that margin: nodes this far above it need no more steps (the ascent itself is in float32)
CELLS_AT_ONCE = 1 << 18  # nodes per batch times neurons
MEMORY_CELLS = 1 << 28  # of the open nodes together


@dataclass
class _Nodes:
    """A batch of nodes: number, splits as (N, U) signs, slopes and multipliers (N, U), row weights (N, R), bound."""

    ids: np.ndarray
    phases: np.ndarray
    slopes: np.ndarray
    multipliers: np.ndarray
    weights: np.ndarray
    bound: np.ndarray

    def __getitem__(self, where: np.ndarray) -> _Nodes:
        return _Nodes(*(getattr(self, name)[where] for name in self.__dataclass_fields__))

    @staticmethod
    def join(parts: list[_Nodes]) -> _Nodes:
        return _Nodes(*(np.concatenate([getattr(p, n) for p in parts]) for n in _Nodes.__dataclass_fields__))


@dataclass(frozen=True)
class PhaseExplorer:
    """The same interface as ``Explorer.explore``, by phases: a box is closed as a whole or not at all."""

    explorer: Explorer
    margin: float = MARGIN

    def explore(self, lower: np.ndarray, upper: np.ndarray, budget: Budget, stop_at: float = 0.0) -> Exploration:
        """Search below boxes (K, inputs), one after another, each until closed, violated, or the budget ends."""
        boxes = zip(lower, upper, strict=True)
        return joined([PhaseSearch(self.explorer, low, up, self.margin).run(budget, stop_at) for low, up in boxes])


class PhaseSearch:
    """The tree over one box; ``run`` works until the box is closed, a violation is seen, or the budget ends."""

    def __init__(self, explorer: Explorer, lower: np.ndarray, upper: np.ndarray, margin: float = MARGIN) -> None:
        self.explorer, self.lower, self.upper = explorer, lower, upper
        exact = BoxBounder(explorer.network, explorer.rows).bounds(lower[None], upper[None])
        dtype = np.dtype(explorer.precision)
        self.network: ReluNetwork = explorer.network.astype(dtype)
        rows = explorer.rows
        self.rows = Rows(rows.x.astype(dtype), rows.y.astype(dtype), rows.constant.astype(dtype))
        self.frame64 = Frame(
            (lower + upper) / 2,
            (upper - lower) / 2,
            [l[0] for l, _ in exact.ranges],
            [u[0] for _, u in exact.ranges],
        )
        self.frame = Frame(
            self.frame64.mid.astype(dtype),
            self.frame64.rad.astype(dtype),
            [l.astype(dtype) for l in self.frame64.lower],
            [u.astype(dtype) for u in self.frame64.upper],
        )
        unstable = [np.flatnonzero((l < 0) & (u > 0)) for l, u in zip(self.frame.lower, self.frame.upper)]
        self.crown = float(exact.lower[0].max(initial=-np.inf))
        self.least = margin * self._size(exact.ranges)
        self.neurons = np.array([(k, i) for k, where in enumerate(unstable) for i in where]).reshape(-1, 2)
        self.columns = [np.flatnonzero(self.neurons[:, 0] == k) for k in range(len(unstable))]
        self.places = unstable
        self.closed: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # words up to the multipliers, multipliers (U,)
        self.split: dict[int, tuple[int, int]] = {}  # column of the neuron, first child
        self.open: list[_Nodes] = [self._root()]
        self.count = 1
        self.stalled = 0  # times that fully split nodes were met and not closed
        self.attained, self.point = np.inf, (lower + upper) / 2

    def run(self, budget: Budget, stop_at: float = 0.0) -> Exploration:
        steps = ROOT_STEPS
        if self.crown > self.least:
            self.open = []  # the default rule proves the box: no tree, and a margin that can be stated
        while self.open and self.attained > stop_at and self.count < budget.nodes and not budget.over:
            if self.stalled > PATIENCE or self._open_cells() > MEMORY_CELLS:
                break
            self._step(self._take(), steps)
            steps = STEPS
        return self._result()

    def _size(self, ranges: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """What the rows' terms add up to in absolute value on the box: the checker's rounding is relative to it."""
        values = [np.maximum(np.abs(self.lower), np.abs(self.upper)), *(np.maximum(u[0], 0) for _, u in ranges)]
        output, rows = self.explorer.network.output, self.explorer.rows
        outputs = sum((push(abs(w), values[s]) for s, w in output.terms), start=np.abs(output.bias))
        terms = np.abs(rows.x) @ values[0] + np.abs(rows.y) @ outputs + np.abs(rows.constant)
        return float(terms.max(initial=0.0))

    def _open_cells(self) -> int:
        return sum(len(nodes.ids) for nodes in self.open) * len(self.neurons)

    def _root(self) -> _Nodes:
        size, count = len(self.neurons), len(self.rows.constant)
        l = np.concatenate([self.frame.lower[k][p] for k, p in enumerate(self.places)])
        u = np.concatenate([self.frame.upper[k][p] for k, p in enumerate(self.places)])
        slopes = (u > -l).astype(np.float32)[None]
        zero = np.zeros((1, size), dtype=np.float32)
        weights = np.full((1, count), 1 / max(count, 1), dtype=np.float32)
        return _Nodes(np.zeros(1, dtype=np.int64), zero.astype(np.int8), slopes, zero, weights, np.full(1, -np.inf))

    def _take(self) -> _Nodes:
        """The nodes farthest from being closed."""
        nodes = _Nodes.join(self.open)
        count = int(np.clip(CELLS_AT_ONCE // sum(self.network.widths), 1, 256))
        order = np.argsort(nodes.bound, kind="stable")
        self.open = [nodes[order[count:]]] if len(order) > count else []
        return nodes[order[:count]]

    def _spread(self, values: np.ndarray) -> list[np.ndarray]:
        """Per-layer arrays (N, n) from values of the unstable neurons (N, U)."""
        out = []
        for k, (columns, places) in enumerate(zip(self.columns, self.places, strict=True)):
            layer = np.zeros((len(values), len(self.frame.lower[k])), dtype=values.dtype)
            layer[:, places] = values[:, columns]
            out.append(layer)
        return out

    def _gather(self, layers: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([layer[:, places] for layer, places in zip(layers, self.places, strict=True)], axis=1)

    def _evaluate(self, nodes: _Nodes, frame: Frame, network: ReluNetwork, rows: Rows) -> Pass:
        dtype = frame.mid.dtype
        duals = Duals(
            self._spread(nodes.slopes.astype(dtype)),
            self._spread(nodes.multipliers.astype(dtype)),
            nodes.weights.astype(dtype),
        )
        return evaluate(network, rows, frame, self._spread(nodes.phases), duals, np)

    def _step(self, nodes: _Nodes, steps: int) -> None:
        nodes, last = self._ascend(nodes, steps)
        values = self.explorer.values(last.point.astype(float))
        if values.min() < self.attained:
            self.attained, self.point = float(values.min()), last.point[values.argmin()].astype(float)
        stored = self._as_stored(nodes)
        bound = self._evaluate(stored, self.frame64, self.explorer.network, self.explorer.rows).bound
        closed = bound > self.least
        for i in np.flatnonzero(closed):
            self.closed[int(nodes.ids[i])] = _head(stored, i), stored.multipliers[i]
        self._branch(nodes[~closed], self._gather(last.gap)[~closed])

    def _branch(self, nodes: _Nodes, gap: np.ndarray) -> None:
        """Split each node at the neuron whose relaxation costs most; fully split nodes are bounded again."""
        if not len(nodes.ids):
            return
        gap = np.where(nodes.phases == 0, gap, -1.0)
        column = gap.argmax(axis=1) if gap.shape[1] else np.zeros(len(gap), dtype=int)
        fixed = gap.max(axis=1, initial=-1.0) < 0
        if fixed.any():
            self.open.append(nodes[fixed])
            self.stalled += 1
        nodes, column = nodes[~fixed], column[~fixed]
        row = np.arange(len(nodes.ids))
        first = self.count + 2 * row
        self.count += 2 * len(row)
        self.split.update(zip(nodes.ids.tolist(), zip(column.tolist(), first.tolist()), strict=True))
        for offset, sign in ((0, -1), (1, 1)):
            child = nodes[row]
            child.ids = first + offset
            child.phases = child.phases.copy()
            child.phases[row, column] = sign
            self.open.append(child)

    def _ascend(self, nodes: _Nodes, steps: int) -> tuple[_Nodes, Pass]:
        """Adam on the duals, projected; keeps the best duals of every node. Returns them with their last pass."""
        slopes, multipliers, weights = nodes.slopes.copy(), nodes.multipliers.copy(), nodes.weights.copy()
        best = _Nodes(nodes.ids, nodes.phases, slopes.copy(), multipliers.copy(), weights.copy(), nodes.bound.copy())
        best.bound[:] = -np.inf
        split = nodes.phases != 0
        moments = [np.zeros_like(v) for v in (slopes, slopes, multipliers, multipliers)]
        rate = 1.0
        last: Pass | None = None
        for step in range(1, steps + 1):
            current = _Nodes(nodes.ids, nodes.phases, slopes, multipliers, weights, best.bound)
            last = self._evaluate(current, self.frame, self.network, self.rows)
            better = last.bound > best.bound
            best.slopes[better], best.multipliers[better] = slopes[better], multipliers[better]
            best.weights[better], best.bound[better] = weights[better], last.bound[better]
            if step == steps or (best.bound > EASY * self.least).all():
                break
            g_slopes, g_multipliers = self._gather(last.gradient.slopes), self._gather(last.gradient.multipliers)
            slopes = np.clip(slopes + rate * SLOPE_RATE * _adam(g_slopes, moments, 0, step), 0, 1)
            move = rate * MULTIPLIER_RATE * self._reach(last) * _adam(g_multipliers, moments, 2, step)
            multipliers = np.where(split, np.maximum(multipliers + move, 0), 0).astype(np.float32)
            weights = _reweigh(weights, last.gradient.weights, rate)
            rate *= DECAY
        assert last is not None
        return best, last

    def _reach(self, last: Pass) -> np.ndarray:
        """The scale of every neuron's multiplier (N, U): the largest coefficient on its layer."""
        columns = [np.repeat(r, len(p), axis=1) for r, p in zip(last.reach, self.places, strict=True)]
        return np.concatenate(columns, axis=1)

    def _as_stored(self, nodes: _Nodes) -> _Nodes:
        """The duals as the certificate will hold them, in float64."""
        slopes = np.round(np.clip(nodes.slopes, 0, 1) * 255) / 255
        multipliers = nodes.multipliers.astype(np.float32).astype(float)
        return _Nodes(nodes.ids, nodes.phases, slopes, multipliers, nodes.weights.astype(float), nodes.bound)

    def _result(self) -> Exploration:
        done = not self.open
        piece = self._words() if done else np.array([OPEN], dtype=np.int64)
        bound = min((float(nodes.bound.min()) for nodes in self.open if len(nodes.ids)), default=np.inf)
        return Exploration(
            (piece,),
            np.empty((0, len(self.lower))) if done else self.lower[None],
            np.empty((0, len(self.upper))) if done else self.upper[None],
            np.zeros(0 if done else 1, dtype=bool),
            self.count,
            self.attained,
            self.point,
            bound,
            self.stalled > PATIENCE or self._open_cells() > MEMORY_CELLS,
        )

    def _words(self) -> np.ndarray:
        """The closed tree in the certificate's words."""
        if not self.closed:
            return np.array([LEAF], dtype=np.int64)
        parts = [np.concatenate([[FRAME, len(self.neurons)], self.neurons.reshape(-1)])]
        stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        while stack:
            node, path = stack.pop()
            if node in self.split:
                column, child = self.split[node]
                parts.append(np.concatenate([[RELU], self.neurons[column]]))
                stack.append((child + 1, (*path, column)))
                stack.append((child, (*path, column)))
            else:
                head, multipliers = self.closed[node]
                parts += [head, _as_words(multipliers[list(path)])]
        return np.concatenate(parts).astype(np.int64)


def _head(stored: _Nodes, i: int) -> np.ndarray:
    """HINTED, the row weights, and the slopes two to a word."""
    steps = np.round(stored.slopes[i] * 255).astype(np.int64)
    pairs = np.concatenate([steps, np.zeros(len(steps) % 2, dtype=np.int64)]).reshape(-1, 2)
    return np.concatenate([[HINTED], _as_words(stored.weights[i]), pairs[:, 0] << 8 | pairs[:, 1]])


def _as_words(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype="<f4").view("<u2").astype(np.int64)


def _adam(gradient: np.ndarray, moments: list[np.ndarray], at: int, step: int) -> np.ndarray:
    """Adam's direction (Kingma and Ba 2015); updates the two moments at ``at``."""
    moments[at] = 0.9 * moments[at] + 0.1 * gradient
    moments[at + 1] = 0.999 * moments[at + 1] + 0.001 * gradient * gradient
    return (moments[at] / (1 - 0.9**step)) / (np.sqrt(moments[at + 1] / (1 - 0.999**step)) + 1e-8)


def _reweigh(weights: np.ndarray, values: np.ndarray, rate: float) -> np.ndarray:
    """One multiplicative-weights step towards the rows that are largest at the relaxed minimiser."""
    if weights.shape[1] < 2:
        return weights
    spread = np.abs(values).max(axis=1, keepdims=True)
    moved = weights * np.exp(rate * values / np.where(spread > 0, spread, 1))
    return (moved / moved.sum(axis=1, keepdims=True)).astype(np.float32)
