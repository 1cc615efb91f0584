"""Proving a phase tree: regions of one box cut out by ReLU phases, bounded with the multipliers the producer offers.

Lemma R1. On the part of the box where z_i >= 0 (<= 0) holds for split neurons, adding -beta_i z_i (+beta_i z_i) with
beta_i >= 0 to a row never raises it above its value there; a split ReLU is z_i (0); any slope in [0, 1] is a lower line
of an unsplit one; and where every row of an any-of fails (is <= 0), so does every combination with weights >= 0.
Hence weights, slopes and multipliers of any origin prove a case in a region when the resulting bound is > 0.

Lemma R2. Bounds of a neuron's argument obtained by R1 hold throughout the region, hence in every part of it. Splitting
z_i >= 0 (<= 0) raises its lower (lowers its upper) bound to 0. A region where some lower bound exceeds the upper one
is empty: everything holds there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder, drawn
from verifier.checker.boxes import Boxes, Relaxation, Rows
from verifier.checker.lines import Lines, U
from verifier.checker.multipliers import Lifted
from verifier.checker.phase_tree import Cuts, Frame, Multiplied, PhaseTree, Proof, Refined, Split
from verifier.checker.zonotope import Walk, Zonotope

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROOFS_AT_ONCE = 64
CELLS_AT_ONCE = 1 << 22  # of one coefficient matrix; bounds memory, not results

Ranges = dict[int, tuple[Floats, Floats]]  # by ReLU node: lower and upper (1, n) of its argument


@dataclass(frozen=True)
class _Region:
    """A node of the tree: its splits, bounds that hold on it, the columns of its frame, the cases not yet proved."""

    splits: tuple[Split, ...]
    ranges: Ranges
    columns: Ints
    pending: frozenset[int]

    @property
    def empty(self) -> bool:
        return any((l > u).any() for l, u in self.ranges.values())

    def part(self, relus: list[int], splits: tuple[Split, ...]) -> _Region:
        """Where these splits hold, too. ``relus`` are the nodes of the ReLUs."""
        ranges = dict(self.ranges)
        for relu in {relus[layer] for layer, _, _ in splits}:
            lower, upper = ranges[relu]
            ranges[relu] = lower.copy(), upper.copy()
        for layer, neuron, sign in splits:
            lower, upper = ranges[relus[layer]]
            if sign > 0:
                lower[0, neuron] = max(lower[0, neuron], 0.0)
            else:
                upper[0, neuron] = min(upper[0, neuron], 0.0)
        return replace(self, splits=self.splits + splits, ranges=ranges)


@dataclass(frozen=True)
class _Claim:
    """A proof waiting to be bounded with others."""

    position: int
    weights: Floats  # over the rows of all the tree's cases
    lines: dict[int, Lines]


class PhaseProver:
    """Walks one tree over one box. ``rows`` are those of the tree's cases, in its order."""

    def __init__(self, bounder: Bounder, tree: PhaseTree, rows: list[Rows], box: Boxes) -> None:
        self.bounder, self.tree, self.box = bounder, tree, box
        self.layers = bounder.network.layers
        self.rows = Rows(
            np.concatenate([r.x for r in rows]),
            np.concatenate([r.y for r in rows]),
            np.concatenate([r.constant for r in rows]),
        )
        self.first_row = np.cumsum([0, *(len(r.constant) for r in rows)])
        self.relu_values = sum(bounder.network.sizes[k] for k in self.layers)
        self.widest = max(self.relu_values // 4, *bounder.network.sizes)
        self.proofs_at_once = int(min(PROOFS_AT_ONCE, max(1, CELLS_AT_ONCE // max(1, self.relu_values))))
        self.claims: list[_Claim] = []
        self.refused: list[int] = []
        self.sizes: dict[int, Floats] = {}
        self.within_caps = False

    def prove(self, first_end: int, last_end: int) -> list[int]:
        """Positions of what is not proved among the endings ``first_end <= e < last_end`` and the proofs above them.

        ``Cuts`` count as endings; another proof above several endings belongs to the first of them.
        """
        if first_end >= last_end:
            return []
        with np.errstate(all="ignore"):  # overflow and NaN end in bounds of -inf, never in a proof
            stack: list[tuple[int, _Region, tuple[Split, ...]]] = [(0, self._root(), ())]
            while stack:
                at, region, splits = stack.pop()
                node = self.tree.nodes[at]
                if node.last_end <= first_end or node.first_end >= last_end:
                    continue
                if splits:  # not before the node's turn: waiting nodes then share their ranges
                    region = region.part(self.layers, splits)
                within: dict[int | None, _Region] = {}  # by item, where splits in a zonotope were made
                for number, item in enumerate(node.items):
                    if isinstance(item, Frame):
                        if at or number:  # the one at the very root is part of the region already
                            region = self._framed(region, item)
                        continue
                    if isinstance(item, Cuts):
                        # What is proved before the item, here or above, its open leaves need not prove again.
                        within[number] = replace(region, pending=region.pending & {item.case})
                        mine = first_end <= item.number < last_end and item.case in region.pending
                        if mine and not self._cut(region, item):
                            self.refused.append(item.position)
                    elif node.first_end >= first_end:
                        if isinstance(item, Proof):
                            self._claim(region, item)
                        elif not self._multiplied(region, item):
                            self.refused.append(item.position)
                    region = replace(region, pending=region.pending - {item.case})
                within[None] = region
                stack += [(child.at, within[child.item], child.splits) for child in reversed(node.children)]
                proved = (region.empty and self.within_caps) if node.empty else not region.pending
                if first_end <= node.end < last_end and not proved:
                    self.refused.append(node.position)
            self._settle()
        return self.refused

    def _root(self) -> _Region:
        """The whole box. A frame at the very root refines layer by layer, before later layers are looked at."""
        items = self.tree.nodes[0].items
        frame = items[0] if items and isinstance(items[0], Frame) else Frame(np.zeros((0, 2), dtype=np.int64), ())
        refined = {self.layers[r.layer]: r for r in frame.refined}

        def refine(relu: int, low: Floats, up: Floats, lines: dict[int, Lines], sizes: dict[int, Floats]) -> None:
            if relu in refined:
                self._refine(refined[relu], frame.columns, (), low, up, lines, sizes)

        relaxation = self.bounder.relax(self.box, refine, self.tree.symbols)
        self.sizes = relaxation.sizes
        self.within_caps = bool(relaxation.within_caps.all())
        return _Region((), relaxation.ranges, frame.columns, frozenset(range(len(self.tree.cases))))

    def _framed(self, region: _Region, frame: Frame) -> _Region:
        """Lemma R2, layer by layer."""
        ranges = dict(region.ranges)
        lines = {layer: self._drawn(layer, ranges) for layer in self.layers}
        for refined in frame.refined:
            relu = self.layers[refined.layer]
            low, up = (part.copy() for part in ranges[relu])
            self._refine(refined, frame.columns, region.splits, low, up, lines, self.sizes)
            ranges[relu] = low, up
            lines[relu] = self._drawn(relu, ranges)
        return replace(region, ranges=ranges, columns=frame.columns)

    def _drawn(self, layer: int, ranges: Ranges) -> Lines:
        return drawn(self.bounder.network.nodes[layer], *ranges[layer])

    def _refine(
        self,
        refined: Refined,
        columns: Ints,
        splits: tuple[Split, ...],
        low: Floats,
        up: Floats,
        lines: dict[int, Lines],
        sizes: dict[int, Floats],
    ) -> None:
        """Intersect ``low`` and ``up`` (1, n), in place, with backward bounds of the listed neurons."""
        relu = self.layers[refined.layer]
        parent = self.bounder.network.nodes[relu].parent  # type: ignore[union-attr]
        earlier = {k: line for k, line in lines.items() if k < relu}
        mine, named = [splits[s] for s in refined.splits], columns[refined.columns]
        count, step = len(refined.neurons), max(1, CELLS_AT_ONCE // (4 * self.widest))
        for at in range(0, count, step):
            neurons = refined.neurons[at : at + step]
            both = np.concatenate([np.arange(at, at + len(neurons)), np.arange(count + at, count + at + len(neurons))])
            hints = np.zeros(1, dtype=np.int64) if refined.shared else both
            hinted = self._hinted(earlier, named, mine, refined.slopes[hints], refined.multipliers[hints])
            index = np.zeros_like(both) if refined.shared else np.arange(len(both))
            bound = self.bounder.neuron_bounds(parent, neurons, index, hinted, sizes, self.box)
            low[0, neurons] = np.maximum(low[0, neurons], bound[: len(neurons)])
            up[0, neurons] = np.minimum(up[0, neurons], -bound[len(neurons) :])

    def _hinted(
        self, lines: dict[int, Lines], columns: Ints, splits: list[Split], slopes: Floats, multipliers: Floats
    ) -> dict[int, Lines]:
        """Lines (N, n) with each row's own slopes (N, columns) where unstable, and its multipliers (N, splits)."""
        out = {}
        for relu, line in lines.items():
            if line.base is not None:  # a sign
                out[relu] = line
                continue
            ordinal = self.layers.index(relu)
            below = np.repeat(line.below, len(slopes), axis=0)
            on = np.flatnonzero(columns[:, 0] == ordinal)
            on = on[line.offset[0, columns[on, 1]] > 0]  # the offset is 0 exactly where the neuron is stable
            below[:, columns[on, 1]] = slopes[:, on]
            shift = None
            here = [(s, neuron, sign) for s, (layer, neuron, sign) in enumerate(splits) if layer == ordinal]
            if here:
                shift = np.zeros_like(below)
                for s, neuron, sign in here:
                    shift[:, neuron] -= sign * multipliers[:, s]
            out[relu] = replace(line, below=below, shift=shift)
        return out

    def _cut(self, region: _Region, cuts: Cuts) -> bool:
        """Lemma R3."""
        zonotope = Zonotope(self.bounder, self.box, region.ranges, self.sizes, region.columns, cuts.slopes)
        return self.within_caps and Walk(zonotope, region.splits, cuts).proves(self._rows_of(cuts.case))

    def _multiplied(self, region: _Region, item: Multiplied) -> bool:
        """Lemma R4."""
        lifted = Lifted(self.bounder, self.box, region.ranges, self.sizes, region.columns, region.splits, item)
        return self.within_caps and lifted.least(self._rows_of(item.case)) > 0

    def _rows_of(self, case: int) -> Rows:
        first, last = self.first_row[case], self.first_row[case + 1]
        return Rows(*(part[first:last] for part in (self.rows.x, self.rows.y, self.rows.constant)))

    def _claim(self, region: _Region, proof: Proof) -> None:
        weights = np.zeros(len(self.rows.constant))
        weights[self.first_row[proof.case] : self.first_row[proof.case + 1]] = proof.weights
        lines = {layer: self._drawn(layer, region.ranges) for layer in self.layers}
        hinted = self._hinted(lines, region.columns, list(region.splits), proof.slopes[None], proof.multipliers[None])
        self.claims.append(_Claim(proof.position, weights, hinted))
        if len(self.claims) >= self.proofs_at_once:
            self._settle()

    def _settle(self) -> None:
        """Refuse the claims that do not hold; together they share their sizes, so what fails is tried alone."""
        claims, self.claims = self.claims, []
        if not claims:
            return
        for claim, value in zip(claims, self._least(claims), strict=True):
            if not value > 0 and (len(claims) == 1 or not self._least([claim])[0] > 0):
                self.refused.append(claim.position)

    def _least(self, claims: list[_Claim]) -> Floats:
        """Lower bounds (N,) of the combinations of rows that are claimed to be > 0."""
        count, sizes, rows = len(claims), self.sizes, self.rows
        lines = {relu: _stacked([claim.lines[relu] for claim in claims]) for relu in self.layers}
        weights = np.stack([claim.weights for claim in claims])
        combined = Rows(weights @ rows.x, weights @ rows.y, weights @ rows.constant)
        # Combining rounds; cancellation between rows must not hide that, so it is charged to the magnitudes.
        gamma = self.bounder.gamma + 4 * (weights.shape[1] + 4) * U
        last = len(self.bounder.network.nodes) - 1
        magnitude = weights @ (np.abs(rows.constant) + np.abs(rows.y) @ sizes[last][0] + np.abs(rows.x) @ sizes[0][0])
        parts = (self.box.lower, self.box.upper, self.box.mid, self.box.rad)
        lower, upper, mid, rad = (np.broadcast_to(part, (count, part.shape[1])) for part in parts)
        boxes = Boxes(lower, upper, mid, rad, self.box.ball)
        wide = {k: np.broadcast_to(size, (count, size.shape[1])) for k, size in sizes.items()}
        relaxation = Relaxation(boxes, lines, {}, wide)
        return self.bounder.combined(combined, np.arange(count), relaxation, 4 * gamma * magnitude)[3]


def _stacked(lines: list[Lines]) -> Lines:
    shift = None
    if any(line.shift is not None for line in lines):
        shift = np.concatenate([np.zeros_like(line.below) if line.shift is None else line.shift for line in lines])
    return Lines(
        np.concatenate([line.below for line in lines]),
        np.concatenate([line.slope for line in lines]),
        np.concatenate([line.offset for line in lines]),
        np.concatenate([line.size for line in lines]),
        shift,
        None if lines[0].base is None else np.concatenate([line.base for line in lines if line.base is not None]),
    )
