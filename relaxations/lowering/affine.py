"""Affine operators on tensors of any shape. A rule returns None for operands under which it is not affine."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from relaxations.lowering.forms import (
    Form,
    broadcast,
    difference,
    interleaved,
    mapped,
    moved,
    scaled,
    shifted,
    taken,
    total,
)
from relaxations.maps import Convolution, Geometry
from relaxations.maps.composing import SPARSE_FROM, stored
from specs.graph import Node, ops

Rule = Callable[[Node, list[Form]], Form | None]


def move(node: Node, parents: list[Form]) -> Form | None:
    """Elements moved by an operator of one varying operand."""
    first, *rest = parents
    if not all(form.constant for form in rest):
        return None
    return moved(first, lambda places: node.op.evaluate(places, *(form.value for form in rest)), node.shape)


def concat(node: Node, parents: list[Form]) -> Form:
    return interleaved(parents, node.op.evaluate, node.shape)


def pad(node: Node, parents: list[Form]) -> Form:
    op = node.op
    assert isinstance(op, ops.Pad)
    (form,) = parents
    inside = ops.Pad(op.pads, -1.0).evaluate(np.arange(prod(form.shape)).reshape(form.shape)).reshape(-1).astype(int)
    return shifted(taken(form, inside, node.shape), np.where(inside < 0, op.value, 0.0))


def add(node: Node, parents: list[Form]) -> Form:
    a, b = (broadcast(form, node.shape) for form in parents)
    return total(a, b)


def subtract(node: Node, parents: list[Form]) -> Form:
    a, b = (broadcast(form, node.shape) for form in parents)
    return difference(a, b)


def negate(node: Node, parents: list[Form]) -> Form:
    return scaled(parents[0], -1.0)


def multiply(node: Node, parents: list[Form]) -> Form | None:
    a, b = (broadcast(form, node.shape) for form in parents)
    if a.constant == b.constant:
        return None
    return scaled(b, a.bias) if a.constant else scaled(a, b.bias)


def divide(node: Node, parents: list[Form]) -> Form | None:
    a, b = (broadcast(form, node.shape) for form in parents)
    if a.constant or not b.constant:
        return None
    return scaled(a, 1.0 / b.bias.astype(float))


def matmul(node: Node, parents: list[Form]) -> Form | None:
    left, right = parents
    if left.constant == right.constant:
        return None
    if right.constant:
        if len(right.shape) != 2 or prod(left.shape[:-1]) != 1:
            return None
        return mapped(left, stored(right.value.T), node.shape)
    if len(left.shape) != 2 or len(right.shape) > 2 or prod(right.shape[1:]) != 1:
        return None
    return mapped(right, stored(left.value), node.shape)


def reduction(node: Node, parents: list[Form]) -> Form:
    """Sum or mean along axes: the reduced elements brought together, then one window over them."""
    op = node.op
    assert isinstance(op, (ops.ReduceSum, ops.ReduceMean))
    (form,) = parents
    axes = [axis % len(form.shape) for axis in op.axes]
    kept = [axis for axis in range(len(form.shape)) if axis not in axes]
    count, groups = prod(form.shape[axis] for axis in axes), prod(form.shape[axis] for axis in kept)
    weight = 1.0 / count if isinstance(op, ops.ReduceMean) else 1.0
    together = moved(form, lambda places: places.transpose(*kept, *axes), (groups, count))
    if groups * groups * count < SPARSE_FROM:
        return mapped(together, np.repeat(np.eye(groups) * weight, count, axis=1), node.shape)
    window = Geometry(1, 1, 1, (groups, count), (groups, 1), (1, count), (1, 1), (0, 0), (1, 1))
    return mapped(together, Convolution(np.full((1, 1, 1, count), weight), window), node.shape)


RULES: dict[type, Rule] = {
    ops.Reshape: move,
    ops.Transpose: move,
    ops.Slice: move,
    ops.Gather: move,
    ops.Expand: move,
    ops.Concat: concat,
    ops.Pad: pad,
    ops.Add: add,
    ops.Sub: subtract,
    ops.Neg: negate,
    ops.Mul: multiply,
    ops.Div: divide,
    ops.MatMul: matmul,
    ops.ReduceSum: reduction,
    ops.ReduceMean: reduction,
}
