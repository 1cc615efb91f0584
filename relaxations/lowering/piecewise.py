"""Piecewise linear operators as ReLU layers.

The order of layers and of the neurons in them is a convention shared with the checker, whose proofs name neurons by it:
every use of an operator makes its layers where it stands in the graph.
"""

from __future__ import annotations

from collections.abc import Callable

from relaxations.lowering.forms import Form
from specs.graph import Node, ops

Relu = Callable[[Form], Form]  # adds one layer over the flat form
Rule = Callable[[Node, list[Form], Relu], Form | None]


def relu(node: Node, parents: list[Form], layer: Relu) -> Form:
    return layer(parents[0])


RULES: dict[type, Rule] = {ops.Relu: relu}
