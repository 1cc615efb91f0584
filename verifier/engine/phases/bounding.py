"""Bounds of nodes, many at once: refreshed intermediate bounds, then the final rows of every case still open.

The root's intermediate bounds are found layer by layer, first with the default slopes and, if that proves too little,
each neuron with slopes of its own; a child takes over its parent's bounds and improves those of the layers behind its
split, from the parent's duals on. All duals are rounded to what a certificate stores *before* the bound that is used
is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.balls import Ball
from relaxations.bounds.dual import Duals, Frame, backward, evaluate, lines
from relaxations.bounds.interval import reads_input, through_layer
from relaxations.bounds.symbols import Symbols
from relaxations.bounds.zonotope import zonotope
from relaxations.maps.linear import nonzeros
from relaxations.network import Layer, ReluNetwork, push
from relaxations.slimming import slimmed
from verifier.engine.phases.batch import Batch, as_stored, padded
from verifier.engine.phases.branching import candidates
from verifier.engine.phases.cutting import BAND, Cut, CutSearch
from verifier.engine.phases.node import COARSE, FINE, FinalDuals, Node, RowDuals
from verifier.engine.phases.reach import Behind, behind_split, split_alone
from verifier.engine.phases.rows import PAD, Ascend, LayerRows, in_batches, widened
from verifier.engine.phases.view import View

ROOT_STEPS, STEPS = 15, 3  # of ascent on intermediate bounds, at the root and at every other node
FINAL_ROOT_STEPS, FINAL_STEPS = 40, 12
ROOT_RATES, RATES = Rates(0.25, 0.2, 0.93), Rates(0.2, 0.2, 0.95)
WEIGHT_RATE = 0.5
FEW, MANY = (3, 1), (6, 2)  # neurons tried before one is split: of the largest total, and of the largest direct cost
HEAVY = 1e9  # multiply-adds of refreshing a node, from which on few are tried
ROOT_OPERATIONS = 2e10  # multiply-adds the root may spend on the ascent of one layer's bounds
NODE_OPERATIONS = 2e10  # and a later node
MOVED = 0.01  # of its range: a bound that has moved by less moves no later ones
NEARLY = 0.05  # of its range a neuron may miss of being stable for a split to be hoped to make it so
TINY = 1e-30
JOINT = 16  # rows; a case of more is proved by few of them together rather than by one
MOST_OF_PROGRAMS = 1e6  # multiply-adds of a network, up to which linear programs weigh the rows at every node
NARROW_PAD = 1e-6  # of a range: the same where it was computed in float64 and is kept in float32
LARGEST_ZONOTOPE = 1 << 25  # coefficients
LOST = 1e3  # times the least bound: what float32 may have made of a bound; float64 decides
PRECISION = 4e-6  # of a row's size in a zonotope: what float32 may have made of it
EASY = 1e4  # times the least bound: rows this far above it need no more steps


@dataclass(frozen=True)
class Target:
    """The rows of all cases over one box, as one layer; ``first[c] : first[c + 1]`` are those of case c."""

    layer: Layer
    first: np.ndarray

    @property
    def cases(self) -> int:
        return len(self.first) - 1


class Bounding(LayerRows):
    """Bounds nodes of one box, as far as it is in ``ball``. ``least`` is the bound above which a row counts as proved.
    ``joint``: some case has so many rows that linear programs have to weigh them against each other.

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
        ball: Ball | None = None,
    ) -> None:
        super().__init__(network, lower, upper, caution, ascend, ball)
        self.target, self.layer, self.symbols = target, target.layer.astype(np.float32), symbols
        self.least = 0.0
        self.deep: set[int] = set()  # layers whose bounds are refreshed in the tree
        self.influence: list[np.ndarray] = []  # (inputs, n) by layer, with symbols: what each input adds to half ranges
        # Trees of dense networks get small by refreshed bounds, those of convolutional ones hardly do.
        self.dense = all(isinstance(weight, np.ndarray) for layer in network.layers for _, weight in layer.terms)
        work = [sum(nonzeros(w) for _, w in z.terms) + 20 * len(z.bias) for z in network.layers]
        self.work = 4 * np.cumsum(work)  # of one step of one row on layer k, forward and backward
        small = not network.signs and sum(work) <= MOST_OF_PROGRAMS
        self.joint = small and int(np.diff(target.first).max(initial=0)) > JOINT

    def root(self) -> Node:
        """The whole box, with intermediate bounds by intervals, CROWN, and symbols if they are wanted."""
        node = Node(0, (), [], [], {}, np.arange(self.target.cases), self._fresh_final(), signs=self.exact.signs)
        magnitude = [np.maximum(np.abs(self.lower), np.abs(self.upper))]
        ranges = [(self.lower, self.upper)]
        zonotope = Symbols(self.network, self.mid32, self.rad32) if self.symbols else None
        for k, layer in enumerate(self.network.layers):
            l, u = widened(*through_layer(self.exact.layers[k], ranges), NARROW_PAD)
            if zonotope is not None:
                low, up = widened(*zonotope.range_of(layer), PAD * self.caution)
                self.influence.append(zonotope.influence)
                l, u = np.maximum(l, low), np.minimum(u, up)
            node.lower.append(l.astype(np.float32)), node.upper.append(u.astype(np.float32))
            if self.ball is not None or any(source > 0 for source, _ in layer.terms) or len(layer.terms) > 1:
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
        slim = type(self)(network, target, self.lower, self.upper, self.caution, self.ascend, self.symbols, self.ball)
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
        self._bound_rows([node], [unstable], k)

    def deepen(self, root: Node) -> None:
        """Improve the root's bounds, each neuron with slopes of its own, on every layer where that pays."""
        root.refreshed = {}
        for k in sorted(root.rows):
            unstable = root.unstable(k)
            operations = len(unstable) * 2.0 * float(self.work[k])
            settled = reads_input(self.network.layers[k])  # by the ball, and there are no slopes to improve
            if not len(unstable) or settled or 3 * operations > ROOT_OPERATIONS:
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

    def _final_rows(
        self, nodes: Sequence[Node], finals: Sequence[FinalDuals]
    ) -> Iterator[tuple[Batch, np.ndarray, np.ndarray, Duals]]:
        """The open cases' rows of the nodes with their duals, so many at a time."""
        batch = Batch(nodes, len(self.network.layers), self.mid32, self.rad32, self.ball32)
        count = [len(node.pending) for node in nodes]
        owner = np.repeat(np.arange(len(nodes)), count)
        place = np.concatenate([np.arange(n) for n in count])
        slopes, multipliers = [final.slopes for final in finals], [final.multipliers for final in finals]
        for part in in_batches(len(owner), self.rows_at_once[-1]):
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
        there are signs. Nor is there any where there is a ball: a zonotope's symbols know the box alone.
        """
        unstable = sum(len(node.unstable(k)) for k in range(len(node.lower)))
        too_large = unstable * (len(self.mid) + unstable) > LARGEST_ZONOTOPE
        if node.signs or self.ball is not None or too_large:
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

        wide = Frame(self.mid, self.rad, pick(frame.lower), pick(frame.upper), self.ball)
        chosen = Duals(pick(duals.slopes), pick(duals.multipliers), duals.weights[at].astype(float))
        return backward(
            self.exact, self.target.layer, wide, lines(wide, pick(phases), np, self.exact.signs), chosen, np
        )[0]


def _default_slopes(node: Node, depth: int, rows: int, levels: int) -> tuple[np.ndarray, ...]:
    """CROWN's slopes of the first ``depth`` layers (rows, n), in steps of 1 / levels."""
    bounds = zip(node.lower[:depth], node.upper[:depth])
    return tuple(np.repeat(levels * (u > -l)[None].astype(np.uint8), rows, axis=0) for l, u in bounds)
