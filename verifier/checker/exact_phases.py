"""Phase trees in rational arithmetic: lemma R1 of ``phases`` with nothing rounded but the frame's ranges, outward."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifier.checker.exact import ExactLines, ExactRelaxation
from verifier.checker.network import Network, Relu
from verifier.checker.phases import Leaf, PhaseTree, check_neurons
from verifier.checker.rational import Exact
from verifier.checker.vnnlib import QueryRow


def refused_exactly(
    network: Network, rows: Sequence[QueryRow], tree: PhaseTree, lower: Sequence[Fraction], upper: Sequence[Fraction]
) -> list[int]:
    """Positions of the leaves whose combination of rows is not proved > 0 on the box under its splits."""
    relus = [k for k, node in enumerate(network.nodes) if isinstance(node, Relu)]
    check_neurons(network, relus, tree)
    frame = ExactRelaxation(network, lower, upper)
    default = dict(frame.lines)
    refused = []
    for leaf in tree.leaves:
        frame.lines = {k: _lines(frame, default[k], k, i, tree, leaf) for i, k in enumerate(relus)}
        combined = _combination(rows, [Fraction(weight) for weight in leaf.weights.tolist()])
        if not frame.bounds([combined])[0] > 0:
            refused.append(leaf.position)
    return refused


def _combination(rows: Sequence[QueryRow], weights: Sequence[Fraction]) -> QueryRow:
    x: dict[int, Fraction] = {}
    y: dict[int, Fraction] = {}
    for row, weight in zip(rows, weights, strict=True):
        for total, coefs in ((x, row.x), (y, row.y)):
            for i, value in coefs.items():
                total[i] = total.get(i, Fraction(0)) + weight * value
    constant = sum((weight * row.constant for row, weight in zip(rows, weights, strict=True)), Fraction(0))
    return QueryRow(x, y, constant, True)


def _lines(
    frame: ExactRelaxation, default: ExactLines, k: int, ordinal: int, tree: PhaseTree, leaf: Leaf
) -> ExactLines:
    """The frame's lines of ReLU node ``k`` with the slopes and splits of one leaf."""
    low, up = frame.ranges[k]
    below, slope, offset = (part.fractions() for part in (default.below, default.slope, default.offset))
    shift = [Fraction(0)] * len(low)
    for (node, neuron), value in zip(tree.neurons.tolist(), leaf.slopes.tolist(), strict=True):
        if node == ordinal and low[neuron] < 0 < up[neuron]:
            below[neuron] = Fraction(value)
    for (node, neuron, sign), multiplier in zip(leaf.splits, leaf.multipliers.tolist(), strict=True):
        if node == ordinal:
            below[neuron] = slope[neuron] = Fraction(int(sign > 0))
            offset[neuron] = Fraction(0)
            shift[neuron] -= sign * Fraction(multiplier)
    return ExactLines(*(Exact.of(part) for part in (below, slope, offset, shift)))
