"""What the rules of PyTorch's operators build with: known or computed tensors, and numbers as PyTorch rounds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from specs.errors import ModelError
from specs.graph import Graph, Op, ops
from specs.graph.graph import Array, Shape
from specs.loading.graph_builder import GraphBuilder

MAX_FOLDED = 2**27
"""How many values all folded tensors may have together; a program of a few lines can ask for any number."""


@dataclass(frozen=True)
class Value:
    """A tensor while the graph is built; ``array`` is its value when that does not depend on the inputs.

    ``kind`` is ``float``, ``int`` or ``bool``.
    """

    name: str
    shape: Shape
    kind: str
    array: Array | None = field(default=None, compare=False)


class Builder:
    """``emit`` adds operators; their names start with ``scope``, the call being translated.

    Guarantees: shapes are checked by the operators' own rules, folding computes at most ``MAX_FOLDED`` values.
    Numbers written in the program are rounded to ``real_type``, as PyTorch does before it computes with them.
    """

    def __init__(self, file: str, real_type: type[np.floating[Any]] = np.float32) -> None:
        self.file, self.real_type = file, real_type
        self.scope = "value"
        self._graph = GraphBuilder()
        self._budget = MAX_FOLDED

    def input(self, name: str, shape: Shape) -> Value:
        if prod(shape) > MAX_FOLDED:
            raise ValueError(f"input {name!r} of shape {shape} has more than {MAX_FOLDED} elements")
        return self._value(self._graph.input(name, shape))

    def constant(self, array: Array, name: str | None = None) -> Value:
        return self._value(self._graph.constant(array, name or f"{self.scope}.constant"))

    def scalar(self, number: float) -> Value:
        """A rank-0 constant: an integer or truth value stays one, a real is rounded to ``real_type``."""
        return self.constant(np.asarray(number) if isinstance(number, int) else np.asarray(self.real_type(number)))

    def number(self, value: float) -> float:
        """``value`` rounded to ``real_type``, for the attributes of operators."""
        return float(self.real_type(value))

    def emit(self, op: Op, *operands: Value) -> Value:
        """``op(*operands)``: a new node, or a constant when all operands are. ``ValueError`` when they do not fit."""
        if all(operand.array is not None for operand in operands):
            self._budget -= prod(op.infer_shape(*(operand.shape for operand in operands)))
            if self._budget < 0:
                raise ValueError(f"its constant parts need more than {MAX_FOLDED} values")
        return self._value(self._graph.add(op, *(operand.name for operand in operands), stem=self.scope))

    def graph(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Graph:
        """The graph of everything the outputs need. Raises ``ModelError`` for constants that are not finite."""
        graph = self._graph.build(tuple(v.name for v in inputs), tuple(v.name for v in outputs))
        bad = [node.name for node in graph.nodes if isinstance(node.op, ops.Constant) and not _finite(node.op.value)]
        if bad:
            raise ModelError(f"constants that are NaN or infinite: {', '.join(map(repr, bad))}", self.file)
        return graph

    def _value(self, name: str) -> Value:
        return Value(name, self._graph.shape(name), self._graph.kind(name), self._graph.value(name))


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
