"""What each ONNX operator means: one short translation rule per operator, exact in the reals.

A computed tensor is a node of the network and an array of positions into that node's vector (-1 is the number 0), so
an operator that only moves data is NumPy's own movement of that array. No rule does arithmetic on floating-point
constants except widening them to float64. A rule that does not know a case raises ``CheckError``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError
from verifier.checker.network import (
    Affine,
    Dense,
    Gather,
    Index,
    Input,
    LinearMap,
    Network,
    Relu,
    Scale,
    Sparse,
    Vector,
)

Constant = NDArray[np.generic]
Shape = tuple[int, ...]
Attribute = int | float | str | list[int] | Constant

LARGEST = 5 * 10**7  # entries of one tensor or linear map
LARGEST_WEIGHT = 1e100
MOST_NODES = 1000
SPARSE_FROM, SPARSE_BELOW = 100_000, 0.1  # entries, density


@dataclass(frozen=True)
class Computed:
    """A tensor of the shape of ``index``: element i is element ``index[i]`` of a node's vector, or 0 where it is -1."""

    node: int
    index: Index

    @property
    def shape(self) -> Shape:
        return self.index.shape


Value = Computed | Constant


class Node:
    """One stored operator. Reading an attribute removes it, so that what remains was not understood."""

    def __init__(
        self, opset: int, inputs: Sequence[Value | None], attributes: dict[str, Attribute], outputs: int
    ) -> None:
        self.opset, self.inputs, self.attributes, self.outputs = opset, inputs, attributes, outputs

    def value(self, position: int) -> Value:
        value = self.optional(position)
        if value is None:
            raise CheckError(f"input {position} is missing")
        return value

    def optional(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.pop(name, default)
        if not isinstance(value, int):
            raise CheckError(f"attribute {name!r} is not an integer")
        return value

    def real(self, name: str, default: float) -> float:
        value = self.attributes.pop(name, default)
        if not isinstance(value, float):
            raise CheckError(f"attribute {name!r} is not a real number")
        return value

    def integers(self, name: str, position: int, since: int) -> list[int] | None:
        """A list that is attribute ``name`` before opset ``since`` and constant input ``position`` from then on."""
        if self.opset < since and len(self.inputs) > position:
            raise CheckError(f"input {position} is not allowed in opset {self.opset}")
        value = self.attributes.pop(name, None) if self.opset < since else self.optional(position)
        if isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.ndim <= 1:
            return [int(entry) for entry in value.reshape(-1)]
        if value is not None and not isinstance(value, list):
            raise CheckError(f"{name} is not a list of constant integers")
        return value


class Builder:
    """The network while it grows. Nodes are only appended; ``finish`` drops those the outputs do not need."""

    def __init__(self, input_size: int) -> None:
        self.nodes: list[Input | Affine | Relu] = [Input(input_size)]
        self.sizes = [input_size]

    def input_slice(self, start: int, shape: Shape) -> Computed:
        return Computed(0, np.arange(start, start + prod(shape), dtype=np.int64).reshape(shape))

    def emit(self, node: Affine | Relu, shape: Shape) -> Computed:
        size = prod(shape)
        self.nodes.append(node)
        self.sizes.append(size)
        return Computed(len(self.nodes) - 1, np.arange(size, dtype=np.int64).reshape(shape))

    def linear(self, parent: int, linear_map: LinearMap, shape: Shape) -> Computed:
        return self.emit(Affine(((parent, linear_map),), np.zeros(prod(shape))), shape)

    def is_whole(self, value: Computed) -> bool:
        """Whether the value is its node's vector, element by element."""
        return np.array_equal(value.index.reshape(-1), np.arange(self.sizes[value.node]))

    def whole(self, value: Value) -> int:
        """A node whose vector is the row-major flattening of the value; emits one when there is none."""
        if not isinstance(value, Computed):
            nothing = Gather(np.full(value.size, -1))
            return self.emit(Affine(((0, nothing),), widen(value).reshape(-1)), value.shape).node
        if self.is_whole(value):
            return value.node
        return self.linear(value.node, Gather(value.index.reshape(-1)), value.shape).node

    def computed(self, value: Value) -> Computed:
        if isinstance(value, Computed):
            return value
        return Computed(self.whole(value), np.arange(value.size, dtype=np.int64).reshape(value.shape))

    def finish(self, outputs: Sequence[Value]) -> Network:
        """The network of the nodes the outputs depend on; the last node is the concatenation of the outputs."""
        result = concatenate(self, [reshape(value, (-1,)) for value in outputs], 0)
        last = self.whole(result)
        if last == 0:
            last = self.linear(0, Gather(np.arange(self.sizes[0], dtype=np.int64)), (self.sizes[0],)).node
        needed = {0, last}
        for position in range(last, 0, -1):
            if position in needed:
                needed.update(_parents(self.nodes[position]))
        if len(needed) > MOST_NODES:
            raise CheckError(f"the network has {len(needed)} layers, at most {MOST_NODES} are supported")
        kept = sorted(needed)
        place = {old: new for new, old in enumerate(kept)}
        return Network(tuple(_moved(self.nodes[old], place) for old in kept), tuple(self.sizes[old] for old in kept))


def _parents(node: Input | Affine | Relu) -> list[int]:
    if isinstance(node, Affine):
        return [parent for parent, _ in node.terms]
    return [node.parent] if isinstance(node, Relu) else []


def _moved(node: Input | Affine | Relu, place: dict[int, int]) -> Input | Affine | Relu:
    if isinstance(node, Affine):
        return Affine(tuple((place[parent], linear_map) for parent, linear_map in node.terms), node.bias)
    return Relu(place[node.parent]) if isinstance(node, Relu) else node


def widen(constant: Constant) -> Vector:
    """The same numbers in float64. Refuses integers, NaN, infinities and magnitudes above 1e100."""
    if constant.dtype.kind != "f":
        raise CheckError("a constant that enters the computation is not floating-point")
    wide = constant.astype(np.float64)
    if not np.all(np.abs(wide) <= LARGEST_WEIGHT):
        raise CheckError("a constant is not finite or exceeds 1e100 in magnitude")
    return wide


def bounded(shape: Sequence[int]) -> Shape:
    if prod(shape) > LARGEST:
        raise CheckError(f"a tensor or linear map of shape {list(shape)} is too large")
    return tuple(shape)


# --- arithmetic -----------------------------------------------------------------------------------------------------


def add(builder: Builder, a: Value, b: Value) -> Computed:
    """a + b with broadcasting. A constant joins the zero bias of the affine map it is added to: no number changes."""
    shape = bounded(np.broadcast_shapes(a.shape, b.shape))
    if not isinstance(b, Computed):
        a, b = b, builder.computed(a)
    x = Computed(b.node, np.broadcast_to(b.index, shape))
    if isinstance(a, Computed):
        y = Computed(a.node, np.broadcast_to(a.index, shape))
        terms = tuple((value.node, Gather(value.index.reshape(-1))) for value in (y, x))
        return builder.emit(Affine(terms, np.zeros(prod(shape))), shape)
    bias = np.broadcast_to(widen(a), shape).reshape(-1)
    node = builder.nodes[x.node]
    if isinstance(node, Affine) and not node.bias.any() and builder.is_whole(x):
        return builder.emit(Affine(node.terms, bias), shape)
    return builder.emit(Affine(((x.node, Gather(x.index.reshape(-1))),), bias), shape)


def negate(builder: Builder, a: Value) -> Value:
    """-a, which is exact."""
    if not isinstance(a, Computed):
        return -widen(a)
    node = builder.whole(a)
    return builder.linear(node, Scale(np.full(builder.sizes[node], -1.0)), a.shape)


def scale(builder: Builder, a: Value, factor: Value, divide: bool = False) -> Computed:
    """a * factor, or a / factor when ``divide``; at most one of the two depends on the input."""
    if isinstance(factor, Computed) and not isinstance(a, Computed) and not divide:
        a, factor = factor, a
    if isinstance(factor, Computed):
        raise CheckError("a product or quotient of computed values is not linear")
    shape = bounded(np.broadcast_shapes(a.shape, factor.shape))
    factors = np.broadcast_to(widen(factor), shape).reshape(-1)
    if divide and not factors.all():
        raise CheckError("division by zero")
    x = builder.computed(a)
    node = builder.whole(Computed(x.node, np.broadcast_to(x.index, shape)))
    return builder.linear(node, Scale(factors, divide), shape)


def matmul(builder: Builder, a: Value, b: Value) -> Computed:
    """The matrix product with NumPy's rules for ranks and broadcasting; one of the factors is constant."""
    if not isinstance(a, Computed) and not isinstance(b, Computed):
        a = builder.computed(a)
    if isinstance(a, Computed) and not isinstance(b, Computed):
        x, constant = a, b
    elif isinstance(b, Computed) and not isinstance(a, Computed):
        x, constant = b, a
    else:
        raise CheckError("a product of computed matrices is not linear")
    if not a.shape or not b.shape:
        raise CheckError("a factor is a scalar")
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise CheckError(f"matrix product of shapes {list(a.shape)} and {list(b.shape)}")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    m, k, n = left[-2], left[-1], right[-1]
    full = bounded((*batch, m, k, n))  # one entry of the linear map per element
    shape = batch + (m,) * (len(a.shape) > 1) + (n,) * (len(b.shape) > 1)
    node, weight = builder.whole(x), widen(constant)
    if prod(x.shape) == k and prod(batch) == 1:  # one row or one column: the stored matrix is the map
        matrix = weight.reshape(k, n).T if x is a else weight.reshape(m, k)
        return builder.linear(node, linear_map(matrix), shape)
    columns = np.arange(prod(x.shape), dtype=np.int64)
    if x is a:
        columns, weight = columns.reshape(left)[..., :, :, None], weight.reshape(right)[..., None, :, :]
    else:
        columns, weight = columns.reshape(right)[..., None, :, :], weight.reshape(left)[..., :, :, None]
    rows = np.arange(prod(batch) * m * n, dtype=np.int64).reshape((*batch, m, 1, n))
    entries = [np.broadcast_to(part, full).reshape(-1) for part in (rows, columns, weight)]
    return builder.linear(node, entry_map(*entries, rows.size, prod(x.shape)), shape)


def linear_map(matrix: Vector) -> Dense | Sparse:
    """A matrix as a linear map: sparse when it is large and mostly zero."""
    if matrix.size < SPARSE_FROM or np.count_nonzero(matrix) >= SPARSE_BELOW * matrix.size:
        return Dense(np.ascontiguousarray(matrix))
    columns, rows = np.nonzero(matrix.T)
    return Sparse(rows, columns, matrix[rows, columns], matrix.shape[0])


def entry_map(rows: Index, columns: Index, values: Vector, height: int, width: int) -> Dense | Sparse:
    """The linear map with the given entries; no (row, column) occurs twice."""
    if height * width < SPARSE_FROM or np.count_nonzero(values) >= SPARSE_BELOW * height * width:
        matrix = np.zeros(bounded((height, width)))
        matrix[rows, columns] = values
        return Dense(matrix)
    order = np.flatnonzero(values)
    order = order[np.argsort(columns[order], kind="stable")]
    return Sparse(rows[order], columns[order], values[order], height)


def total(builder: Builder, a: Value, axes: Sequence[int], keepdims: bool) -> Computed:
    """The sum of a over the given axes (not negative, no repetition)."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(a.shape))
    rows = np.arange(prod(kept), dtype=np.int64).reshape(kept)
    rows = np.broadcast_to(rows, a.shape).reshape(-1)
    columns = np.arange(rows.size, dtype=np.int64)
    shape = kept if keepdims else tuple(size for axis, size in enumerate(kept) if axis not in axes)
    return builder.linear(
        builder.whole(a), entry_map(rows, columns, np.ones(rows.size), prod(kept), rows.size), shape
    )


def concatenate(builder: Builder, parts: Sequence[Value], axis: int) -> Value:
    """The parts side by side along ``axis``."""
    constants = [part for part in parts if not isinstance(part, Computed)]
    if len(constants) == len(parts):
        return np.concatenate(constants, axis)
    nodes = {part.node for part in parts if isinstance(part, Computed)}
    if len(nodes) == 1 and not constants:
        return Computed(nodes.pop(), np.concatenate([part.index for part in parts if isinstance(part, Computed)], axis))
    terms = []
    for node in sorted(nodes):
        of_node = [p.index if isinstance(p, Computed) and p.node == node else np.full(p.shape, -1) for p in parts]
        terms.append((node, Gather(np.concatenate(of_node, axis).reshape(-1))))
    bias = np.concatenate([np.zeros(p.shape) if isinstance(p, Computed) else widen(p) for p in parts], axis)
    return builder.emit(Affine(tuple(terms), bias.reshape(-1)), bias.shape)


# --- movement: each acts alike on constants and on the index array of a computed tensor -------------------------------


def move(value: Value, movement: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Value:
    if isinstance(value, Computed):
        return Computed(value.node, movement(value.index).astype(np.int64, copy=False))
    return movement(value)


def reshape(value: Value, shape: Sequence[int]) -> Value:
    return move(value, lambda array: array.reshape(tuple(shape)))


def take(value: Value, indices: NDArray[np.generic], axis: int) -> Value:
    """Entries along an axis, counted from the end where negative; raises ``IndexError`` when out of range."""
    return move(value, lambda array: np.take(array, indices, axis))


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front; refuses any out of range or named twice."""
    counted = [axis + rank if axis < 0 else axis for axis in axes]
    if any(not 0 <= axis < rank for axis in counted) or len(set(counted)) < len(counted):
        raise CheckError(f"axes {list(axes)} do not fit a tensor of rank {rank}")
    return counted


# --- one rule per operator ------------------------------------------------------------------------------------------

Rule = Callable[[Builder, Node], Sequence[Value]]


def _add(builder: Builder, node: Node) -> Sequence[Value]:
    return [add(builder, node.value(0), node.value(1))]


def _sub(builder: Builder, node: Node) -> Sequence[Value]:
    return [add(builder, node.value(0), negate(builder, node.value(1)))]


def _mul(builder: Builder, node: Node) -> Sequence[Value]:
    return [scale(builder, node.value(0), node.value(1))]


def _div(builder: Builder, node: Node) -> Sequence[Value]:
    return [scale(builder, node.value(0), node.value(1), divide=True)]


def _neg(builder: Builder, node: Node) -> Sequence[Value]:
    return [negate(builder, node.value(0))]


def _relu(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    return [builder.emit(Relu(builder.whole(value)), value.shape)]


def _matmul(builder: Builder, node: Node) -> Sequence[Value]:
    return [matmul(builder, node.value(0), node.value(1))]


def _gemm(builder: Builder, node: Node) -> Sequence[Value]:
    a, b, c = node.value(0), node.value(1), node.optional(2)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise CheckError("a factor is not a matrix")
    if node.integer("transA", 0):
        a = move(a, np.transpose)
    if node.integer("transB", 0):
        b = move(b, np.transpose)
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    result = matmul(builder, a, b)
    if alpha != 1.0:
        result = scale(builder, result, np.array(alpha))
    if c is None:
        return [result]
    if np.broadcast_shapes(c.shape, result.shape) != result.shape:
        raise CheckError(f"C of shape {list(c.shape)} does not broadcast to {list(result.shape)}")
    if beta != 1.0:
        c = scale(builder, c, np.array(beta))
    return [add(builder, result, c)]


def _reduce(node: Node, since: int) -> tuple[Value, list[int], bool]:
    value, axes = node.value(0), node.integers("axes", 1, since)
    if not axes:
        if since <= node.opset and node.integer("noop_with_empty_axes", 0):
            raise CheckError("noop_with_empty_axes is not supported")
        axes = list(range(len(value.shape)))
    elif since <= node.opset:
        node.integer("noop_with_empty_axes", 0)  # only matters without axes
    return value, axes_of(axes, len(value.shape)), node.integer("keepdims", 1) != 0


def _reduce_sum(builder: Builder, node: Node) -> Sequence[Value]:
    return [total(builder, *_reduce(node, 13))]


def _reduce_mean(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes, keepdims = _reduce(node, 18)
    count = prod(value.shape[axis] for axis in axes)
    return [scale(builder, total(builder, value, axes, keepdims), np.array(float(count)), divide=True)]


def _concat(builder: Builder, node: Node) -> Sequence[Value]:
    parts = [node.value(position) for position in range(len(node.inputs))]
    if "axis" not in node.attributes:
        raise CheckError("the axis is missing")
    (axis,) = axes_of([node.integer("axis", 0)], len(parts[0].shape))
    return [concatenate(builder, parts, axis)]


def _identity(builder: Builder, node: Node) -> Sequence[Value]:
    return [node.value(0)]


def _dropout(builder: Builder, node: Node) -> Sequence[Value]:
    """Inference only; the second output, the mask, is not provided."""
    node.attributes.pop("ratio", None)
    node.attributes.pop("seed", None)
    if node.opset < 12 and len(node.inputs) > 1:
        raise CheckError(f"has {len(node.inputs)} inputs in opset {node.opset}")
    training = node.optional(2)
    if training is not None and (isinstance(training, Computed) or training.any()):
        raise CheckError("training mode is not supported")
    return [node.value(0)]


def _flatten(builder: Builder, node: Node) -> Sequence[Value]:
    value, axis = node.value(0), node.integer("axis", 1)
    rank = len(value.shape)
    if not -rank <= axis <= rank:
        raise CheckError(f"axis {axis} does not fit a tensor of rank {rank}")
    axis = axis + rank if axis < 0 else axis
    return [reshape(value, (prod(value.shape[:axis]), prod(value.shape[axis:])))]


def _reshape(builder: Builder, node: Node) -> Sequence[Value]:
    value, shape = node.value(0), node.integers("shape", 1, 5)
    if shape is None or node.integer("allowzero", 0):
        raise CheckError("the shape is missing, or allowzero is set")
    if any(size < -1 or (size == 0 and axis >= len(value.shape)) for axis, size in enumerate(shape)):
        raise CheckError(f"shape {shape} does not fit a tensor of rank {len(value.shape)}")
    return [reshape(value, [value.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])]


def _squeeze(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes = node.value(0), node.integers("axes", 1, 13)
    if axes is None:
        axes = [axis for axis, size in enumerate(value.shape) if size == 1]
    elif not axes:
        raise CheckError("an empty list of axes is ambiguous")
    return [move(value, lambda array: np.squeeze(array, tuple(axes_of(axes, array.ndim))))]


def _unsqueeze(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes = node.value(0), node.integers("axes", 1, 13)
    if axes is None:
        raise CheckError("axes are missing")
    return [move(value, lambda array: np.expand_dims(array, tuple(axes_of(axes, array.ndim + len(axes)))))]


def _transpose(builder: Builder, node: Node) -> Sequence[Value]:
    value, order = node.value(0), node.attributes.pop("perm", None)
    rank = len(value.shape)
    axes = list(range(rank))[::-1] if order is None else order
    if not isinstance(axes, list) or sorted(axes) != list(range(rank)):
        raise CheckError(f"perm {axes} is no permutation of {rank} axes")
    return [move(value, lambda array: np.transpose(array, axes))]


def _gather(builder: Builder, node: Node) -> Sequence[Value]:
    value, indices = node.value(0), node.value(1)
    if isinstance(indices, Computed) or indices.dtype.kind != "i":
        raise CheckError("the indices are not constant integers")
    (axis,) = axes_of([node.integer("axis", 0)], len(value.shape))
    bounded(value.shape[:axis] + indices.shape + value.shape[axis + 1 :])
    return [take(value, indices, axis)]


def _slice(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    starts, ends = node.integers("starts", 1, 10), node.integers("ends", 2, 10)
    if starts is None or ends is None:
        raise CheckError("starts or ends are missing")
    axes, steps = node.integers("axes", 3, 10), node.integers("steps", 4, 10)
    axes = axes_of(list(range(len(starts))) if axes is None else axes, len(value.shape))
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise CheckError("starts, ends, axes and steps differ in length")
    cut = [slice(None)] * len(value.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps):
        if step == 0 or (step < 0 and start < -value.shape[axis]):  # there Python and ONNX clamp differently
            raise CheckError(f"start {start} and step {step} are not supported")
        cut[axis] = slice(start, end, step)
    return [move(value, lambda array: array[tuple(cut)])]


def _split(builder: Builder, node: Node) -> Sequence[Value]:
    value, sizes = node.value(0), node.integers("split", 1, 13)
    (axis,) = axes_of([node.integer("axis", 0)], len(value.shape))
    parts, length = node.outputs, value.shape[axis]
    if node.opset >= 18 and node.integer("num_outputs", parts) != parts:
        raise CheckError("num_outputs is not the number of outputs")
    if sizes is None:
        if node.opset < 18 and length % parts:
            raise CheckError(f"an axis of {length} does not split into {parts} equal parts")
        each = -(-length // parts)
        sizes = [each] * (parts - 1) + [length - each * (parts - 1)]
    if len(sizes) != parts or sum(sizes) != length or min(sizes) < 0:
        raise CheckError(f"an axis of {length} does not split into {sizes}")
    cuts = [sum(sizes[:part]) for part in range(parts + 1)]
    return [take(value, np.arange(start, end), axis) for start, end in pairwise(cuts)]


def _expand(builder: Builder, node: Node) -> Sequence[Value]:
    value, shape = node.value(0), node.integers("shape", 1, 8)
    if shape is None or min(shape, default=1) < 0:
        raise CheckError("the shape is missing or negative")
    wide = bounded(np.broadcast_shapes(value.shape, tuple(shape)))
    return [move(value, lambda array: np.broadcast_to(array, wide))]


def _pad(builder: Builder, node: Node) -> Sequence[Value]:
    value, pads, axes = node.value(0), node.integers("pads", 1, 11), None
    mode, fill = node.attributes.pop("mode", "constant"), node.real("value", 0.0) if node.opset < 11 else 0.0
    extra = node.optional(2)
    if node.opset >= 18:
        axes = node.integers("axes", 3, 18)
    elif len(node.inputs) > 3:
        raise CheckError(f"input 3 is not allowed in opset {node.opset}")
    axes = axes_of(list(range(len(value.shape))) if axes is None else axes, len(value.shape))
    zero = fill == 0.0 and (extra is None or (not isinstance(extra, Computed) and not extra.any()))
    if mode != "constant" or not zero or not isinstance(value, Computed):
        raise CheckError("only a computed tensor is padded, and only with the constant 0")
    if pads is None or len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise CheckError(f"pads {pads} do not fit, or are negative")
    widths = [(0, 0)] * len(value.shape)
    for position, axis in enumerate(axes):
        widths[axis] = (pads[position], pads[position + len(axes)])
    bounded([size + before + after for size, (before, after) in zip(value.shape, widths)])
    return [Computed(value.node, np.pad(value.index, widths, constant_values=-1))]


def _constant(builder: Builder, node: Node) -> Sequence[Value]:
    if len(node.attributes) != 1:
        raise CheckError("has not exactly one attribute")
    name, value = node.attributes.popitem()
    if name == "value" and isinstance(value, np.ndarray):
        return [value]
    if name in ("value_int", "value_ints") and isinstance(value, int | list):
        return [np.array(value, dtype=np.int64)]
    if name in ("value_float", "value_floats") and isinstance(value, float | np.ndarray):
        return [np.asarray(value, dtype=np.float32)]
    raise CheckError(f"attribute {name!r} is not supported")


def _constant_of_shape(builder: Builder, node: Node) -> Sequence[Value]:
    shape, fill = node.integers("shape", 0, 9), node.attributes.pop("value", np.zeros(1, dtype=np.float32))
    if shape is None or min(shape, default=1) < 0 or not isinstance(fill, np.ndarray) or fill.size != 1:
        raise CheckError("the shape or the value does not fit")
    return [np.broadcast_to(fill.reshape(()), bounded(shape))]


def _shape(builder: Builder, node: Node) -> Sequence[Value]:
    shape = node.value(0).shape
    if node.opset < 15:
        return [np.array(shape, dtype=np.int64)]
    start, end = node.integer("start", 0), node.integer("end", len(shape))
    return [np.array(shape[slice(start, end)], dtype=np.int64)]


def _cast(builder: Builder, node: Node) -> Sequence[Value]:
    """Integers to int64, floating-point constants to a wider type, computed values to float64."""
    value, target = node.value(0), node.integer("to", 0)
    node.attributes.pop("saturate", None)  # concerns 8-bit floats only
    if isinstance(value, Computed):
        if target != 11:
            raise CheckError("a computed value is only cast to double, which rounds nothing")
        return [value]
    kinds: dict[int, tuple[str, type[np.generic]]] = {1: ("f", np.float32), 7: ("i", np.int64), 11: ("f", np.float64)}
    kind, dtype = kinds.get(target, ("", np.float64))
    if value.dtype.kind != kind or value.dtype.itemsize > np.dtype(dtype).itemsize:
        raise CheckError(f"cast of {value.dtype} to element type {target} may change a value")
    return [value.astype(dtype)]


# operator: (rule, fewest inputs, most inputs)
OPERATORS: dict[str, tuple[Rule, int, int]] = {
    "Add": (_add, 2, 2),
    "Cast": (_cast, 1, 1),
    "Concat": (_concat, 1, 10_000),
    "Constant": (_constant, 0, 0),
    "ConstantOfShape": (_constant_of_shape, 1, 1),
    "Div": (_div, 2, 2),
    "Dropout": (_dropout, 1, 3),
    "Expand": (_expand, 2, 2),
    "Flatten": (_flatten, 1, 1),
    "Gather": (_gather, 2, 2),
    "Gemm": (_gemm, 2, 3),
    "Identity": (_identity, 1, 1),
    "MatMul": (_matmul, 2, 2),
    "Mul": (_mul, 2, 2),
    "Neg": (_neg, 1, 1),
    "Pad": (_pad, 1, 4),
    "ReduceMean": (_reduce_mean, 1, 2),
    "ReduceSum": (_reduce_sum, 1, 2),
    "Relu": (_relu, 1, 1),
    "Reshape": (_reshape, 2, 2),
    "Shape": (_shape, 1, 1),
    "Slice": (_slice, 1, 5),
    "Split": (_split, 1, 2),
    "Squeeze": (_squeeze, 1, 2),
    "Sub": (_sub, 2, 2),
    "Transpose": (_transpose, 1, 1),
    "Unsqueeze": (_unsqueeze, 1, 2),
}
