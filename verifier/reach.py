"""Bounds for reading a specification, loaded when one asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from specs.graph import Graph
from specs.problem import Box, Terms


def reach(graph: Graph, boxes: Sequence[Box], directions: Sequence[Terms]) -> Sequence[float]:
    """See `relaxations.reach.largest`."""
    from relaxations.reach import largest

    return largest(graph, boxes, directions)
