"""Affine operators on images: convolution and its transpose, average pooling, batch normalisation."""

from __future__ import annotations

from math import prod

import numpy as np

from relaxations.lowering.affine import Rule
from relaxations.lowering.forms import Form, mapped, scaled, shifted
from relaxations.maps import Convolution, Geometry, Transposed, dense
from specs.graph import Node, ops

FULL = 2  # times the multiplications of a convolution: up to here a matrix takes less time


def convolution(node: Node, parents: list[Form]) -> Form | None:
    op, (x, weight, *bias) = node.op, parents
    assert isinstance(op, ops.Conv)
    if x.shape[0] != 1 or not weight.constant or not _constant(bias):
        return None
    geometry = _geometry(op, weight, x.shape, node.shape)
    return _biased(_windowed(x, Convolution(weight.value.astype(float), geometry), node), bias)


def transposed_convolution(node: Node, parents: list[Form]) -> Form | None:
    op, (x, weight, *bias) = node.op, parents
    assert isinstance(op, ops.ConvTranspose)
    if x.shape[0] != 1 or not weight.constant or not _constant(bias):
        return None
    geometry = _geometry(op, weight, node.shape, x.shape)
    adjoint = Transposed(Convolution(weight.value.astype(float), geometry))
    return _biased(mapped(x, adjoint, node.shape), bias)


def average_pool(node: Node, parents: list[Form]) -> Form:
    op, (x,) = node.op, parents
    assert isinstance(op, ops.AveragePool)
    images = prod(x.shape[:2])
    space, out = x.shape[2:], node.shape[2:]
    begin = op.pads[: len(op.pads) // 2]
    geometry = Geometry(
        1,
        1,
        1,
        (images, *space),
        (images, *out),
        (1, *op.kernel_shape),
        (1, *op.strides),
        (0, *begin),
        (1, *op.dilations),
    )
    kernel = np.ones((1, 1, 1, *op.kernel_shape))
    sums = Convolution(kernel, geometry)
    counts = sums.push(np.ones((1, prod(x.shape))))[0]
    if (counts == counts[0]).all():
        return _windowed(x, Convolution(kernel / counts[0], geometry), node)
    return scaled(_windowed(x, sums, node), 1.0 / counts)


def batch_normalization(node: Node, parents: list[Form]) -> Form | None:
    op, (x, *parameters) = node.op, parents
    assert isinstance(op, ops.BatchNormalization)
    if x.constant or not _constant(parameters):
        return None
    scale, bias, mean, var = (form.value.astype(float) for form in parameters)
    factor = scale / np.sqrt(var + op.epsilon)
    factors, offsets = (
        np.broadcast_to(p.reshape(-1, *(1,) * max(len(x.shape) - 2, 0)), x.shape).reshape(-1)
        for p in (factor, bias - mean * factor)
    )
    return shifted(scaled(x, factors), offsets)


def _geometry(
    op: ops.Conv | ops.ConvTranspose, weight: Form, read: tuple[int, ...], written: tuple[int, ...]
) -> Geometry:
    """Of a convolution that reads and writes images (1, channels, *space) of these shapes."""
    return Geometry(
        read[1],
        written[1],
        op.group,
        read[2:],
        written[2:],
        weight.shape[2:],
        op.strides,
        op.pads[: len(op.pads) // 2],
        op.dilations,
    )


def _constant(forms: list[Form]) -> bool:
    return all(form.constant for form in forms)


def _windowed(x: Form, m: Convolution, node: Node) -> Form:
    full = prod(m.shape) <= FULL * m.nonzeros
    return mapped(x, dense(m) if full else m, node.shape)


def _biased(form: Form, bias: list[Form]) -> Form:
    if not bias:
        return form
    per_channel = bias[0].value.astype(float).reshape(-1, *(1,) * (len(form.shape) - 2))
    return shifted(form, np.broadcast_to(per_channel, form.shape).reshape(-1))


RULES: dict[type, Rule] = {
    ops.Conv: convolution,
    ops.ConvTranspose: transposed_convolution,
    ops.AveragePool: average_pool,
    ops.BatchNormalization: batch_normalization,
}
