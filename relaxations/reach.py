"""What the outputs of a graph can be over boxes of its inputs, as far as CROWN bounds know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.lowering import lower
from specs.graph import Graph
from specs.problem import Box, Terms


def largest(graph: Graph, boxes: Sequence[Box], directions: Sequence[Terms]) -> list[float]:
    """For each direction, weights of flat outputs, a bound on its value over all the boxes.

    CROWN bounds (Zhang et al. 2018, arXiv:1811.00866) in float64, their rounding not accounted for: whoever relies on
    one has to prove it. Raises ``UnsupportedOpError``.
    """
    network = lower(graph)
    weights = np.zeros((len(directions), graph.output_size))
    for r, direction in enumerate(directions):
        for i, c in direction:
            weights[r, i] = -float(c)
    rows = Rows(np.zeros((len(directions), graph.input_size)), weights, np.zeros(len(directions)))
    bounder = BoxBounder(network, rows)
    low, up = (
        np.array([[float(v) for v in side] for side in sides]) for sides in zip(*((b.lower, b.upper) for b in boxes))
    )
    found = np.full(len(directions), np.inf)
    for at in range(0, len(boxes), bounder.boxes_at_once):
        part = slice(at, at + bounder.boxes_at_once)
        found = np.minimum(found, bounder.bounds(low[part], up[part]).lower.min(axis=0))
    return [-value for value in found.tolist()]
