"""Phase trees in rational arithmetic: lemmas R1 and R2 of ``phases`` with nothing rounded but ranges, outward."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifier.checker.ball import ExactBall
from verifier.checker.exact import ExactRelaxation
from verifier.checker.exact_lines import ExactLines, drawn, round_down
from verifier.checker.exact_multipliers import proves_exactly
from verifier.checker.exact_zonotope import ExactZonotope
from verifier.checker.network import Network
from verifier.checker.phase_tree import Cuts, Frame, Multiplied, PhaseTree, Proof, Refined, Split
from verifier.checker.rational import Exact
from verifier.checker.vnnlib import QueryRow

Range = tuple[list[Fraction], list[Fraction]]


def refused_exactly(
    network: Network,
    cases: Sequence[Sequence[QueryRow]],
    tree: PhaseTree,
    lower: Sequence[Fraction],
    upper: Sequence[Fraction],
    ball: ExactBall | None = None,
) -> list[int]:
    """Positions of what is not proved; ``cases`` are the rows of the tree's cases, in its order, ``ball`` is theirs."""
    return _Walk(network, cases, tree, lower, upper, ball).run()


class _Walk:
    def __init__(
        self,
        network: Network,
        cases: Sequence[Sequence[QueryRow]],
        tree: PhaseTree,
        lower: Sequence[Fraction],
        upper: Sequence[Fraction],
        ball: ExactBall | None,
    ) -> None:
        self.network, self.cases, self.tree = network, cases, tree
        self.layers = network.layers
        items = tree.nodes[0].items
        self.root_frame = items[0] if items and isinstance(items[0], Frame) else None
        # A frame at the root refines layer by layer, while the lines of later layers do not exist yet.
        self.relaxation = ExactRelaxation(network, lower, upper, self._refine_root, tree.symbols, ball)

    def run(self) -> list[int]:
        refused = []
        everything = frozenset(range(len(self.cases)))
        splits: tuple[Split, ...] = ()
        stack = [(0, splits, splits, dict(self.relaxation.ranges), self.root_frame, everything)]
        while stack:
            at, above, new, ranges, frame, pending = stack.pop()
            node, splits = self.tree.nodes[at], (*above, *new)
            for split in new:
                ranges = self._half(ranges, *split)
            within: dict[int | None, tuple[dict[int, Range], Frame | None, frozenset[int]]] = {}
            for number, item in enumerate(node.items):
                if isinstance(item, Frame):
                    if item is not self.root_frame:
                        ranges = self._framed(ranges, item, splits)
                    frame = item
                    continue
                if isinstance(item, Cuts):
                    # What is proved before the item, here or above, its open leaves need not prove again.
                    within[number] = ranges, frame, pending & {item.case}
                    holds = item.case not in pending or self._cut(ranges, frame, item, splits)
                elif isinstance(item, Multiplied):
                    holds = self._multiplied(ranges, frame, item, splits)
                else:
                    holds = self._holds(ranges, frame, item, splits)
                if not holds:
                    refused.append(item.position)
                pending = pending - {item.case}
            within[None] = ranges, frame, pending
            for child in reversed(node.children):
                stack.append((child.at, splits, child.splits, *within[child.item]))
            if node.end >= 0 and (not _is_empty(ranges) if node.empty else pending):
                refused.append(node.position)
        return refused

    def _refine_root(self, relaxation: ExactRelaxation, relu: int, low: list[Fraction], up: list[Fraction]) -> None:
        self.relaxation = relaxation
        for refined in self.root_frame.refined if self.root_frame is not None else ():
            if self.layers[refined.layer] == relu and self.root_frame is not None:
                self._refine(refined, self.root_frame, (), dict(self.relaxation.ranges), low, up)

    def _framed(self, ranges: dict[int, Range], frame: Frame, splits: tuple[Split, ...]) -> dict[int, Range]:
        ranges = dict(ranges)
        for refined in frame.refined:
            relu = self.layers[refined.layer]
            low, up = (list(part) for part in ranges[relu])
            self._refine(refined, frame, splits, ranges, low, up)
            ranges[relu] = [round_down(l) for l in low], [-round_down(-u) for u in up]
        return ranges

    def _refine(
        self,
        refined: Refined,
        frame: Frame,
        splits: tuple[Split, ...],
        ranges: dict[int, Range],
        low: list[Fraction],
        up: list[Fraction],
    ) -> None:
        """Intersect with backward bounds, each by its own hints."""
        parent = self.network.nodes[self.layers[refined.layer]].parent  # type: ignore[union-attr]
        names = [tuple(pair) for pair in frame.columns[refined.columns].tolist()]
        mine = [splits[s] for s in refined.splits]
        count = len(refined.neurons)
        for row, neuron in enumerate(refined.neurons.tolist()):
            for at, below in ((row, True), (count + row, False)):
                hints = 0 if refined.shared else at
                slopes = dict(zip(names, map(Fraction, refined.slopes[hints].tolist()), strict=True))
                self._draw(ranges, slopes, mine, refined.multipliers[hints].tolist())
                bounds = self.relaxation.neuron_bounds(parent, [neuron])
                if below:
                    low[neuron] = max(low[neuron], bounds[0])
                else:
                    up[neuron] = min(up[neuron], -bounds[1])

    def _holds(self, ranges: dict[int, Range], frame: Frame | None, proof: Proof, splits: tuple[Split, ...]) -> bool:
        """Whether the offered combination of the case's rows is > 0 on the region."""
        names = [tuple(pair) for pair in frame.columns.tolist()] if frame is not None else []
        slopes = dict(zip(names, map(Fraction, proof.slopes.tolist()), strict=True))
        self._draw(ranges, slopes, list(splits), proof.multipliers.tolist())
        combined = _combination(self.cases[proof.case], [Fraction(weight) for weight in proof.weights.tolist()])
        return self.relaxation.bounds([combined])[0] > 0

    def _cut(self, ranges: dict[int, Range], frame: Frame | None, cuts: Cuts, splits: tuple[Split, ...]) -> bool:
        """Whether the offered combination of the case's rows is > 0 on the region, by splits in its zonotope."""
        columns = [(k, n) for k, n in frame.columns.tolist()] if frame is not None else []
        combined = _combination(self.cases[cuts.case], [Fraction(weight) for weight in cuts.weights.tolist()])
        zonotope = ExactZonotope(self.relaxation, ranges, columns, cuts.slopes.tolist())
        return zonotope.proves(combined, columns, splits, cuts)

    def _multiplied(
        self, ranges: dict[int, Range], frame: Frame | None, item: Multiplied, splits: tuple[Split, ...]
    ) -> bool:
        """Whether the offered combination of the case's rows is > 0 on the region, by the form the item makes of it."""
        columns = [(k, n) for k, n in frame.columns.tolist()] if frame is not None else []
        combined = _combination(self.cases[item.case], [Fraction(weight) for weight in item.weights.tolist()])
        return proves_exactly(self.relaxation, ranges, columns, splits, item, combined)

    def _draw(
        self,
        ranges: dict[int, Range],
        slopes: dict[tuple[int, ...], Fraction],
        splits: list[Split],
        multipliers: list[float],
    ) -> None:
        """Set the relaxation's lines to those of the ranges with these slopes and multipliers."""
        for ordinal, relu in enumerate(self.layers):
            if relu not in ranges:
                continue
            default = drawn(self.network.nodes[relu], *ranges[relu])
            if default.base is not None:  # a sign
                self.relaxation.lines[relu] = default
                continue
            below = default.below.fractions()
            shift = [Fraction(0)] * len(below)
            for neuron, (l, u) in enumerate(zip(*ranges[relu], strict=True)):
                if l < 0 < u:
                    below[neuron] = slopes.get((ordinal, neuron), below[neuron])
            for (layer, neuron, sign), multiplier in zip(splits, multipliers, strict=True):
                if layer == ordinal:
                    shift[neuron] -= sign * Fraction(multiplier)
            self.relaxation.lines[relu] = ExactLines(Exact.of(below), default.slope, default.offset, Exact.of(shift))

    def _half(self, ranges: dict[int, Range], layer: int, neuron: int, sign: int) -> dict[int, Range]:
        relu = self.layers[layer]
        low, up = (list(part) for part in ranges[relu])
        if sign > 0:
            low[neuron] = max(low[neuron], Fraction(0))
        else:
            up[neuron] = min(up[neuron], Fraction(0))
        return {**ranges, relu: (low, up)}


def _is_empty(ranges: dict[int, Range]) -> bool:
    return any(l > u for r in ranges.values() for l, u in zip(*r, strict=True))


def _combination(rows: Sequence[QueryRow], weights: Sequence[Fraction]) -> QueryRow:
    x: dict[int, Fraction] = {}
    y: dict[int, Fraction] = {}
    for row, weight in zip(rows, weights, strict=True):
        for total, coefs in ((x, row.x), (y, row.y)):
            for i, value in coefs.items():
                total[i] = total.get(i, Fraction(0)) + weight * value
    constant = sum((weight * row.constant for row, weight in zip(rows, weights, strict=True)), Fraction(0))
    return QueryRow(x, y, constant, True)
