"""Branch and bound by input splitting on some boxes of one case, up to a budget: the unit of work of the search.

What comes back is one piece of branch tree per box, in the certificate's own words, with ``OPEN`` where the budget ran
out, and the boxes that stand there. Pieces are put together by ``pieces``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from relaxations.bounds.balls import MANY_PASSES, Ball, least
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.network import ReluNetwork
from relaxations.pairing import Pair
from verifier.certificate.words import CLIP, LEAF, OPEN, QUICK_CLIP, QUICK_LEAF, SPLIT
from verifier.engine.branching import RULES, OpenBoxes
from verifier.engine.clipping import clip
from verifier.engine.deadline import Deadline

FINE = 2.0**-9  # boxes narrower than this share of the root in every input are bounded in float64


@dataclass(frozen=True)
class Budget:
    """When to hand back what is still open: at a time, after a number of nodes, or once the file ``stop`` exists."""

    deadline: Deadline
    nodes: int
    stop: Path | None = None

    @property
    def over(self) -> bool:
        return self.deadline.over or (self.stop is not None and self.stop.exists())


@dataclass(frozen=True)
class Exploration:
    """Pieces of tree and what the search saw on the way.

    ``pieces``: one per root box, in preorder, OPEN where ``open_lower[i], open_upper[i]`` (in order over all pieces)
    are undecided. ``stuck[i]`` tells which of them cannot be split any further. ``attained``: the least value of the
    best row at any evaluated point, and ``point`` where;
    a value <= 0 is a candidate violation. ``proved``: the least lower bound over the open boxes (inf when none).
    """

    pieces: tuple[np.ndarray, ...]
    open_lower: np.ndarray
    open_upper: np.ndarray
    stuck: np.ndarray
    nodes: int
    attained: float
    point: np.ndarray
    proved: float


@dataclass(frozen=True)
class Explorer:
    """Everything that stays the same while one case is searched; small enough to send to another process.

    ``pairs`` are layers of two copies whose differences are bounded. Inputs outside ``ball`` do not
    matter. ``margin`` (relative) is how far above zero a bound must be before the search believes it: the checker
    redoes the leaf with outward rounding.
    """

    network: ReluNetwork
    rows: Rows
    root_width: np.ndarray
    rule: str = "gap"
    depth_first: bool = True
    clip_below: float = 0.75
    margin: float = 1e-6
    precision: str = "float32"
    refine: bool = True
    ball: Ball | None = None
    pairs: tuple[Pair, ...] = ()

    @cached_property
    def _coarse(self) -> BoxBounder:
        return BoxBounder(self.network.astype(np.dtype(self.precision)), self.rows, self.refine, self.ball, self.pairs)

    @cached_property
    def _fine(self) -> BoxBounder:
        return BoxBounder(self.network, self.rows, self.refine, self.ball, self.pairs)

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def values(self, points: np.ndarray) -> np.ndarray:
        """Value of the best row at each point (P, inputs), in float64: <= 0 means that every row fails."""
        outputs = self.network.evaluate(points)
        rows = points @ self.rows.x.T + outputs @ self.rows.y.T + self.rows.constant
        return rows.max(axis=1, initial=-np.inf)

    def seconds_per_box(self, lower: np.ndarray, upper: np.ndarray) -> float:
        """What one bound in float64 takes, measured on these boxes (K, inputs): the yardstick for a check's time."""
        count = self._fine.boxes_at_once
        index = np.arange(count) % len(lower)
        started = time.perf_counter()
        self._fine.bounds(lower[index], upper[index])
        return (time.perf_counter() - started) / count

    def explore(
        self, lower: np.ndarray, upper: np.ndarray, budget: Budget, stop_at: float = 0.0, split_first: bool = False
    ) -> Exploration:
        """Search below boxes (K, inputs) until all are closed, a value <= ``stop_at`` is found, or the budget ends.

        With ``split_first`` the boxes themselves are split even where a bound would close them.
        """
        state = _State(lower, upper, split_first, self.refine)
        while state.open and state.attained > stop_at and state.size < budget.nodes and not budget.over:
            ids, low, up = state.take(self._coarse.boxes_at_once, self.depth_first)
            self._step(state, ids, low, up, stop_at)
        return state.result()

    def _step(self, state: _State, ids: np.ndarray, low: np.ndarray, up: np.ndarray, stop_at: float) -> None:
        width = up - low
        fine = (width <= FINE * self.root_width).all(axis=1)
        for group, bounder in ((fine, self._fine), (~fine, self._coarse)):
            if group.any():
                self._bound(state, ids[group], low[group], up[group], bounder, stop_at)

    def _bound(
        self, state: _State, ids: np.ndarray, low: np.ndarray, up: np.ndarray, bounder: BoxBounder, stop_at: float
    ) -> None:
        bounds = bounder.bounds(low, up)
        forced = ids < state.forced
        size = np.abs(bounds.at_mid) + (bounds.at_mid - bounds.lower)  # of the row on this box, whatever its unit
        closed = (bounds.lower > self.margin * size).any(axis=1) & ~forced
        if self.ball is not None:
            closed |= self.ball.misses(low, up)
        state.close(ids[closed])
        go_on = ~closed
        if not go_on.any():
            return
        ids, low, up, forced = ids[go_on], low[go_on], up[go_on], forced[go_on]
        form, at_mid = bounds.form[go_on].astype(float), bounds.at_mid[go_on].astype(float)
        bound, gap = bounds.lower[go_on].astype(float), bounds.gap[go_on].astype(float)
        corners = self._minimisers(form, bound, low, up)
        state.see(self.values(corners), corners)
        if state.attained <= stop_at:
            state.reopen(ids, low, up, bound)
            return
        new_low, new_up, nothing = clip(form, at_mid, low, up)
        nothing &= ~forced
        state.close(ids[nothing])
        keep = ~nothing
        ids, low, up, form, bound = ids[keep], low[keep], up[keep], form[keep], bound[keep]
        new_low, new_up, gap = new_low[keep], new_up[keep], gap[keep]
        ratio = np.where(up > low, (new_up - new_low) / np.where(up > low, up - low, 1), 1)
        shrunk = ratio.prod(axis=1) < self.clip_below
        gap = np.where(shrunk[:, None], gap * ratio, gap)
        ids = state.clip(ids, shrunk)
        low, up = np.where(shrunk[:, None], new_low, low), np.where(shrunk[:, None], new_up, up)
        scores = RULES[self.rule](OpenBoxes(form, gap, up - low, self.root_width))
        middle = low + 0.5 * (up - low)
        scores = np.where((middle > low) & (middle < up), np.nan_to_num(scores, nan=0.0), -1.0)
        dim = scores.argmax(axis=1)
        fixed = scores[np.arange(len(dim)), dim] < 0
        state.strand(ids[fixed], low[fixed], up[fixed], bound[fixed].max(axis=1, initial=-np.inf))
        state.split(ids[~fixed], dim[~fixed], low[~fixed], up[~fixed], bound[~fixed].max(axis=1, initial=-np.inf))

    def _minimisers(self, form: np.ndarray, bound: np.ndarray, low: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Per box the input where the row nearest to being proved is relaxed-smallest: a point of the relaxed attack.

        Without a ball a corner.
        """
        nearest = form[np.arange(len(bound)), bound.argmax(axis=1)]
        if self.ball is None:
            return np.where(nearest > 0, low, up)
        points = least(nearest, (low + up) / 2, (up - low) / 2, self.ball, np, MANY_PASSES)[1]
        return self.ball.moved_inside(points, low, up)


class _State:
    """The growing pieces of tree: nodes by number, the roots first, and the boxes that are still open."""

    def __init__(self, lower: np.ndarray, upper: np.ndarray, split_first: bool, refine: bool) -> None:
        self.leaf, self.clipped = (LEAF, CLIP) if refine else (QUICK_LEAF, QUICK_CLIP)
        self.roots = len(lower)
        self.forced = self.roots if split_first else 0
        self.code = np.full(max(256, self.roots), OPEN, dtype=np.int64)
        self.first = np.zeros(len(self.code), dtype=np.int64)  # child, or first of two neighbours
        self.size = self.roots
        self.open: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.stranded: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.attained = np.inf
        middle = (lower + upper) / 2
        self.point = middle[0]  # of no value yet
        self._push(np.arange(self.roots), lower, upper, np.full(self.roots, -np.inf))

    def _push(self, ids: np.ndarray, low: np.ndarray, up: np.ndarray, bound: np.ndarray) -> None:
        if len(ids):
            self.open.append((ids, low, up, bound))

    def take(self, count: int, depth_first: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Remove up to ``count`` open boxes: the newest, or those with the least bound."""
        if depth_first:
            blocks, have = [], 0
            while self.open and have < count:
                blocks.append(self.open.pop())
                have += len(blocks[-1][0])
            ids, low, up, bound = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        else:
            ids, low, up, bound = (np.concatenate(parts) for parts in zip(*self.open, strict=True))
            order = np.argsort(bound, kind="stable")
            ids, low, up, bound = ids[order], low[order], up[order], bound[order]
            self.open = []
        self._push(ids[count:], low[count:], up[count:], bound[count:])
        return ids[:count], low[:count], up[:count]

    def see(self, values: np.ndarray, points: np.ndarray) -> None:
        if len(values) and values.min() < self.attained:
            self.attained, self.point = float(values.min()), points[values.argmin()]

    def close(self, ids: np.ndarray) -> None:
        self.code[ids] = self.leaf

    def reopen(self, ids: np.ndarray, low: np.ndarray, up: np.ndarray, bound: np.ndarray) -> None:
        self._push(ids, low, up, bound.max(axis=1, initial=-np.inf))

    def strand(self, ids: np.ndarray, low: np.ndarray, up: np.ndarray, bound: np.ndarray) -> None:
        if len(ids):
            self.stranded.append((ids, low, up, bound))

    def _allocate(self, count: int) -> np.ndarray:
        while self.size + count > len(self.code):
            self.code = np.concatenate([self.code, np.full(len(self.code), OPEN, dtype=np.int64)])
            self.first = np.concatenate([self.first, np.zeros(len(self.first), dtype=np.int64)])
        self.size += count
        return np.arange(self.size - count, self.size)

    def clip(self, ids: np.ndarray, shrunk: np.ndarray) -> np.ndarray:
        """Give each shrunk node one child; returns the nodes to go on with."""
        ids = ids.copy()
        children = self._allocate(int(shrunk.sum()))
        self.code[ids[shrunk]] = self.clipped
        self.first[ids[shrunk]] = children
        ids[shrunk] = children
        return ids

    def split(self, ids: np.ndarray, dim: np.ndarray, low: np.ndarray, up: np.ndarray, bound: np.ndarray) -> None:
        if not len(ids):
            return
        children = self._allocate(2 * len(ids))
        self.code[ids] = SPLIT + dim
        self.first[ids] = children[::2]
        row = np.arange(len(ids))
        middle = low[row, dim] + 0.5 * (up[row, dim] - low[row, dim])
        first_up, second_low = up.copy(), low.copy()
        first_up[row, dim] = middle
        second_low[row, dim] = middle
        self._push(children[::2], low, first_up, bound)
        self._push(children[1::2], second_low, up, bound)

    def result(self) -> Exploration:
        left = self.open + self.stranded
        boxes = {int(i): (lo, hi) for ids, low, up, _ in left for i, lo, hi in zip(ids, low, up, strict=True)}
        stranded = {int(i) for block in self.stranded for i in block[0]}
        code, first = self.code.tolist(), self.first.tolist()
        pieces, order = [], []
        for root in range(self.roots):
            words, open_nodes = _preorder(code, first, root)
            pieces.append(np.array(words, dtype=np.int64))
            order += open_nodes
        inputs = len(self.point)
        bounds = np.concatenate([bound for *_, bound in left]) if left else np.empty(0)
        return Exploration(
            tuple(pieces),
            np.array([boxes[i][0] for i in order]).reshape(-1, inputs),
            np.array([boxes[i][1] for i in order]).reshape(-1, inputs),
            np.array([i in stranded for i in order], dtype=bool),
            self.size,
            self.attained,
            self.point,
            float(bounds.min()) if len(bounds) else np.inf,
        )


def _preorder(code: list[int], first: list[int], root: int) -> tuple[list[int], list[int]]:
    """Words of the tree below ``root`` and the numbers of the open nodes, both in preorder."""
    words: list[int] = []
    order: list[int] = []
    stack = [root]
    while stack:
        node = stack.pop()
        word = code[node]
        words.append(word)
        if word == OPEN:
            order.append(node)
        elif word in (CLIP, QUICK_CLIP):
            stack.append(first[node])
        elif word >= SPLIT:
            stack.append(first[node] + 1)
            stack.append(first[node])
    return words, order
