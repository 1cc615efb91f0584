"""Bounds of nodes, many at once: refreshed intermediate bounds, then the final rows of every case still open.

The root's intermediate bounds are found layer by layer, first with the default slopes and, if that proves too little,
each neuron with slopes of its own; a child takes over its parent's bounds and improves those of the layers behind its
split, from the parent's duals on. All duals are rounded to what a
certificate stores *before* the bound that is used is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.dual import Duals, Frame, backward, evaluate, lines
from relaxations.maps.linear import nonzeros
from relaxations.network import Layer, ReluNetwork, push
from verifier.engine.phases.branching import candidates
from verifier.engine.phases.node import COARSE, FINE, FinalDuals, Node, RowDuals

ROOT_STEPS, STEPS = 15, 3  # of ascent on intermediate bounds, at the root and at every other node
FINAL_ROOT_STEPS, FINAL_STEPS = 40, 12
ROOT_RATES, RATES = Rates(0.25, 0.2, 0.93), Rates(0.2, 0.2, 0.95)
WEIGHT_RATE = 0.5
FEW, MANY = (3, 1), (6, 2)  # neurons tried before one is split: of the largest total, and of the largest direct cost
HEAVY = 1e9  # multiply-adds of refreshing a node, from which on few are tried
CELLS_AT_ONCE = 1 << 19  # rows times neurons of one batch; bounds memory, not results
ROOT_OPERATIONS = 2e10  # multiply-adds the root may spend on the ascent of one layer's bounds
NODE_OPERATIONS = 2e10  # and a later node
PAD = 1e-5  # of a range: how much wider the search believes it, because it rounds in float32
EASY = 1e4  # times the least bound: rows this far above it need no more steps


@dataclass(frozen=True)
class Target:
    """The rows of all cases over one box, as one layer; ``first[c] : first[c + 1]`` are those of case c."""

    layer: Layer
    first: np.ndarray

    @property
    def cases(self) -> int:
        return len(self.first) - 1


class Bounding:
    """Bounds nodes of one box. ``least`` is the bound above which a row counts as proved."""

    def __init__(
        self, network: ReluNetwork, target: Target, lower: np.ndarray, upper: np.ndarray, caution: float = 1.0
    ) -> None:
        self.exact, self.target, self.lower, self.upper = network, target, lower, upper
        self.network = network.astype(np.float32)
        layer = target.layer
        self.layer = Layer(tuple((s, w.astype(np.float32)) for s, w in layer.terms), layer.bias.astype(np.float32))
        self.mid, self.rad = (lower + upper) / 2, (upper - lower) / 2
        self.mid32, self.rad32 = self.mid.astype(np.float32), self.rad.astype(np.float32)
        self.caution = caution
        self.least = 0.0
        self.deep: set[int] = set()  # layers whose bounds are refreshed in the tree
        sizes = np.cumsum(self.network.widths)
        self.rows_at_once = [int(max(8, CELLS_AT_ONCE // size)) for size in sizes]
        work = [sum(nonzeros(w) for _, w in z.terms) + 20 * len(z.bias) for z in network.layers]
        self.work = 4 * np.cumsum(work)  # of one step of one row on layer k, forward and backward

    def root(self) -> Node:
        """The whole box, with intermediate bounds by intervals and CROWN."""
        node = Node(0, (), [], [], {}, np.arange(self.target.cases), self._fresh_final())
        magnitude = [np.maximum(np.abs(self.lower), np.abs(self.upper))]
        ranges = [(self.lower, self.upper)]
        for k, layer in enumerate(self.network.layers):
            l, u = _interval(self.exact.layers[k], ranges)
            node.lower.append(l.astype(np.float32)), node.upper.append(u.astype(np.float32))
            if any(source > 0 for source, _ in layer.terms) or len(layer.terms) > 1:
                self._refine_root(node, k)
            l, u = node.lower[k].astype(float), node.upper[k].astype(float)
            ranges.append((np.maximum(l, 0), np.maximum(u, 0)))
            magnitude.append(np.maximum(u, 0))
        node.refreshed = tuple(sorted(node.rows))
        size = sum((push(abs(w), magnitude[s]) for s, w in self.target.layer.terms), np.abs(self.target.layer.bias))
        self.least = 1e-9 * self.caution * float(np.max(size, initial=0.0))
        return node

    def _fresh_final(self) -> FinalDuals:
        first, cases = self.target.first, self.target.cases
        weights = np.zeros((cases, first[-1]), dtype=np.float32)
        for case in range(cases):
            weights[case, first[case] : first[case + 1]] = 1 / (first[case + 1] - first[case])
        return FinalDuals((), np.zeros((cases, 0), dtype=np.float32), weights)

    def _refine_root(self, node: Node, k: int) -> None:
        """Bounds of layer k by one pass with the default slopes, which all rows share."""
        unstable = _unstable(node, k)
        if not len(unstable):
            return
        slopes = tuple(COARSE * (u > -l)[None].astype(np.uint8) for l, u in zip(node.lower[:k], node.upper[:k]))
        node.rows[k] = RowDuals(unstable, slopes, np.zeros((1, 0), dtype=np.float32), None)
        self._ascend_rows([node], k, [unstable], 0, ROOT_RATES, keep=False)

    def deepen(self, root: Node) -> None:
        """Improve the root's bounds, each neuron with slopes of its own, on every layer where that pays."""
        root.refreshed = ()
        for k in sorted(root.rows):
            unstable = _unstable(root, k)
            operations = len(unstable) * 2.0 * float(self.work[k])
            if not len(unstable) or 3 * operations > ROOT_OPERATIONS:
                continue
            self.deep.add(k)
            root.refreshed = (*root.refreshed, k)
            count = 2 * len(unstable)
            default = [COARSE * (u > -l)[None].astype(np.uint8) for l, u in zip(root.lower[:k], root.upper[:k])]
            slopes = tuple(np.repeat(s, count, axis=0) for s in default)
            gap = tuple(np.zeros(s.shape, dtype=np.uint16) for s in slopes)
            root.rows[k] = RowDuals(unstable, slopes, np.zeros((count, 0), dtype=np.float32), gap)
            self._ascend_rows([root], k, [unstable], int(min(ROOT_STEPS, ROOT_OPERATIONS / operations)), ROOT_RATES)

    def refresh(self, nodes: Sequence[Node]) -> None:
        """Improve the intermediate bounds behind each node's last split; marks nodes found to hold no input."""
        for k in sorted(self.deep):
            mine, neurons = [], []
            for node in nodes:
                if node.changed < k and not node.empty and k in node.rows:
                    unstable = _unstable(node, k)
                    if len(unstable) and 2.0 * len(unstable) * float(self.work[k]) * STEPS <= NODE_OPERATIONS:
                        node.rows[k] = node.rows[k].select(unstable)
                        node.refreshed = (*node.refreshed, k)
                        mine.append(node), neurons.append(unstable)
            if mine:
                self._ascend_rows(mine, k, neurons, STEPS, RATES)

    def glance(self, nodes: Sequence[Node]) -> list[float]:
        """What the open rows of each node lack to be proved (<= 0), by the duals it has taken over and no ascent."""
        for k in sorted(self.deep):
            mine, neurons = [], []
            for node in nodes:
                if node.changed < k and not node.empty and k in node.rows and not node.rows[k].shared:
                    unstable = _unstable(node, k)
                    if len(unstable):
                        mine.append(node), neurons.append(unstable)
            if mine:
                self._ascend_rows(mine, k, neurons, 0, RATES, keep=False)
        alive = [node for node in nodes if not node.empty]
        totals = {id(node): 0.0 for node in nodes}
        if alive:
            depth = len(self.network.layers)
            finals = [self._opened(node) for node in alive]
            frames, phases = self._frames(alive, depth), _phases(alive, depth)
            rows = [(i, p) for i, node in enumerate(alive) for p in range(len(node.pending))]
            for at in range(0, len(rows), self.rows_at_once[-1]):
                o, p = (np.array(part) for part in zip(*rows[at : at + self.rows_at_once[-1]]))
                slopes = [[s for s in final.slopes] for final in finals]
                duals = Duals(
                    tuple(_rows(slopes, j, o, p).astype(np.float32) / FINE for j in range(depth)),
                    self._spread(alive, [final.multipliers for final in finals], o, p, depth),
                    np.stack([finals[i].weights[q] for i, q in zip(o, p)]),
                )
                frame = Frame(self.mid32, self.rad32, *(tuple(b[o] for b in side) for side in frames))
                drawn = lines(frame, tuple(None if s is None else s[o] for s in phases), np)
                bound = backward(self.network, self.layer, frame, drawn, duals, np)[0]
                for i, value in zip(o, bound):
                    totals[id(alive[i])] += min(0.0, float(value))
        return [totals[id(node)] for node in nodes]

    def _ascend_rows(
        self, nodes: list[Node], k: int, neurons: list[np.ndarray], steps: int, rates: Rates, keep: bool = True
    ) -> None:
        """Bound ``neurons[i]`` of layer k in node i, from its stored duals; with ``keep``, store the better ones."""
        layer = self.network.layers[k]
        frames = self._frames(nodes, k)
        phases = _phases(nodes, k)
        # One entry per row: node, position among the node's stored rows, neuron, sign.
        parts = []
        for i, (node, chosen) in enumerate(zip(nodes, neurons)):
            stored = node.rows[k].neurons
            at = np.searchsorted(stored, chosen)
            parts.append(np.stack([np.full(len(chosen), i), at, chosen, np.ones(len(chosen), dtype=int)]))
            parts.append(np.stack([np.full(len(chosen), i), at + len(stored), chosen, -np.ones(len(chosen), dtype=int)]))
        owner, place, neuron, sign = np.concatenate(parts, axis=1)
        bound = np.empty(len(owner))
        updated = [[s.copy() for s in node.rows[k].slopes] for node in nodes]
        multipliers = [_padded(node.rows[k].multipliers, len(node.splits)) for node in nodes]
        gaps = [[g.copy() for g in node.rows[k].gap or ()] for node in nodes]
        for at in range(0, len(owner), self.rows_at_once[k]):
            part = slice(at, at + self.rows_at_once[k])
            o, p, n = owner[part], place[part], neuron[part]
            weights = np.zeros((len(o), len(layer.bias)), dtype=np.float32)
            weights[np.arange(len(o)), n] = sign[part]
            shared = nodes[0].rows[k].shared
            if shared:
                slopes = tuple(np.repeat(s, len(o), axis=0).astype(np.float32) / COARSE for s in updated[0])
            else:
                slopes = tuple(_rows(updated, j, o, p).astype(np.float32) / COARSE for j in range(k))
            duals = Duals(slopes, self._spread(nodes, multipliers, o, p, k), weights)
            frame = Frame(self.mid32, self.rad32, *(tuple(b[o] for b in side) for side in frames))
            drawn = lines(frame, tuple(None if s is None else s[o] for s in phases), np)
            if not keep:
                bound[part] = backward(self.network, layer, frame, drawn, duals, np)[0]
            else:
                duals = _stored(ascend(self.network, layer, frame, drawn, duals, steps, rates), COARSE)
                seen = evaluate(self.network, layer, frame, drawn, duals, np, with_cost=True)
                bound[part] = seen.bound
                for j in range(k):
                    steps_j = np.round(duals.slopes[j] * COARSE).astype(np.uint8)
                    cost = _halved(seen.cost[j])
                    for i in np.unique(o):
                        mine = o == i
                        updated[i][j][p[mine]] = steps_j[mine]
                        gaps[i][j][p[mine]] = cost[mine]
                _gather_multipliers(nodes, duals.multipliers, o, p, multipliers)
        for i, (node, chosen) in enumerate(zip(nodes, neurons)):
            if keep:
                stored = node.rows[k].neurons
                node.rows[k] = RowDuals(stored, tuple(updated[i]), multipliers[i], tuple(gaps[i]))
            low, up = bound[(owner == i) & (sign > 0)], -bound[(owner == i) & (sign < 0)]
            self._intersect(node, k, chosen, low, up)

    def _intersect(self, node: Node, k: int, neurons: np.ndarray, low: np.ndarray, up: np.ndarray) -> None:
        lower, upper = node.lower[k].copy(), node.upper[k].copy()
        pad = PAD * self.caution * np.maximum(np.abs(low), np.abs(up))
        lower[neurons] = np.maximum(lower[neurons], low - pad)
        upper[neurons] = np.minimum(upper[neurons], up + pad)
        node.empty = node.empty or bool((lower > upper).any())
        node.lower[k], node.upper[k] = lower, upper

    def conclude(self, nodes: Sequence[Node], steps: int) -> list[list[tuple[int, FinalDuals]]]:
        """Bound the open cases of every node: those proved leave ``pending`` and are returned with their duals."""
        depth = len(self.network.layers)
        alive = [node for node in nodes if not node.empty]
        if not alive:
            return [[] for _ in nodes]
        finals = {id(node): self._opened(node) for node in alive}
        rows = [(i, p) for i, node in enumerate(alive) for p in range(len(node.pending))]
        proved: dict[int, list[tuple[int, FinalDuals]]] = {id(node): [] for node in nodes}
        costs: dict[int, list[np.ndarray]] = {}
        kept: dict[int, list[int]] = {id(node): [] for node in alive}
        frames, phases = self._frames(alive, depth), _phases(alive, depth)
        stored = [[s.copy() for s in finals[id(node)].slopes] for node in alive]
        multipliers = [finals[id(node)].multipliers.copy() for node in alive]
        weights = [finals[id(node)].weights.copy() for node in alive]
        single = np.diff(self.target.first).max(initial=1) == 1
        rates = RATES if single else RATES._replace(weights=WEIGHT_RATE)
        for at in range(0, len(rows), self.rows_at_once[-1]):
            o, p = (np.array(part) for part in zip(*rows[at : at + self.rows_at_once[-1]]))
            slopes = tuple(_rows(stored, j, o, p).astype(np.float32) / FINE for j in range(depth))
            duals = Duals(
                slopes,
                self._spread(alive, multipliers, o, p, depth),
                np.stack([weights[i][q] for i, q in zip(o, p)]),
            )
            frame = Frame(self.mid32, self.rad32, *(tuple(b[o] for b in side) for side in frames))
            drawn = lines(frame, tuple(None if s is None else s[o] for s in phases), np)
            duals = ascend(self.network, self.layer, frame, drawn, duals, steps, rates, EASY * self.least)
            duals = _stored(duals, FINE)
            seen = evaluate(self.network, self.layer, frame, drawn, duals, np, with_cost=True)
            sure = np.zeros(len(o), dtype=bool)
            close = np.flatnonzero(seen.bound > self.least)
            if len(close):
                sure[close] = self._exactly(frame, drawn.phase, duals, close) > self.least
            _gather_multipliers(alive, duals.multipliers, o, p, multipliers)
            for r, (i, q) in enumerate(zip(o, p)):
                node = alive[i]
                weights[i][q] = duals.weights[r]
                for j in range(depth):
                    stored[i][j][q] = np.round(duals.slopes[j][r] * FINE).astype(np.uint8)
                if sure[r]:
                    one = FinalDuals(tuple(s[q] for s in stored[i]), multipliers[i][q], weights[i][q])
                    proved[id(node)].append((int(node.pending[q]), one))
                    continue
                kept[id(node)].append(q)
                node.missing = min(0.0, float(seen.bound[r])) + (node.missing if len(kept[id(node)]) > 1 else 0.0)
                if seen.bound[r] < node.bound or len(kept[id(node)]) == 1:
                    node.bound, node.point = float(seen.bound[r]), seen.point[r].astype(float)
                    node.worst = int(node.pending[q])
                cost = [c[r].astype(float) for c in seen.cost]
                costs[id(node)] = [a + b for a, b in zip(costs[id(node)], cost)] if id(node) in costs else cost
        for i, node in enumerate(alive):
            left = np.array(kept[id(node)], dtype=int)
            node.final = FinalDuals(tuple(stored[i]), multipliers[i], weights[i])[left]
            node.pending = node.pending[left]
            if len(left):
                heavy = sum(2.0 * len(_unstable(node, k)) * float(self.work[k]) for k in self.deep) > HEAVY
                node.candidates = candidates(node, costs[id(node)], *(FEW if heavy else MANY))
        return [proved[id(node)] for node in nodes]

    def _opened(self, node: Node) -> FinalDuals:
        """The node's final duals, with default slopes where there are none yet and multipliers for new splits."""
        final = node.final
        slopes = final.slopes
        if not slopes:
            count = len(node.pending)
            default = (FINE * (u > -l)[None].astype(np.uint8) for l, u in zip(node.lower, node.upper))
            slopes = tuple(np.repeat(s, count, axis=0) for s in default)
        return FinalDuals(slopes, _padded(final.multipliers, len(node.splits)), final.weights)

    def _exactly(self, frame: Frame, phases: tuple[np.ndarray | None, ...], duals: Duals, at: np.ndarray) -> np.ndarray:
        """The same bounds in float64, of the rows ``at``."""

        def pick(parts: tuple[np.ndarray | None, ...]) -> tuple[np.ndarray | None, ...]:
            return tuple(None if part is None else part[at].astype(float) for part in parts)

        wide = Frame(self.mid, self.rad, pick(frame.lower), pick(frame.upper))
        chosen = Duals(pick(duals.slopes), pick(duals.multipliers), duals.weights[at].astype(float))
        return backward(self.exact, self.target.layer, wide, lines(wide, pick(phases), np), chosen, np)[0]

    def _frames(self, nodes: Sequence[Node], depth: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        lower = [np.stack([node.lower[j] for node in nodes]) for j in range(depth)]
        return lower, [np.stack([node.upper[j] for node in nodes]) for j in range(depth)]

    def _spread(
        self, nodes: Sequence[Node], stored: list[np.ndarray], owner: np.ndarray, place: np.ndarray, depth: int
    ) -> tuple[np.ndarray | None, ...]:
        """Multipliers of the splits as (N, n) per layer, None for a layer that no node has split."""
        out: list[np.ndarray | None] = [None] * depth
        for i in np.unique(owner):
            rows = np.flatnonzero(owner == i)
            for s, (layer, neuron, _) in enumerate(nodes[i].splits):
                if layer < depth:
                    if out[layer] is None:
                        out[layer] = np.zeros((len(owner), len(self.network.layers[layer].bias)), dtype=np.float32)
                    out[layer][rows, neuron] = stored[i][place[rows], s]  # type: ignore[index]
        # A layer split in some node of the batch, though in none of these rows, still has phases.
        for j, signs in enumerate(_phases(nodes, depth)):
            if signs is not None and out[j] is None:
                out[j] = np.zeros((len(owner), len(self.network.layers[j].bias)), dtype=np.float32)
        return tuple(out)


def _unstable(node: Node, k: int) -> np.ndarray:
    return np.flatnonzero((node.lower[k] < 0) & (node.upper[k] > 0))


def _interval(layer: Layer, ranges: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Interval bounds of a layer's values from those of what it reads, widened for the rounding to float32."""
    center, radius = layer.bias.astype(float), np.zeros(len(layer.bias))
    for source, weight in layer.terms:
        low, up = ranges[source]
        center = center + push(weight, (low + up) / 2)
        radius = radius + push(abs(weight), (up - low) / 2)
    radius = radius + 1e-6 * (np.abs(center) + radius)
    return center - radius, center + radius


def _phases(nodes: Sequence[Node], depth: int) -> tuple[np.ndarray | None, ...]:
    """Signs (nodes, n) per layer, None for a layer that no node has split."""
    out: list[np.ndarray | None] = []
    for j in range(depth):
        signs = [node.phase(j) for node in nodes]
        split = [s for s in signs if s is not None]
        out.append(np.stack([np.zeros_like(split[0]) if s is None else s for s in signs]) if split else None)
    return tuple(out)


def _rows(stored: list[list[np.ndarray]], j: int, owner: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Rows (N, n_j): of each entry, row ``place`` of what its owner has stored for layer j."""
    out = np.empty((len(owner), stored[0][j].shape[1]), dtype=stored[0][j].dtype)
    for i in np.unique(owner):
        rows = owner == i
        out[rows] = stored[i][j][place[rows]]
    return out


def _padded(multipliers: np.ndarray, splits: int) -> np.ndarray:
    """Multipliers (N, S) with zeros for the splits made since."""
    return np.pad(multipliers, ((0, 0), (0, splits - multipliers.shape[1])))


def _gather_multipliers(
    nodes: Sequence[Node],
    multipliers: tuple[np.ndarray | None, ...],
    owner: np.ndarray,
    place: np.ndarray,
    out: list[np.ndarray],
) -> None:
    """Write the multipliers (N, n) per layer back to the places of their rows and splits."""
    for i in np.unique(owner):
        rows = np.flatnonzero(owner == i)
        for s, (layer, neuron, _) in enumerate(nodes[i].splits):
            if layer < len(multipliers):
                values = multipliers[layer]
                assert values is not None
                out[i][place[rows], s] = values[rows, neuron]


def _stored(duals: Duals, levels: int) -> Duals:
    """The duals as a certificate holds them: slopes in steps, multipliers of intermediate rows cut to 16 bits."""
    slopes = tuple(np.round(np.clip(s, 0, 1) * levels) / np.float32(levels) for s in duals.slopes)
    if levels == FINE:
        return Duals(slopes, duals.multipliers, duals.weights)
    return Duals(slopes, tuple(None if b is None else _cut(b) for b in duals.multipliers), duals.weights)


def _halved(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers; shifted back where they are read."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def _cut(values: np.ndarray) -> np.ndarray:
    """Float32 numbers with the lower half of their bits cleared."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


