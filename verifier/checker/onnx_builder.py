"""Tensors as positions in network nodes, and the exact linear maps ONNX operators are made of.

A computed tensor is a node of the network and an array of positions into that node's vector (-1 is the number 0), so
an operator that only moves data is NumPy's own movement of that array. Nothing here does arithmetic on floating-point
constants except widening them to float64 and changing their sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    Node,
    Relu,
    Scale,
    Sign,
    Sparse,
    Vector,
)
from verifier.checker.structure import parents

Constant = NDArray[np.generic]
Shape = tuple[int, ...]

LARGEST = 5 * 10**7  # entries of one tensor or linear map
LARGEST_WEIGHT = 1e100
MOST_NODES = 1000
MOST_VALUES = 10**8  # in all nodes together
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


class Builder:
    """The network while it grows. Nodes are only appended; ``finish`` drops those the outputs do not need."""

    def __init__(self, input_size: int) -> None:
        self.nodes: list[Node] = [Input(input_size)]
        self.sizes = [input_size]
        self.values = input_size

    def input_slice(self, start: int, shape: Shape) -> Computed:
        return Computed(0, np.arange(start, start + prod(shape), dtype=np.int64).reshape(shape))

    def emit(self, node: Affine | Relu | Sign, shape: Shape) -> Computed:
        size = prod(shape)
        if not size:
            raise CheckError(f"a tensor of shape {list(shape)} has no element")
        self.nodes.append(node)
        self.sizes.append(size)
        self.values += size
        if self.values > MOST_VALUES:
            raise CheckError(f"the network has more than {MOST_VALUES} values")
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
                needed.update(parents(self.nodes[position]))
        if len(needed) > MOST_NODES:
            raise CheckError(f"the network has {len(needed)} layers, at most {MOST_NODES} are supported")
        kept = sorted(needed)
        place = {old: new for new, old in enumerate(kept)}
        return Network(tuple(_moved(self.nodes[old], place) for old in kept), tuple(self.sizes[old] for old in kept))


def _moved(node: Node, place: dict[int, int]) -> Node:
    if isinstance(node, Affine):
        return Affine(tuple((place[parent], linear_map) for parent, linear_map in node.terms), node.bias)
    return type(node)(place[node.parent]) if isinstance(node, Relu | Sign) else node


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
    to, of = np.broadcast_to(rows, full).reshape(-1), np.broadcast_to(columns, full).reshape(-1)
    entries = np.broadcast_to(weight, full).reshape(-1)
    return builder.linear(node, entry_map(to, of, entries, rows.size, prod(x.shape)), shape)


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
    return builder.linear(builder.whole(a), entry_map(rows, columns, np.ones(rows.size), prod(kept), rows.size), shape)


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


def take(value: Value, indices: Index, axis: int) -> Value:
    """Entries along an axis, counted from the end where negative; raises ``IndexError`` when out of range."""
    return move(value, lambda array: np.take(array, indices, axis))


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front; refuses any out of range or named twice."""
    counted = [axis + rank if axis < 0 else axis for axis in axes]
    if any(not 0 <= axis < rank for axis in counted) or len(set(counted)) < len(counted):
        raise CheckError(f"axes {list(axes)} do not fit a tensor of rank {rank}")
    return counted
