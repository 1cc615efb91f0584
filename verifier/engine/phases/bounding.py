"""Bounds of nodes, many at once: refreshed intermediate bounds, then the final rows of every case still open.

The root's intermediate bounds are found layer by layer, first with the default slopes and, if that proves too little,
each neuron with slopes of its own; a child takes over its parent's bounds and improves those of the layers behind its
split, from the parent's duals on. All duals are rounded to what a certificate stores *before* the bound that is used
is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.dual import Duals, Frame, Lines, backward, evaluate, lines
from relaxations.bounds.symbols import Symbols
from relaxations.bounds.zonotope import zonotope
from relaxations.maps.linear import nonzeros
from relaxations.network import Layer, ReluNetwork, push
from relaxations.slimming import slimmed
from verifier.engine.phases.batch import Batch, as_stored, halved, padded
from verifier.engine.phases.branching import candidates
from verifier.engine.phases.cutting import BAND, Cut, CutSearch
from verifier.engine.phases.node import COARSE, FINE, FinalDuals, Node, RowDuals
from verifier.engine.phases.reach import Behind, behind_split, split_alone
from verifier.engine.phases.view import View

ROOT_STEPS, STEPS = 15, 3  # of ascent on intermediate bounds, at the root and at every other node
FINAL_ROOT_STEPS, FINAL_STEPS = 40, 12
ROOT_RATES, RATES = Rates(0.25, 0.2, 0.93), Rates(0.2, 0.2, 0.95)
WEIGHT_RATE = 0.5
FEW, MANY = (3, 1), (6, 2)  # neurons tried before one is split: of the largest total, and of the largest direct cost
HEAVY = 1e9  # multiply-adds of refreshing a node, from which on few are tried
CELLS_AT_ONCE = 1 << 19  # rows times neurons of one batch; bounds memory, not results
ROOT_OPERATIONS = 2e10  # multiply-adds the root may spend on the ascent of one layer's bounds
NODE_OPERATIONS = 2e10  # and a later node
MOVED = 0.01  # of its range: a bound that has moved by less moves no later ones
NEARLY = 0.05  # of its range a neuron may miss of being stable for a split to be hoped to make it so
DEPENDS = 1e-30  # what a relaxed neuron costs a bound at least, if the bound depends on it
TINY = 1e-30
PAD = 3e-5  # of a range: how much wider the search believes it, because it rounds in float32
LARGEST_ZONOTOPE = 1 << 25  # coefficients
LOST = 1e3  # times the least bound: what float32 may have made of a bound; float64 decides
PRECISION = 4e-6  # of a row's size in a zonotope: what float32 may have made of it
Ascend = Callable[..., Duals]

EASY = 1e4  # times the least bound: rows this far above it need no more steps


class OutOfTime(Exception):
    """The time was over in the middle of bounding; what was begun is to be forgotten."""


@dataclass(frozen=True)
class Target:
    """The rows of all cases over one box, as one layer; ``first[c] : first[c + 1]`` are those of case c."""

    layer: Layer
    first: np.ndarray

    @property
    def cases(self) -> int:
        return len(self.first) - 1


class Bounding:
    """Bounds nodes of one box. ``least`` is the bound above which a row counts as proved.

    ``ascend`` is ``relaxations.bounds.ascent.ascend`` or does the same. With ``symbols`` the root's bounds are those of
    a zonotope, too, which pays where there are few inputs. ``map(function, jobs)`` works through
    independent batches of rows; by default here, one after another. Where ``over()`` turns true in between, OutOfTime
    is raised.
    """

    def __init__(
        self,
        network: ReluNetwork,
        target: Target,
        lower: np.ndarray,
        upper: np.ndarray,
        caution: float = 1.0,
        ascend: Ascend = ascend,
        symbols: bool = False,
    ) -> None:
        self.exact, self.target, self.lower, self.upper = network, target, lower, upper
        self.network = network.astype(np.float32)
        self.layer = target.layer.astype(np.float32)
        self.mid, self.rad = (lower + upper) / 2, (upper - lower) / 2
        self.mid32, self.rad32 = self.mid.astype(np.float32), self.rad.astype(np.float32)
        self.caution, self.ascend, self.symbols = caution, ascend, symbols
        self.map: Callable[..., Iterable[Any]] = map
        self.over: Callable[[], bool] = _never
        self.least = 0.0
        self.deep: set[int] = set()  # layers whose bounds are refreshed in the tree
        self.influence: list[np.ndarray] = []  # (inputs, n) by layer, with symbols: what each input adds to half ranges
        # Trees of dense networks get small by refreshed bounds, those of convolutional ones hardly do.
        self.dense = all(isinstance(weight, np.ndarray) for layer in network.layers for _, weight in layer.terms)
        sizes = np.cumsum(self.network.widths)
        # Powers of two: a tier that compiles a program for each shape of batch then needs few.
        self.rows_at_once = [1 << max(3, int(CELLS_AT_ONCE // size).bit_length() - 1) for size in sizes]
        work = [sum(nonzeros(w) for _, w in z.terms) + 20 * len(z.bias) for z in network.layers]
        self.work = 4 * np.cumsum(work)  # of one step of one row on layer k, forward and backward

    def __getstate__(self) -> dict[str, Any]:
        """Another process does its own work itself."""
        return {**self.__dict__, "map": map, "over": _never}

    def root(self) -> Node:
        """The whole box, with intermediate bounds by intervals, CROWN, and symbols if they are wanted."""
        node = Node(0, (), [], [], {}, np.arange(self.target.cases), self._fresh_final(), signs=self.exact.signs)
        magnitude = [np.maximum(np.abs(self.lower), np.abs(self.upper))]
        ranges = [(self.lower, self.upper)]
        zonotope = Symbols(self.network, self.mid32, self.rad32) if self.symbols else None
        for k, layer in enumerate(self.network.layers):
            l, u = _interval(self.exact.layers[k], ranges)
            if zonotope is not None:
                low, up = zonotope.range_of(layer)
                self.influence.append(zonotope.influence)
                pad = PAD * self.caution * np.maximum(np.abs(low), np.abs(up))
                l, u = np.maximum(l, low - pad), np.minimum(u, up + pad)
            node.lower.append(l.astype(np.float32)), node.upper.append(u.astype(np.float32))
            if any(source > 0 for source, _ in layer.terms) or len(layer.terms) > 1:
                self._refine_root(node, k)
            if zonotope is not None:
                zonotope.relu(node.lower[k], node.upper[k])
            l, u = node.lower[k].astype(float), node.upper[k].astype(float)
            ranges.append((layer.output(l), layer.output(u)))
            magnitude.append(np.maximum(np.abs(ranges[-1][0]), np.abs(ranges[-1][1])))
        node.refreshed = {k: rows.neurons for k, rows in node.rows.items()}
        size = sum((push(abs(w), magnitude[s]) for s, w in self.target.layer.terms), np.abs(self.target.layer.bias))
        self.least = 1e-9 * self.caution * float(np.max(size, initial=0.0))
        return node

    def slimmed(self, root: Node) -> tuple[Bounding, tuple[np.ndarray, ...]]:
        """The same without the neurons that are idle on the whole box, and those that are kept, by layer."""
        idle = [(u <= 0) & (k not in root.signs) for k, u in enumerate(root.upper)]
        network, layer, kept = slimmed(self.exact, self.target.layer, idle)
        target = Target(layer, self.target.first)
        slim = type(self)(network, target, self.lower, self.upper, self.caution, self.ascend, self.symbols)
        slim.map, slim.over, slim.least, slim.deep = self.map, self.over, self.least, self.deep
        slim.dense = self.dense
        slim.influence = [rows[:, keep] for rows, keep in zip(self.influence, kept)]
        return slim, kept

    def heavy(self, node: Node) -> bool:
        """Whether refreshing a child of the node takes long."""
        return sum(2.0 * len(node.unstable(k)) * float(self.work[k]) for k in self.deep) > HEAVY

    def _fresh_final(self) -> FinalDuals:
        first, cases = self.target.first, self.target.cases
        weights = np.zeros((cases, first[-1]), dtype=np.float32)
        for case in range(cases):
            weights[case, first[case] : first[case + 1]] = 1 / (first[case + 1] - first[case])
        return FinalDuals((), np.zeros((cases, 0), dtype=np.float32), weights)

    def _refine_root(self, node: Node, k: int) -> None:
        """Bounds of layer k by one pass with the default slopes, which all rows share."""
        unstable = node.unstable(k)
        if not len(unstable):
            return
        slopes = _default_slopes(node, k, 1, COARSE)
        node.rows[k] = RowDuals(unstable, slopes, np.zeros((1, 0), dtype=np.float32), None)
        owner, _, neuron, sign = self._rows_of([node], k, [unstable])
        frame, drawn = Batch([node], k, self.mid32, self.rad32).lines(owner)
        steps, width = tuple(s / np.float32(COARSE) for s in slopes), len(self.network.layers[k].bias)
        jobs = []
        for part in _parts(len(owner), self.rows_at_once[k]):
            duals = Duals(steps, (None,) * k, _signed_units(neuron[part], sign[part], width))
            jobs.append((self.network, self.network.layers[k], frame, drawn, duals))
        bound = np.concatenate(list(self._each(_bounded, jobs)))
        self._intersect([node], k, [unstable], owner, sign, bound)

    def deepen(self, root: Node) -> None:
        """Improve the root's bounds, each neuron with slopes of its own, on every layer where that pays."""
        root.refreshed = {}
        for k in sorted(root.rows):
            unstable = root.unstable(k)
            operations = len(unstable) * 2.0 * float(self.work[k])
            if not len(unstable) or 3 * operations > ROOT_OPERATIONS:
                continue
            self.deep.add(k)
            root.refreshed[k] = unstable
            count = 2 * len(unstable)
            slopes = _default_slopes(root, k, count, COARSE)
            gap = tuple(np.zeros(s.shape, dtype=np.uint16) for s in slopes)
            root.rows[k] = RowDuals(unstable, slopes, np.zeros((count, 0), dtype=np.float32), gap)
            steps = int(min(ROOT_STEPS, ROOT_OPERATIONS / operations))
            self._ascend_rows([root], [unstable], k, steps, ROOT_RATES)

    def refresh(self, nodes: Sequence[Node]) -> None:
        """Improve the intermediate bounds that each node's new splits reach; marks nodes found to hold no input."""
        moved = [split_alone(node) for node in nodes]
        for k in sorted(self.deep):
            affordable = NODE_OPERATIONS / (2.0 * float(self.work[k]) * STEPS)
            behind = [(node, m, self._read(node, k, u)) for node, m, u in behind_split(nodes, moved, k)]
            behind = [(node, m, u) for node, m, u in behind if 0 < len(u) <= affordable]
            for node, _, neurons in behind:
                node.rows[k] = node.rows[k].select(node.unstable(k))
                node.refreshed[k] = neurons
            self._move(behind, k, partial(self._ascend_rows, steps=STEPS, rates=RATES))
        for node in nodes:
            node.fresh = 0

    def _read(self, node: Node, k: int, neurons: np.ndarray) -> np.ndarray:
        """Those of some unstable neurons of layer k whose bounds matter to a layer behind or to an open row.

        A row takes a neuron of the last layer by its lower line or by its upper one, and only the upper line is drawn
        through the bounds; otherwise they matter but where they may soon make the neuron stable.
        """
        if k < len(self.network.layers) - 1:
            return neurons
        l, u = node.lower[k][neurons], node.upper[k][neurons]
        return neurons[node.by_upper[neurons] | (np.minimum(-l, u) < NEARLY * (u - l))]

    def glance(self, nodes: Sequence[Node]) -> list[float]:
        """What the open rows of each node lack to be proved (<= 0), by the duals it has taken over and no ascent."""
        moved = [split_alone(node) for node in nodes]
        for k in sorted(self.deep):
            self._move(behind_split(nodes, moved, k), k, self._bound_rows)
        alive = [node for node in nodes if not node.empty]
        missing = {id(node): 0.0 for node in nodes}
        if alive:
            finals = [self._opened(node) for node in alive]
            for batch, o, _, duals in self._final_rows(alive, finals):
                frame, drawn = batch.lines(o)
                bound = backward(self.network, self.layer, frame, drawn, duals, np)[0]
                for i, value in zip(o, bound):
                    missing[id(alive[i])] += min(0.0, float(value))
        return [missing[id(node)] for node in nodes]

    def _move(
        self, behind: Sequence[Behind], k: int, bound: Callable[[list[Node], list[np.ndarray], int], None]
    ) -> None:
        """Bound neurons of layer k and note in each node's ``moved`` which of them this has moved by much."""
        if not behind:
            return
        before = [(node.lower[k], node.upper[k]) for node, _, _ in behind]
        bound([node for node, _, _ in behind], [neurons for _, _, neurons in behind], k)
        for (node, moved, neurons), (lower, upper) in zip(behind, before):
            less = (node.lower[k] - lower + upper - node.upper[k])[neurons]
            much = neurons[less > MOVED * (upper - lower)[neurons]]
            moved[k] = np.union1d(moved[k], much) if k in moved else much

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
        layer, batch = self.network.layers[k], Batch(nodes, k, self.mid32, self.rad32)
        owner, place, neuron, sign = self._rows_of(nodes, k, neurons)
        slopes = [node.rows[k].slopes for node in nodes]
        multipliers = [padded(node.rows[k].multipliers, len(node.splits)) for node in nodes]
        jobs = []
        for part in _parts(len(owner), self.rows_at_once[k]):
            o, p = owner[part], place[part]
            weights = _signed_units(neuron[part], sign[part], len(layer.bias))
            duals = Duals(batch.slopes(slopes, o, p, COARSE), batch.multipliers(multipliers, o, p), weights)
            jobs.append((self.network, layer, *batch.lines(o), duals))
        bound = np.concatenate(list(self._each(_bounded, jobs)))
        self._intersect(nodes, k, neurons, owner, sign, bound)

    def _ascend_rows(self, nodes: list[Node], neurons: list[np.ndarray], k: int, steps: int, rates: Rates) -> None:
        """Bound ``neurons[i]`` of layer k in node i by ascent from its stored duals; the better ones are stored."""
        layer, batch = self.network.layers[k], Batch(nodes, k, self.mid32, self.rad32)
        owner, place, neuron, sign = self._rows_of(nodes, k, neurons)
        slopes = [[s.copy() for s in node.rows[k].slopes] for node in nodes]
        multipliers = [padded(node.rows[k].multipliers, len(node.splits)) for node in nodes]
        gaps = [[g.copy() for g in node.rows[k].gap or ()] for node in nodes]
        bound = np.empty(len(owner))
        parts = list(_parts(len(owner), self.rows_at_once[k]))
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
            lower, upper = node.lower[k].copy(), node.upper[k].copy()
            pad = PAD * self.caution * np.maximum(np.abs(low), np.abs(up))
            lower[chosen] = np.maximum(lower[chosen], low - pad)
            upper[chosen] = np.minimum(upper[chosen], up + pad)
            node.empty = node.empty or bool((lower > upper).any())
            node.lower[k], node.upper[k] = lower, upper

    def _final_rows(
        self, nodes: Sequence[Node], finals: Sequence[FinalDuals]
    ) -> Iterator[tuple[Batch, np.ndarray, np.ndarray, Duals]]:
        """The open cases' rows of the nodes with their duals, so many at a time."""
        batch = Batch(nodes, len(self.network.layers), self.mid32, self.rad32)
        count = [len(node.pending) for node in nodes]
        owner = np.repeat(np.arange(len(nodes)), count)
        place = np.concatenate([np.arange(n) for n in count])
        slopes, multipliers = [final.slopes for final in finals], [final.multipliers for final in finals]
        for part in _parts(len(owner), self.rows_at_once[-1]):
            o, p = owner[part], place[part]
            weights = np.stack([finals[i].weights[q] for i, q in zip(o, p)])
            yield batch, o, p, Duals(batch.slopes(slopes, o, p, FINE), batch.multipliers(multipliers, o, p), weights)

    def conclude(self, nodes: Sequence[Node], steps: int) -> list[list[tuple[int, FinalDuals]]]:
        """Bound the open cases of every node: those proved leave ``pending`` and are returned with their duals."""
        proved: dict[int, list[tuple[int, FinalDuals]]] = {id(node): [] for node in nodes}
        alive = [node for node in nodes if not node.empty]
        if not alive:
            return list(proved.values())
        finals = [self._opened(node) for node in alive]
        views: list[View] = [View(len(self.network.layers)) for _ in alive]
        single = np.diff(self.target.first).max(initial=1) == 1
        rates = RATES if single else RATES._replace(weights=WEIGHT_RATE)
        for batch, o, p, duals in self._final_rows(alive, finals):
            frame, drawn = batch.lines(o)
            duals = self.ascend(self.network, self.layer, frame, drawn, duals, steps, rates, EASY * self.least)
            duals = as_stored(duals, FINE)
            seen = evaluate(self.network, self.layer, frame, drawn, duals, np, with_cost=True)
            sure = seen.bound > -LOST * self.least
            if sure.any():
                sure[sure] = self._exactly(frame, drawn.phase, duals, np.flatnonzero(sure)) > self.least
            multipliers = [final.multipliers for final in finals]
            batch.store(duals, o, p, FINE, [final.slopes for final in finals], multipliers)
            for r, (i, q) in enumerate(zip(o, p)):
                finals[i].weights[q] = duals.weights[r]
                if sure[r]:
                    proved[id(alive[i])].append((int(alive[i].pending[q]), finals[i][q]))
                else:
                    last = seen.coefs[-1][r] if seen.coefs else np.zeros(0)
                    views[i].add(int(q), float(seen.bound[r]), seen.point[r], [c[r] for c in seen.cost], last)
        for node, final, view in zip(alive, finals, views):
            left = np.array(view.places, dtype=int)
            if len(left):
                node.bound, node.missing = view.bound, view.missing
                node.point = np.where(np.isfinite(view.point), view.point, self.mid)  # float32 may have overflowed
                node.worst = int(node.pending[view.worst])
                node.by_upper = view.by_upper
                node.candidates = candidates(node, view.cost, *(FEW if self.heavy(node) else MANY))
            node.final, node.pending = final[left], node.pending[left]
        return list(proved.values())

    def cuts(self, node: Node) -> Iterator[tuple[int, Cut]]:
        """For each open case of a node its place and the search by splits in the node's zonotope, not begun yet.

        The case that is farthest from a proof comes first; none comes where the zonotope would be too large, or where
        there are signs.
        """
        unstable = sum(len(node.unstable(k)) for k in range(len(node.lower)))
        if node.signs or unstable * (len(self.mid) + unstable) > LARGEST_ZONOTOPE:
            return
        for batch, o, p, duals in self._final_rows([node], [node.final]):
            frame, drawn = batch.lines(o)
            bound, _, chosen = backward(self.network, self.layer, frame, drawn, duals, np)
            for r in np.argsort(bound, kind="stable"):
                place = int(p[r])
                slopes = tuple(np.rint(BAND * slope[r]).astype(np.uint16) for _, slope, _ in chosen)
                shifts = [
                    (k, i, -sign * float(m)) for (k, i, sign), m in zip(node.splits, node.final.multipliers[place])
                ]
                here = zonotope(
                    self.network,
                    self.layer,
                    duals.weights[r],
                    (self.mid32, self.rad32),
                    (node.lower, node.upper),
                    [s / np.float32(BAND) for s in slopes],
                    shifts,
                )
                least = self.least + PRECISION * self.caution * (abs(here.offset) + float(np.abs(here.form).sum()))
                yield place, Cut(CutSearch.of(here, least), slopes, node.final.multipliers[place], duals.weights[r])

    def loosened(self, node: Node) -> np.ndarray:
        """What relaxing neurons costs the node's open rows, shared out among the inputs (inputs,) by what each adds to
        the widths of the neurons' ranges.
        """
        total = np.zeros(len(self.mid))
        for batch, o, _, duals in self._final_rows([node], [self._opened(node)]):
            seen = evaluate(self.network, self.layer, *batch.lines(o), duals, np, with_cost=True)
            for k, cost in enumerate(seen.cost):
                width = np.maximum(node.upper[k] - node.lower[k], TINY)
                total += self.influence[k] @ (cost.sum(axis=0) / width)
        return total

    def _opened(self, node: Node) -> FinalDuals:
        """A copy of the node's final duals, default slopes where there are none yet, multipliers for new splits."""
        final, slopes = node.final, tuple(s.copy() for s in node.final.slopes)
        if not slopes:
            slopes = _default_slopes(node, len(node.lower), len(node.pending), FINE)
        return FinalDuals(slopes, padded(final.multipliers, len(node.splits)), final.weights.copy())

    def _exactly(self, frame: Frame, phases: tuple[np.ndarray | None, ...], duals: Duals, at: np.ndarray) -> np.ndarray:
        """The same bounds in float64, of the rows ``at``."""

        def pick(parts: tuple[np.ndarray | None, ...]) -> tuple[np.ndarray | None, ...]:
            return tuple(
                None if part is None else part[at if len(part) > 1 else slice(None)].astype(float) for part in parts
            )

        wide = Frame(self.mid, self.rad, pick(frame.lower), pick(frame.upper))
        chosen = Duals(pick(duals.slopes), pick(duals.multipliers), duals.weights[at].astype(float))
        return backward(
            self.exact, self.target.layer, wide, lines(wide, pick(phases), np, self.exact.signs), chosen, np
        )[0]


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


