"""Piecewise linear ONNX operators as ReLUs, by identities that hold in the reals with the stored numbers.

Every use of an operator adds one ReLU node (``Max`` and ``Min`` one for each further operand, ``MaxPool`` one for each
level of its tree), in the order of the graph. Which neuron stands where is part of the certificate format.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.network import Affine, Gather, Index, LinearMap, Relu, Scale
from verifier.checker.onnx_builder import (
    Builder,
    Computed,
    Constant,
    Shape,
    Value,
    add,
    bounded,
    entry_map,
    move,
    negate,
    widen,
)
from verifier.checker.onnx_node import Node, Rule

ALPHA = float(np.float32(0.01))  # the default of LeakyRelu is this float32
MOST_OPERANDS = 10_000


def rectified(builder: Builder, value: Value) -> Computed:
    return builder.emit(Relu(builder.whole(value)), value.shape)


def largest(builder: Builder, node: int, parts: Index, shape: Shape) -> Computed:
    """The largest element of each column of ``parts``, which holds positions in a node's vector (-1: the number 0).

    A balanced tree of ``max(x, y) = y + relu(x - y)``: a level pairs row 2i (x) with row 2i + 1 (y) and passes an odd
    row on; its ReLU node holds all pairs, one row after another.
    """
    while len(parts) > 1:
        paired = len(parts) // 2 * 2
        left, right, alone = parts[:paired:2], parts[1:paired:2], parts[paired:]
        difference = builder.linear(node, _difference(left, right, builder.sizes[node]), left.shape)
        positive = rectified(builder, difference)
        kept = np.concatenate([right, alone])
        raised = np.concatenate([positive.index, np.full(alone.shape, -1)])
        maps = (node, Gather(kept.reshape(-1))), (positive.node, Gather(raised.reshape(-1)))
        level = builder.emit(Affine(maps, np.zeros(kept.size)), kept.shape)
        node, parts = level.node, level.index
    return Computed(node, parts.reshape(shape))


def _difference(left: Index, right: Index, width: int) -> LinearMap:
    """``out = v[left] - v[right]`` with -1 for the number 0."""
    columns = np.concatenate([left.reshape(-1), right.reshape(-1)])
    rows, values = np.tile(np.arange(left.size), 2), np.repeat([1.0, -1.0], left.size)
    used = (columns >= 0) & np.tile((left != right).reshape(-1), 2)
    return entry_map(rows[used], columns[used], values[used], left.size, width)


def _leaky(builder: Builder, value: Value, slope: Constant) -> Sequence[Value]:
    """slope z + relu(z) - slope relu(z): the number 1 - slope would have to be rounded."""
    if np.broadcast_shapes(slope.shape, value.shape) != value.shape:
        raise CheckError(f"a slope of shape {list(slope.shape)} does not broadcast to {list(value.shape)}")
    factors = np.broadcast_to(widen(slope), value.shape).reshape(-1)
    node = builder.whole(value)
    positive = rectified(builder, value).node
    terms = (node, Scale(factors)), (positive, Gather(np.arange(factors.size))), (positive, Scale(-factors))
    return [builder.emit(Affine(terms, np.zeros(factors.size)), value.shape)]


def _leaky_relu(builder: Builder, node: Node) -> Sequence[Value]:
    return _leaky(builder, node.value(0), np.array(node.real("alpha", ALPHA)))


def _prelu(builder: Builder, node: Node) -> Sequence[Value]:
    slope = node.value(1)
    if isinstance(slope, Computed):
        raise CheckError("the slope is computed, which is not supported")
    return _leaky(builder, node.value(0), slope)


def _abs(builder: Builder, node: Node) -> Sequence[Value]:
    """relu(z) + relu(-z), in one ReLU node over z and then -z."""
    value = node.value(0)
    size = prod(value.shape)
    both = builder.linear(builder.whole(value), _stacked(size, 1.0, -1.0), (2 * size,))
    first, second = _halves(rectified(builder, both), value.shape)
    return [add(builder, first, second)]


def _clip(builder: Builder, node: Node) -> Sequence[Value]:
    """low + relu(z - low) - relu(z - high), in one ReLU node over z - low and then z - high."""
    value, (low, high) = node.value(0), _limits(node)
    if low is not None and high is not None:
        size = prod(value.shape)
        shifts = -np.repeat([low, high], size)
        both = Affine(((builder.whole(value), _stacked(size, 1.0, 1.0)),), shifts)
        above, over = _halves(rectified(builder, builder.emit(both, shifts.shape)), value.shape)
        return [add(builder, _minus(builder, above, over), np.array(low))]
    if low is not None:
        return [add(builder, rectified(builder, add(builder, value, np.array(-low))), np.array(low))]
    if high is not None:
        return [_minus(builder, value, rectified(builder, add(builder, value, np.array(-high))))]
    return [value]


def _max(builder: Builder, node: Node) -> Sequence[Value]:
    """max(x, y) = y + relu(x - y), from left to right."""
    largest_so_far, *others = _operands(node)
    for other in others:
        positive = rectified(builder, _minus(builder, largest_so_far, other))
        largest_so_far = add(builder, other, positive)
    return [largest_so_far]


def _min(builder: Builder, node: Node) -> Sequence[Value]:
    """min(x, y) = y - relu(y - x), from left to right."""
    least_so_far, *others = _operands(node)
    for other in others:
        positive = rectified(builder, _minus(builder, other, least_so_far))
        least_so_far = _minus(builder, other, positive)
    return [least_so_far]


def _operands(node: Node) -> list[Value]:
    """All inputs, of the shape they broadcast to."""
    values = [node.value(position) for position in range(len(node.inputs))]
    shape = bounded(np.broadcast_shapes(*(value.shape for value in values)))
    return [move(value, lambda array: np.broadcast_to(array, shape)) for value in values]


def _minus(builder: Builder, a: Value, b: Value) -> Computed:
    """a - b for tensors of one shape."""
    if not isinstance(a, Computed) or not isinstance(b, Computed):
        return add(builder, a, negate(builder, b))
    minus_b = builder.whole(b), Scale(np.full(prod(b.shape), -1.0))
    terms = (a.node, Gather(a.index.reshape(-1))), minus_b
    return builder.emit(Affine(terms, np.zeros(prod(a.shape))), a.shape)


def _stacked(size: int, first: float, second: float) -> LinearMap:
    """``out = (first * v, second * v)``."""
    places = np.arange(2 * size)
    return entry_map(places, places % size, np.repeat([first, second], size), 2 * size, size)


def _halves(stacked: Computed, shape: Shape) -> tuple[Computed, Computed]:
    first, second = np.split(stacked.index, 2)
    return Computed(stacked.node, first.reshape(shape)), Computed(stacked.node, second.reshape(shape))


def _limits(node: Node) -> tuple[float | None, float | None]:
    """The stored bounds; None where there is none, or an infinite one that never binds."""
    if node.opset < 11:
        if len(node.inputs) > 1:
            raise CheckError(f"has {len(node.inputs)} inputs in opset {node.opset}")
        low, high = node.real("min", -inf), node.real("max", inf)
    else:
        low, high = (_limit(node.optional(position), default) for position, default in ((1, -inf), (2, inf)))
    if not low <= high:
        raise CheckError(f"the bounds {low} and {high} are not in order")
    return None if low == -inf else low, None if high == inf else high


def _limit(bound: Value | None, default: float) -> float:
    if bound is None:
        return default
    if isinstance(bound, Computed) or bound.size != 1:
        raise CheckError("a bound is not one constant number")
    number = bound.reshape(()).item()
    return number if np.isinf(number) else float(widen(bound).reshape(()))


PIECEWISE_OPERATORS: dict[str, tuple[Rule, int, int]] = {
    "Abs": (_abs, 1, 1),
    "Clip": (_clip, 1, 3),
    "LeakyRelu": (_leaky_relu, 1, 1),
    "Max": (_max, 1, MOST_OPERANDS),
    "Min": (_min, 1, MOST_OPERANDS),
    "PRelu": (_prelu, 2, 2),
}
