"""Branch and bound by phases within one zonotope: a node is one row of coefficients, and costs microseconds.

Bounds of neurons stay what they are at the zonotope's node. A split replaces the symbol of its ReLU and adds a multiple
of the ReLU's argument, the best one by exact line search; the multipliers of earlier splits are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from relaxations.bounds.zonotope import Zonotope
from verifier.certificate.words import CUT_OPEN
from verifier.engine.phases.batch import whole

Way = tuple[tuple[int, int, float], ...]  # ReLU, sign, multiplier

AT_ONCE = 64  # nodes split together
TRIED = 64  # neurons tried at a node whose effect is not known
ENOUGH = 8  # times a neuron is tried before its effect is taken as known
SPARSE = 3  # a layer's rows are kept as lists where these are so many times shorter
EARLY, AT_LEAST_EARLY = 400, 0.01  # nodes after which this share of the tree has to be closed to go on
AT_FIRST = 2000  # nodes of a tree as a whole
UNIT_DEPTH, MOST_ABOVE = 8, 10000  # then what is below so many splits is closed by itself or left
FEW = 500  # nodes of such a part
WORTHWHILE = 0.1  # share of the tree that has to be closed to go on, or to keep anything of it
BAND = 65535  # steps of the slopes of bands that a certificate stores
TINY = 1e-30


@dataclass(frozen=True)
class Rows:
    """The forms of one layer's ReLUs, at the symbols where they are not 0.

    ``symbols`` (n, P) where each has its own list, padded, or the first P symbols for all; ``values`` (n, P). ``whole``
    are the forms as one matrix.
    """

    symbols: np.ndarray | None
    values: np.ndarray
    whole: Any

    @staticmethod
    def of(dense: np.ndarray) -> Rows:
        count = np.count_nonzero(dense, axis=1).max(initial=1)
        if SPARSE * count > dense.shape[1]:
            return Rows(None, dense, dense)
        from scipy.sparse import csr_array

        symbols = np.argsort(dense == 0, axis=1, kind="stable")[:, :count]
        values = np.take_along_axis(dense, symbols, axis=1)
        starts = np.arange(len(dense) + 1) * count
        return Rows(symbols, values, csr_array((values.reshape(-1), symbols.reshape(-1), starts), shape=dense.shape))

    def at(self, symbols: np.ndarray) -> np.ndarray:
        """The values (B, n) of the forms where the symbols are (B, N)."""
        return (self.whole @ symbols.T[: self.whole.shape[1]]).T

    def take(self, forms: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The coefficients (M, P) of forms (M, N) at the symbols of the ReLUs ``at`` (M,)."""
        if self.symbols is None:
            return forms[:, : self.values.shape[1]]
        return np.take_along_axis(forms, self.symbols[at], axis=1)

    def put(self, forms: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
        """The inverse of ``take``; padded places of a list name symbols once more that must not change."""
        if self.symbols is None:
            forms[:, : self.values.shape[1]] = values
        else:
            np.put_along_axis(forms, self.symbols[at], values, axis=1)


@dataclass(frozen=True)
class Open:
    """A node to be split: its row, what is left of it at its least, and which ReLUs are split above it.

    ``part`` is the number of the node it lies below, if that is to be closed by itself or left.
    """

    number: int
    form: np.ndarray
    offset: float
    bound: float
    fixed: np.ndarray
    depth: int
    part: int = -1


@dataclass
class CutSearch:
    """A part of a tree. ``splits[number]`` is the ReLU, the multipliers of both sides, and the first child's number.

    A leaf counts as proved from ``least`` on. ``done`` is the share of the whole tree that is closed here; ``hard`` are
    leaves that are left to others; ``hopeless`` tells that splits have hardly closed anything.
    """

    zonotope: Zonotope
    least: float
    layers: list[Rows]
    open: list[Open]
    next: int = 1
    splits: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    count: int = 1
    done: float = 0.0
    hard: dict[int, Open] = field(default_factory=dict)
    hopeless: bool = False
    tries: np.ndarray = field(default_factory=lambda: np.zeros(0))
    gains: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @staticmethod
    def of(zonotope: Zonotope, least: float) -> CutSearch:
        """Nothing done yet."""
        n, inputs, starts = len(zonotope.half), zonotope.inputs, zonotope.starts
        layers = [Rows.of(zonotope.rows[a:b, : inputs + a]) for a, b in pairwise(starts)]
        bound = zonotope.offset - float(np.abs(zonotope.form).sum())
        root = Open(0, zonotope.form, zonotope.offset, bound, np.zeros(n, dtype=bool), 0)
        left = [root] if bound <= least else []
        return CutSearch(zonotope, least, layers, left, done=1.0 - len(left), tries=np.zeros(n), gains=np.zeros((n, 2)))

    @property
    def closed(self) -> bool:
        return not self.open and not self.hard

    def words(self, columns: np.ndarray) -> list[np.ndarray]:
        """The tree as a certificate stores it; ``columns[i]`` is the column of ReLU i."""
        order: list[int] = []
        multipliers: list[int] = []
        for number, _ in self._preorder():
            if number in self.splits and number not in self.hard:
                relu, below, above, _ = self.splits[number]
                order.append(1 + int(columns[relu]))
                multipliers += [below, above]
            else:
                order.append(CUT_OPEN if number in self.hard else 0)
        return [np.array([len(order) >> 16, len(order) & 0xFFFF]), np.array(order), np.array(multipliers)]

    def hard_paths(self) -> list[Way]:
        """The ways to the nodes that are left to others, in preorder: ReLU, sign and multiplier of each split."""
        return [path for number, path in self._preorder() if number in self.hard]

    def _preorder(self) -> Iterator[tuple[int, Way]]:
        stack: list[tuple[int, Way]] = [(0, ())]
        while stack:
            number, path = stack.pop()
            yield number, path
            if number in self.splits and number not in self.hard:
                relu, below, above, child = self.splits[number]
                values = whole(np.array([below, above], dtype=np.uint16)).tolist()
                stack.append((child + 1, (*path, (relu, 1, values[1]))))
                stack.append((child, (*path, (relu, -1, values[0]))))

    def close(self, over: Callable[[], bool], in_parts: bool) -> bool:
        """Close the tree, or all of it but a few ``hard`` nodes; False where that takes too many nodes or too long.

        A tree that is not closed at first is cut into parts, if it may be, each of which is closed or left.
        """
        for nodes, least in ((EARLY, AT_LEAST_EARLY), (AT_FIRST, WORTHWHILE)):
            self.run(over, nodes)
            if self.closed:
                return True
            if self.done < least:
                self.hopeless = True
                return False
        if not in_parts:
            return False
        self.run(over, self.count + MOST_ABOVE, UNIT_DEPTH)
        parts = {node.number: node for node in self.open}
        sizes = dict.fromkeys(parts, 0)
        self.open = [replace(node, part=node.number) for node in self.open]
        while self.open and not over():
            taken, self.open = self.open[-AT_ONCE:], self.open[:-AT_ONCE]
            self._split(taken)
            for node in taken:
                sizes[node.part] += 2
            large = {node.part for node in taken if sizes[node.part] >= FEW}
            if large:
                left = {node.part for node in self.open if node.part in large}
                self.hard.update((number, parts[number]) for number in left)
                self.open = [node for node in self.open if node.part not in left]
        kept = 1 - sum(2.0**-node.depth for node in self.hard.values())
        return not self.open and kept > WORTHWHILE

    def run(self, over: Callable[[], bool], most: int, depth: int | None = None) -> None:
        """Split nodes until none is open, ``over()``, or there are ``most`` nodes.

        With a ``depth``, only nodes above it are split.
        """
        while self.count < most and not over():
            places = [i for i, node in enumerate(self.open) if depth is None or node.depth < depth][-AT_ONCE:]
            if not places:
                break
            taken = [self.open.pop(i) for i in reversed(places)]
            self._split(taken[::-1])

    def _split(self, nodes: list[Open]) -> None:
        """Replace nodes by their children, those that are proved left out."""
        if not nodes:
            return
        batch = _Batch.of(nodes)
        cost = self._cost(batch)
        able = (cost > 0).any(axis=1)
        if not able.all():  # better multipliers may still prove what has nothing left to split
            self.hard.update((node.number, node) for node, can in zip(nodes, able) if not can)
            self._split([node for node, can in zip(nodes, able) if can])
            return
        some = np.argpartition(-cost, min(TRIED, cost.shape[1] - 1), axis=1)[:, :TRIED]
        usable = np.take_along_axis(cost, some, axis=1) > 0
        relu = self._choose(batch, cost, some, usable)
        multipliers, factors, _ = self._line(batch, np.arange(len(nodes)), relu)
        children: list[Open] = []
        for side in (0, 1):
            forms, offsets = self._half(batch, relu, factors[:, side])
            bounds = offsets - np.abs(forms).sum(axis=1)
            for i in np.flatnonzero(bounds <= self.least):
                fixed = nodes[i].fixed.copy()
                fixed[relu[i]] = True
                number = self.next + 2 * int(i) + side
                depth, part = nodes[i].depth + 1, nodes[i].part
                children.append(Open(number, forms[i], offsets[i], bounds[i], fixed, depth, part))
            self.done += sum(2.0 ** -(nodes[i].depth + 1) for i in np.flatnonzero(bounds > self.least))
        for i, node in enumerate(nodes):
            below, above = multipliers[i]
            self.splits[node.number] = int(relu[i]), int(below), int(above), self.next + 2 * i
        self.next += 2 * len(nodes)
        self.count += 2 * len(nodes)
        self.open += sorted(children, key=lambda child: child.bound)

    def _cost(self, batch: _Batch) -> np.ndarray:
        """What each ReLU's band costs each node at its minimiser (B, n); -1 where it is split already."""
        zonotope = self.zonotope
        chosen = -np.sign(batch.forms)
        coef = batch.forms[:, zonotope.inputs :] / zonotope.half
        z = np.empty_like(coef)
        for layer, (a, b) in enumerate(pairwise(zonotope.starts)):
            z[:, a:b] = self.layers[layer].at(chosen)
        z += zonotope.constant
        relaxed = zonotope.slope * z + zonotope.half * (1 + chosen[:, zonotope.inputs :])
        return np.where(batch.fixed, -1, coef * (np.maximum(z, 0) - relaxed))

    def _choose(self, batch: _Batch, cost: np.ndarray, some: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """The ReLU to split of each node (B,): the best product of gains, tried or known well enough."""
        costs = np.take_along_axis(cost, some, axis=1)
        unknown = usable & (self.tries[some] < ENOUGH)
        node, place = np.nonzero(unknown)
        relu = some[node, place]
        missing = -batch.bounds[:, None, None]
        gain = self.gains[some] / np.maximum(self.tries[some], 1)[:, :, None] * costs[:, :, None]
        if len(node):
            _, _, after = self._line(batch, node, relu)
            tried = np.maximum(after - batch.bounds[node, None], 0)
            gain[node, place] = tried
            np.add.at(self.tries, relu, 1)
            np.add.at(self.gains, relu, tried / np.maximum(costs[node, place], TINY)[:, None])
        gain = np.clip(gain, 1e-6 * missing, missing)
        score = np.where(usable, gain[:, :, 0] * gain[:, :, 1], -1)
        return np.take_along_axis(some, score.argmax(axis=1)[:, None], axis=1)[:, 0]

    def _line(self, batch: _Batch, node: np.ndarray, relu: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For splits of some ReLUs (M,) of some nodes (M,), of both sides (M, 2): the best multipliers, as they are
        stored; the factors of the ReLU's argument that they amount to; the bounds after the split.
        """
        zonotope = self.zonotope
        multipliers = np.zeros((len(relu), 2), dtype=np.uint16)
        factors, after = np.zeros((len(relu), 2)), np.zeros((len(relu), 2))
        for rows, on, local in self._by_layer(relu):
            i, j = node[on], relu[on]
            g, a = rows.take(batch.forms[i], local), rows.values[local]
            own = batch.forms[i, zonotope.inputs + j].astype(float)
            rest = batch.totals[i] - np.abs(own) - np.abs(g).sum(axis=1)
            best = _best_factor(g, a, zonotope.constant[j])
            q = own / zonotope.half[j]
            for side, sign in enumerate((-1, 1)):
                base = q * ((sign > 0) - zonotope.slope[j])
                words = _stored(np.maximum(sign * (base - best), 0))
                tau = base - sign * whole(words).astype(float)
                multipliers[on, side], factors[on, side] = words, tau
                constant = batch.offsets[i] - own + tau * zonotope.constant[j]
                after[on, side] = constant - rest - np.abs(g + tau.astype(g.dtype)[:, None] * a).sum(axis=1)
        return multipliers, factors, after

    def _by_layer(self, relu: np.ndarray) -> Iterator[tuple[Rows, np.ndarray, np.ndarray]]:
        """Some ReLUs (M,) layer by layer: the layer's forms, which of them are on it, and their places there."""
        starts = self.zonotope.starts
        layer = np.searchsorted(starts, relu, side="right") - 1
        for k in np.unique(layer):
            on = np.flatnonzero(layer == k)
            yield self.layers[k], on, relu[on] - starts[k]

    def _half(self, batch: _Batch, relu: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Forms and offsets of one side of each node's split."""
        zonotope = self.zonotope
        forms, at = batch.forms.copy(), np.arange(len(relu))
        own = forms[at, zonotope.inputs + relu].astype(float)
        forms[at, zonotope.inputs + relu] = 0
        for rows, on, local in self._by_layer(relu):
            some = forms[on]
            tau = factors[on].astype(forms.dtype)[:, None]
            rows.put(some, local, rows.take(some, local) + tau * rows.values[local])
            forms[on] = some
        return forms, batch.offsets - own + factors * zonotope.constant[relu]


@dataclass(frozen=True)
class Cut:
    """A search in the zonotope of a node, for one case, and what the zonotope was made from.

    ``slopes[k]`` (n,) in steps of 1/BAND; ``multipliers`` (S,) of the node's splits, ``weights`` (R,) of the rows.
    """

    search: CutSearch
    slopes: tuple[np.ndarray, ...]
    multipliers: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class _Batch:
    """Nodes stacked: forms (B, N), sums of their absolute values, offsets, bounds (B,); ReLUs that are split (B, n)."""

    forms: np.ndarray
    totals: np.ndarray
    offsets: np.ndarray
    bounds: np.ndarray
    fixed: np.ndarray

    @staticmethod
    def of(nodes: list[Open]) -> _Batch:
        forms = np.stack([node.form for node in nodes])
        offsets, bounds = (np.array(part, dtype=float) for part in zip(*((n.offset, n.bound) for n in nodes)))
        return _Batch(forms, np.abs(forms).sum(axis=1), offsets, bounds, np.stack([node.fixed for node in nodes]))


def _best_factor(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The t (M,) with the largest ``t b - sum |g + t a|`` for rows g, a (M, P); the last kink if it is unbounded."""
    kinks = np.where(a != 0, -g / np.where(a != 0, a, 1), np.inf)
    order = np.argsort(kinks, axis=1)
    weight = np.abs(np.take_along_axis(a, order, axis=1))
    rise = b + weight.sum(axis=1)  # left of all kinks; each takes off twice its weight
    last = np.maximum(np.count_nonzero(a, axis=1) - 1, 0)
    at = np.minimum((rise[:, None] - 2 * np.cumsum(weight, axis=1) > 0).sum(axis=1), last)
    best = np.take_along_axis(kinks, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]
    return np.where(np.isfinite(best), best, 0)


def _stored(multipliers: np.ndarray) -> np.ndarray:
    """The upper halves (uint16) of multipliers >= 0 as float32, as a certificate stores them."""
    return (np.minimum(multipliers, 1e20).astype("<f4").view("<u4") + 0x8000 >> 16).astype(np.uint16)
