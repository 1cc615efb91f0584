"""What the ONNX operators on images mean: convolutions, pooling and normalisation, exact in the reals."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from verifier.checker.convolution import Convolution
from verifier.checker.errors import CheckError
from verifier.checker.network import Affine, LinearMap, Vector
from verifier.checker.onnx_builder import Builder, Computed, Constant, Shape, Value, bounded, widen
from verifier.checker.onnx_node import Node, Rule
from verifier.checker.onnx_window import Windows, space, windows


def _conv(builder: Builder, node: Node) -> Sequence[Value]:
    value, weight, groups = node.value(0), _kernel(node), node.integer("group", 1)
    found = windows(node, space(value), weight.shape[2:])
    batch, channels = value.shape[:2]
    if groups < 1 or weight.shape[0] % groups or weight.shape[1] * groups != channels:
        raise CheckError(f"{channels} channels do not fit a weight of shape {list(weight.shape)} in {groups} group(s)")
    source, target = value.shape[1:], (weight.shape[0], *found.counts)
    convolution = _placed(widen(weight), source, target, groups, found, batch)
    return [_with_bias(builder, value, convolution, node, (batch, *target))]


def _placed(kernel: Vector, source: Shape, target: Shape, groups: int, found: Windows, batch: int) -> Convolution:
    taps = prod(kernel.shape[2:])
    bounded((taps, prod(target[1:])))
    bounded((source[0], *(size + pad for size, pad in zip(source[1:], found.before, strict=True))))
    return Convolution(kernel, source, target, groups, found.strides, found.dilations, found.before, batch)


def _kernel(node: Node) -> Constant:
    weight = node.value(1)
    if isinstance(weight, Computed):
        raise CheckError("a convolution with a computed weight is not linear")
    if not weight.size or len(weight.shape) != len(node.value(0).shape):
        raise CheckError(f"the weight of shape {list(weight.shape)} does not fit the input")
    return weight


def _with_bias(builder: Builder, value: Value, linear_map: LinearMap, node: Node, shape: Shape) -> Computed:
    """The map applied to the value, plus the operator's bias for each channel of the result, if it has one."""
    size = prod(bounded(shape))
    bias, given = np.zeros(size), node.optional(2)
    if isinstance(given, Computed):
        raise CheckError("the bias is computed, which is not supported")
    if given is not None:
        if given.shape != (shape[1],):
            raise CheckError(f"a bias of shape {list(given.shape)} does not fit {shape[1]} channels")
        bias = np.tile(np.repeat(widen(given), prod(shape[2:])), shape[0])
    return builder.emit(Affine(((builder.whole(value), linear_map),), bias), shape)


IMAGE_OPERATORS: dict[str, tuple[Rule, int, int]] = {
    "Conv": (_conv, 2, 3),
}
