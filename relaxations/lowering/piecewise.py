"""Piecewise linear operators as ReLU layers, and signs as layers of their own.

The order of layers and of the neurons in them is a convention shared with the checker, whose proofs name neurons by it:
every use of an operator makes its layers where it stands in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import isfinite, prod
from typing import Protocol

import numpy as np

from relaxations.lowering.forms import (
    Form,
    broadcast,
    difference,
    mapped,
    scaled,
    shifted,
    taken,
    total,
)
from relaxations.maps import Diagonal, Matrix
from relaxations.maps.composing import add, compose
from relaxations.maps.elementwise import gather
from specs.graph import Node, ops


class Relu(Protocol):
    """Adds one layer over the flat form, of ReLUs or of signs."""

    def __call__(self, form: Form, sign: bool = False) -> Form: ...


Rule = Callable[[Node, list[Form], Relu], Form | None]


def relu(node: Node, parents: list[Form], layer: Relu) -> Form:
    return layer(parents[0])


def sign(node: Node, parents: list[Form], layer: Relu) -> Form:
    return layer(parents[0], sign=True)


def leaky_relu(node: Node, parents: list[Form], layer: Relu) -> Form:
    assert isinstance(node.op, ops.LeakyRelu)
    return _leaky(parents[0], node.op.alpha, layer)


def parametric_relu(node: Node, parents: list[Form], layer: Relu) -> Form | None:
    z, slope = (broadcast(form, node.shape) for form in parents)
    return _leaky(z, slope.bias.astype(float), layer) if slope.constant else None


def absolute(node: Node, parents: list[Form], layer: Relu) -> Form:
    """``relu(x) + relu(-x)``: one layer over both, x first."""
    twice = _twice(parents[0])
    return _both(scaled(twice, _halves(1.0, -1.0, twice)), 1.0, node, layer)


def clip(node: Node, parents: list[Form], layer: Relu) -> Form | None:
    """``low + relu(x - low) - relu(x - high)``: one layer over both, or over the one that there is."""
    assert isinstance(node.op, ops.Clip)
    (x,), low, high = parents, node.op.min, node.op.max
    if low > high:
        return None
    if isfinite(low) and isfinite(high):
        twice = _twice(x)
        return shifted(_both(shifted(twice, _halves(-low, -high, twice)), -1.0, node, layer), low)
    if isfinite(low):
        return shifted(layer(shifted(x, -low)), low)
    return difference(x, layer(shifted(x, -high))) if isfinite(high) else x


def maximum(node: Node, parents: list[Form], layer: Relu) -> Form:
    """``max(x, y) = y + relu(x - y)``, from left to right."""
    return _from_left(node, parents, lambda x, y: total(y, layer(difference(x, y))))


def minimum(node: Node, parents: list[Form], layer: Relu) -> Form:
    """``min(x, y) = y - relu(y - x)``, from left to right."""
    return _from_left(node, parents, lambda x, y: difference(y, layer(difference(y, x))))


def max_pool(node: Node, parents: list[Form], layer: Relu) -> Form:
    """A balanced tree of ``max(x, y) = y + relu(x - y)`` over the elements of every window, one layer for each level.

    Elements come in row-major order, (2i, 2i + 1) are a pair and an odd one out is passed on; in a level the pairs are
    slowest, then the windows. Padding is replaced by the first element of the window that is none.
    """
    assert isinstance(node.op, ops.MaxPool)
    (x,) = parents
    index = window_elements(node.op, x.shape, node.shape)
    level = taken(x, index.reshape(-1), (index.size,))
    count, windows = index.shape
    while count > 1:
        elements = np.arange(count * windows).reshape(count, windows)
        first, second, odd = elements[0 : count - 1 : 2], elements[1::2], elements[count - count % 2 :]
        size = first.size
        larger = layer(mapped(level, _difference(first.reshape(-1), second.reshape(-1), elements.size), (size,)))
        passed = np.concatenate([second, odd]).reshape(-1)
        places = np.arange(len(passed))
        raised = taken(larger, np.where(places < size, places, -1), (len(passed),))
        level = total(taken(level, passed, (len(passed),)), raised)
        count = len(second) + len(odd)
    return Form(level.terms, level.bias, node.shape)


def _leaky(z: Form, slope: float | np.ndarray, layer: Relu) -> Form:
    """``a z + relu(z) - a relu(z)``."""
    positive = layer(z)
    return total(scaled(z, slope), scaled(positive, 1.0 - slope))


def _difference(first: np.ndarray, second: np.ndarray, size: int) -> Matrix:
    """Entries ``first`` minus entries ``second`` of a vector: one map, so that what makes the vector is done once."""
    return add(gather(first, size), compose(Diagonal(np.full(len(second), -1.0)), gather(second, size)))


def _twice(x: Form) -> Form:
    size = len(x.bias)
    return taken(x, np.arange(2 * size) % size, (2 * size,))


def _halves(first: float, second: float, twice: Form) -> np.ndarray:
    return np.repeat([first, second], len(twice.bias) // 2)


def _both(stacked: Form, sign: float, node: Node, layer: Relu) -> Form:
    """The first half of one layer plus ``sign`` times the second."""
    positive, size = layer(stacked), prod(node.shape)
    first, second = (taken(positive, np.arange(size) + start, node.shape) for start in (0, size))
    return total(first, scaled(second, sign))


def _from_left(node: Node, parents: list[Form], pair: Callable[[Form, Form], Form]) -> Form:
    return reduce(pair, [broadcast(form, node.shape) for form in parents])


def window_elements(op: ops.MaxPool, shape: tuple[int, ...], out: tuple[int, ...]) -> np.ndarray:
    """Flat places of the elements of every window: (elements, windows), windows in the order of the result."""
    flat, inside = np.zeros((1, 1), dtype=int), np.ones((1, 1), dtype=bool)
    for size, count, k, stride, begin, dilation in zip(
        shape[2:], out[2:], op.kernel_shape, op.strides, op.pads, op.dilations
    ):
        place = np.arange(count) * stride - begin + np.arange(k)[:, None] * dilation  # (k, count)
        valid = (place >= 0) & (place < size)
        flat = (flat[:, None, :, None] * size + place[None, :, None, :]).reshape(len(flat) * k, -1)
        inside = (inside[:, None, :, None] & valid[None, :, None, :]).reshape(len(inside) * k, -1)
    first = flat[inside.argmax(axis=0), np.arange(flat.shape[1])]
    images = np.arange(prod(shape[:2])) * prod(shape[2:])
    return (images[None, :, None] + np.where(inside, flat, first)[:, None, :]).reshape(len(flat), -1)


RULES: dict[type, Rule] = {
    ops.Relu: relu,
    ops.Sign: sign,
    ops.LeakyRelu: leaky_relu,
    ops.PRelu: parametric_relu,
    ops.Abs: absolute,
    ops.Clip: clip,
    ops.Max: maximum,
    ops.Min: minimum,
    ops.MaxPool: max_pool,
}
