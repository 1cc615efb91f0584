"""A network with other functions in place of its ReLUs, written in the operators it has already.

The walk visits operators in the order in which lowering makes layers of them (``relaxations.lowering.piecewise``), and
writes each one by the ReLUs that lowering takes it for, so that layer k, neuron i are the same here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import isfinite, prod
from typing import Any

import numpy as np

from relaxations.lowering.piecewise import window_elements
from specs.errors import UnsupportedOpError
from specs.graph import Graph, Node, ops
from specs.loading.graph_builder import GraphBuilder
from verifier.relaxed.pieces import Pieces

LINEAR = (
    *(ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Expand, ops.Concat, ops.Pad, ops.Add, ops.Sub, ops.Neg),
    *(ops.Mul, ops.Div, ops.MatMul, ops.ReduceSum, ops.ReduceMean, ops.Conv, ops.ConvTranspose, ops.AveragePool),
    *(ops.BatchNormalization, ops.Input, ops.Constant),
)
HINT = "An extrapolation replaces ReLU, LeakyRelu, PRelu, Abs, Clip, Max, Min and MaxPool"


def with_pieces(graph: Graph, pieces: Sequence[Pieces], dtype: Any = np.float64) -> Graph:
    """The graph with unit i of layer k computing ``pieces[k]``'s function i; their numbers are stored in ``dtype``.

    Raises ``UnsupportedOpError`` with every operator that has no form here.
    """
    rewriter = _Rewriter(pieces, np.dtype(dtype))
    offenders = [
        (type(node.op).__name__, node.name) for node in graph.nodes if type(node.op) not in (*LINEAR, *rewriter.rules)
    ]
    if offenders:
        raise UnsupportedOpError(offenders, hint=HINT)
    return rewriter.run(graph)


class _Rewriter:
    def __init__(self, pieces: Sequence[Pieces], dtype: np.dtype[Any]) -> None:
        self.pieces, self.dtype = list(pieces), dtype
        self.builder = GraphBuilder()
        self.names: dict[str, str] = {}
        self.rules: dict[type, Callable[[Node, list[str]], str]] = {
            ops.Relu: lambda node, xs: self._layer(*xs),
            ops.LeakyRelu: lambda node, xs: self._leaky(xs[0], self._constant(node.op.alpha)),
            ops.PRelu: lambda node, xs: self._leaky(*xs),
            ops.Abs: lambda node, xs: self._absolute(*xs),
            ops.Clip: lambda node, xs: self._clip(node.op, *xs),
            ops.Max: lambda node, xs: reduce(self._maximum, [self._expanded(x, node.shape) for x in xs]),
            ops.Min: lambda node, xs: reduce(self._minimum, [self._expanded(x, node.shape) for x in xs]),
            ops.MaxPool: lambda node, xs: self._max_pool(node, *xs),
        }

    def run(self, graph: Graph) -> Graph:
        for name in (*graph.inputs, *graph.outputs):
            self.builder.reserve(name)
        for node in graph.nodes:
            inputs = [self.names[name] for name in node.inputs]
            if isinstance(node.op, ops.Input):
                name = self.builder.input(node.name, node.shape)
            elif isinstance(node.op, ops.Constant):
                name = self.builder.constant(np.asarray(node.op.value), node.name)
            elif type(node.op) in self.rules:
                name = self.rules[type(node.op)](node, inputs)
            else:
                name = self.builder.add(node.op, *inputs, stem=node.name)
            self.names[node.name] = name
        assert not self.pieces, "every layer of the lowered network stands for an operator"
        for name in graph.outputs:
            self.builder.publish(self.names[name], name)
        return self.builder.build(graph.inputs, tuple(self.names[name] for name in graph.outputs))

    def _layer(self, x: str) -> str:
        return self._replaced(x, self.pieces.pop(0))

    def _replaced(self, x: str, pieces: Pieces) -> str:
        """The functions applied to a value of as many elements."""
        shape = self.builder.shape(x)
        if not pieces.deviates.any():
            return self.builder.add(ops.Relu(), x)
        terms = []
        for weight, shift in zip(pieces.coefficients, (None, pieces.left, pieces.at, pieces.right)):
            if not weight.any():
                continue
            moved = x if shift is None else self._add(ops.Sub(), x, self._constant(shift.reshape(shape)))
            terms.append(self._add(ops.Mul(), self._add(ops.Relu(), moved), self._constant(weight.reshape(shape))))
        return reduce(lambda a, b: self._add(ops.Add(), a, b), terms)

    def _leaky(self, x: str, slope: str) -> str:
        """``s x + (1 - s) rho(x)``."""
        rest = self._add(ops.Sub(), self._constant(1.0), slope)
        return self._add(ops.Add(), self._add(ops.Mul(), x, slope), self._add(ops.Mul(), self._layer(x), rest))

    def _halves(self, first: str, second: str) -> tuple[str, str]:
        """One layer over both."""
        pieces, size = self.pieces.pop(0), prod(self.builder.shape(first))
        return self._replaced(first, pieces[:size]), self._replaced(second, pieces[size:])

    def _absolute(self, x: str) -> str:
        return self._add(ops.Add(), *self._halves(x, self._add(ops.Neg(), x)))

    def _clip(self, op: ops.Clip, x: str) -> str:
        low, high = (self._constant(v) if isfinite(v) else "" for v in (op.min, op.max))
        if low and high:
            shifted = [self._add(ops.Sub(), x, end) for end in (low, high)]
            return self._add(ops.Add(), low, self._add(ops.Sub(), *self._halves(*shifted)))
        if low:
            return self._add(ops.Add(), low, self._layer(self._add(ops.Sub(), x, low)))
        return self._add(ops.Sub(), x, self._layer(self._add(ops.Sub(), x, high))) if high else x

    def _maximum(self, x: str, y: str) -> str:
        return self._add(ops.Add(), y, self._layer(self._add(ops.Sub(), x, y)))

    def _minimum(self, x: str, y: str) -> str:
        return self._add(ops.Sub(), y, self._layer(self._add(ops.Sub(), y, x)))

    def _max_pool(self, node: Node, x: str) -> str:
        """A balanced tree of maxima over the elements of every window, one layer for each level."""
        shape = self.builder.shape(x)
        index = window_elements(node.op, shape, node.shape)
        level = self._taken(self._add(ops.Reshape((prod(shape),)), x), index)
        count, windows = index.shape
        while count > 1:
            places = np.arange(count * windows).reshape(count, windows)
            first, second, odd = places[0 : count - 1 : 2], places[1::2], places[count - count % 2 :]
            larger = self._maximum(self._taken(level, first), self._taken(level, second))
            level = self._add(ops.Concat(0), larger, self._taken(level, odd)) if odd.size else larger
            count = len(second) + len(odd)
        return self._add(ops.Reshape(node.shape), level)

    def _taken(self, flat: str, index: np.ndarray) -> str:
        return self._add(ops.Gather(0), flat, self.builder.constant(index.reshape(-1).astype(np.int64)))

    def _expanded(self, x: str, shape: tuple[int, ...]) -> str:
        return x if self.builder.shape(x) == shape else self._add(ops.Expand(shape), x)

    def _add(self, op: Any, *inputs: str) -> str:
        return self.builder.add(op, *inputs)

    def _constant(self, value: Any) -> str:
        return self.builder.constant(np.asarray(value, dtype=self.dtype))
