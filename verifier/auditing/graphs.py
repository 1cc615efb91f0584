"""Facts about graphs that need no data: their size, and which outputs cannot depend on an element of the input."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from specs.graph import Graph, Node, ops

Marks = NDArray[np.bool_]
MOVES = (ops.Reshape, ops.Transpose, ops.Slice, ops.Concat, ops.Gather, ops.Expand)
"""They put elements elsewhere. (Padding brings in a number of its own.)"""
ELEMENTWISE = (ops.Add, ops.Sub, ops.Relu, ops.LeakyRelu, ops.Abs, ops.Sigmoid, ops.Tanh, ops.Neg, ops.Sign)
SILENT = (ops.Input, ops.Constant, *MOVES)


@dataclass(frozen=True)
class Size:
    """``parameters`` are stored numbers, ``flops`` operations on numbers for one input."""

    parameters: int
    flops: int


def size_of(graph: Graph) -> Size:
    """Counted from the graph: a product of matrices or a convolution takes two operations for each pair of factors, a
    reduction one for each element, everything else that computes one for each result.
    """
    constants = {id(node.op.value): node.op.value for node in graph.nodes if isinstance(node.op, ops.Constant)}
    parameters = sum(value.size for value in constants.values() if value.dtype.kind == "f")
    return Size(parameters, sum(_flops(node, graph) for node in graph.nodes))


def _flops(node: Node, graph: Graph) -> int:
    shapes = [graph.by_name[name].shape for name in node.inputs]
    if isinstance(node.op, SILENT):
        return 0
    if isinstance(node.op, ops.MatMul):
        return 2 * prod(node.shape) * shapes[0][-1]
    if isinstance(node.op, ops.Conv):
        return 2 * prod(node.shape) * prod(shapes[1][1:]) + (prod(node.shape) if len(shapes) > 2 else 0)
    if isinstance(node.op, ops.ReduceSum | ops.ReduceMean | ops.ReduceMax | ops.ReduceMin | ops.ReduceProd):
        return prod(shapes[0])
    return prod(node.shape)


def depends(graph: Graph, place: int, cut: Collection[str]) -> bool:
    """Whether some output may depend on flat input ``place`` by a path that meets none of the nodes ``cut``.

    False is a proof: every such path goes through a weight that is zero. True is none of the contrary.
    """
    marks: dict[str, Marks] = {}
    start = 0
    for name in graph.inputs:
        flat = np.zeros(prod(graph.by_name[name].shape), dtype=np.bool_)
        if start <= place < start + flat.size:
            flat[place - start] = True
        marks[name] = flat.reshape(graph.by_name[name].shape)
        start += flat.size
    for node in graph.nodes:
        if node.name in cut:
            marks[node.name] = np.zeros(node.shape, dtype=np.bool_)
        elif node.name not in marks:
            marks[node.name] = _marks(node, graph.by_name, [marks[name] for name in node.inputs])
    return any(marks[name].any() for name in graph.outputs)


def _marks(node: Node, nodes: Mapping[str, Node], given: Sequence[Marks]) -> Marks:
    """Which elements of a node may depend on it, from those of what it is computed from."""
    none = np.zeros(node.shape, dtype=np.bool_)
    if not any(own.any() for own in given):
        return none
    op = node.op
    if isinstance(op, ops.MatMul):
        left, right = (_weights(nodes[name], own) for name, own in zip(node.inputs, given))
        touched = np.matmul(given[0].astype(float), right) + np.matmul(left, given[1].astype(float))
        return np.asarray(touched > 0)
    if isinstance(op, MOVES) and not (isinstance(op, ops.Gather) and given[1].any()):
        others = [_index(nodes[name], own) for name, own in zip(node.inputs, given)]
        return np.asarray(op.evaluate(*others) > 0)
    if isinstance(op, ops.Mul):
        parts = [
            own & np.asarray(_weights(nodes[other], theirs) > 0)
            for own, other, theirs in zip(given, reversed(node.inputs), reversed(list(given)))
        ]
        return np.asarray(none | parts[0] | parts[1])
    if isinstance(op, ELEMENTWISE):
        return np.asarray(np.logical_or.reduce([np.broadcast_to(own, node.shape) for own in given]))
    return np.ones(node.shape, dtype=np.bool_)


def _weights(node: Node, own: Marks) -> NDArray[np.float64]:
    """1 where a factor may be other than zero."""
    value = node.op.value != 0 if isinstance(node.op, ops.Constant) else np.ones(own.shape, dtype=np.bool_)
    return np.asarray(value, dtype=np.float64)


def _index(node: Node, own: Marks) -> NDArray[np.float64]:
    """Marks as numbers; a constant of whole numbers, such as places to pick, is itself."""
    whole = isinstance(node.op, ops.Constant) and node.op.value.dtype.kind in "iu"
    return node.op.value if whole else own.astype(np.float64)  # type: ignore[union-attr]