def _parts(count: int, at_once: int) -> Iterator[slice]:
    return (slice(at, at + at_once) for at in range(0, count, at_once))


def _signed_units(neurons: np.ndarray, signs: np.ndarray, size: int) -> np.ndarray:
    """Rows (N, size) that are +1 or -1 at one neuron each."""
    out = np.zeros((len(neurons), size), dtype=np.float32)
    out[np.arange(len(neurons)), neurons] = signs
    return out


def _default_slopes(node: Node, depth: int, rows: int, levels: int) -> tuple[np.ndarray, ...]:
    """CROWN's slopes of the first ``depth`` layers (rows, n), in steps of 1 / levels."""
    bounds = zip(node.lower[:depth], node.upper[:depth])
    return tuple(np.repeat(levels * (u > -l)[None].astype(np.uint8), rows, axis=0) for l, u in bounds)


def _interval(layer: Layer, ranges: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Interval bounds of a layer's values from those of what it reads, widened for the rounding to float32."""
    center, radius = layer.bias.astype(float), np.zeros(len(layer.bias))
    for source, weight in layer.terms:
        low, up = ranges[source]
        center = center + push(weight, (low + up) / 2)
        radius = radius + push(abs(weight), (up - low) / 2)
    radius = radius + 1e-6 * (np.abs(center) + radius)
    return center - radius, center + radius
