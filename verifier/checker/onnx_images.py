"""What the ONNX operators on images mean: convolutions, pooling and normalisation, exact in the reals."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from verifier.checker.convolution import Convolution, Transposed
from verifier.checker.errors import CheckError
from verifier.checker.network import Affine, LinearMap, Normalize, Vector
from verifier.checker.onnx_builder import (
    Builder,
    Computed,
    Constant,
    Shape,
    Value,
    add,
    bounded,
    negate,
    scale,
    total,
    widen,
)
from verifier.checker.onnx_node import Node, Rule
from verifier.checker.onnx_piecewise import largest
from verifier.checker.onnx_window import space, window_attributes, windows

EPSILON = float(np.float32(1e-5))  # the default of BatchNormalization is this float32
LEAST_FACTOR, LARGEST_FACTOR = 1e-100, 1e100


def _conv(builder: Builder, node: Node) -> Sequence[Value]:
    value, weight, groups = node.value(0), _kernel(node), node.integer("group", 1)
    found = windows(node, space(value), weight.shape[2:])
    batch, channels = value.shape[:2]
    if groups < 1 or weight.shape[0] % groups or weight.shape[1] * groups != channels:
        raise CheckError(f"{channels} channels do not fit a weight of shape {list(weight.shape)} in {groups} group(s)")
    source, target = value.shape[1:], (weight.shape[0], *found.counts)
    bounded((prod(found.taps), prod(found.counts)))
    geometry = (found.strides, found.dilations, found.before)
    convolution = Convolution(widen(weight), source, target, groups, *geometry, batch)
    return [_with_bias(builder, value, convolution, node, (batch, *target))]


def _conv_transpose(builder: Builder, node: Node) -> Sequence[Value]:
    """The transposed map of a convolution that reads the result and gives the value."""
    value, weight, groups = node.value(0), _kernel(node), node.integer("group", 1)
    sizes, rank = space(value), len(value.shape) - 2
    taps, strides, dilations, pads = window_attributes(node, rank, weight.shape[2:])
    extra = node.listed("output_padding") or [0] * rank
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.listed("output_shape"):
        raise CheckError("padding that follows from a wanted shape is not supported, only explicit pads are")
    batch, channels = value.shape[:2]
    if groups < 1 or channels % groups or weight.shape[0] != channels:
        raise CheckError(f"{channels} channels do not fit a weight of shape {list(weight.shape)} in {groups} group(s)")
    if len(extra) != rank or min(extra) < 0:
        raise CheckError(f"output_padding {extra} does not fit {rank} axes, or is negative")
    axes = zip(sizes, taps, strides, dilations, pads[:rank], pads[rank:], extra, strict=True)
    counts = [
        (size - 1) * stride + (count - 1) * dilation + 1 - before - after + more
        for size, count, stride, dilation, before, after, more in axes
    ]
    if min(counts) < 1:
        raise CheckError(f"the result would have the sizes {counts}")
    target = bounded((weight.shape[1] * groups, *counts))
    bounded((prod(taps), max(prod(sizes), prod(counts))))
    of = Convolution(widen(weight), target, value.shape[1:], groups, strides, dilations, pads[:rank], batch)
    return [_with_bias(builder, value, Transposed(of), node, (batch, *target))]


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


def _average_pool(builder: Builder, node: Node) -> Sequence[Value]:
    """Sums over windows, divided by how many elements each holds: no weight is rounded."""
    value, padding = node.value(0), node.integer("count_include_pad", 0) != 0
    sizes = space(value)
    found = windows(node, sizes, up=node.integer("ceil_mode", 0) != 0)
    batch, channels = value.shape[:2]
    elements = found.elements(sizes, padding)
    if not elements.all():
        raise CheckError("a window holds no element")
    kernel = np.ones(bounded((channels, 1, *found.taps)))
    target = bounded((channels, *found.counts))
    bounded((prod(found.taps), prod(found.counts)))
    geometry = (found.strides, found.dilations, found.before)
    sums = Convolution(kernel, value.shape[1:], target, channels, *geometry, batch)
    summed = builder.linear(builder.whole(value), sums, (batch, *target))
    return [scale(builder, summed, elements.astype(np.float64).reshape(found.counts), divide=True)]


def _global_average_pool(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    sizes = space(value)
    summed = total(builder, value, range(2, len(value.shape)), True)
    return [scale(builder, summed, np.array(float(prod(sizes))), divide=True)]


def _max_pool(builder: Builder, node: Node) -> Sequence[Value]:
    """Padding takes no part: there a window's first element stands once more."""
    value = builder.computed(node.value(0))
    node.integer("storage_order", 0)  # concerns the second result, which is not provided
    sizes = space(value)
    found = windows(node, sizes, up=node.integer("ceil_mode", 0) != 0)
    shape = bounded((*value.shape[:2], *found.counts))
    bounded((prod(found.taps), prod(shape)))
    reads = found.reads(sizes)
    if not (reads >= 0).any(axis=0).all():
        raise CheckError("a window holds no element")
    first = reads[np.argmax(reads >= 0, axis=0), np.arange(reads.shape[1])]
    elements = value.index.reshape(-1, prod(sizes))[:, np.where(reads >= 0, reads, first)]
    return [largest(builder, value.node, elements.swapaxes(0, 1).reshape(len(reads), -1), shape)]


def _batch_normalization(builder: Builder, node: Node) -> Sequence[Value]:
    """Inference only: (x - mean) * gain / sqrt(variance + epsilon) + bias for each channel."""
    value, epsilon = node.value(0), node.real("epsilon", EPSILON)
    node.real("momentum", 0.0)  # concerns training only
    if node.integer("training_mode", 0) or not node.integer("spatial", 1) or node.outputs > 1:
        raise CheckError("training mode and statistics for each element are not supported")
    gain, bias, mean, variance = (_for_channels(node.value(position), value) for position in range(1, 5))
    if epsilon < 0 or not (np.all(variance >= 0) and np.all(variance + epsilon > 0)):
        raise CheckError("the variances are not positive")
    scaling = Normalize(gain, variance, epsilon)
    size = np.abs(scaling.factor[gain != 0])
    if not np.all((size >= LEAST_FACTOR) & (size <= LARGEST_FACTOR)):
        raise CheckError("a factor is not within 1e-100 and 1e100 in magnitude")
    centred = builder.whole(add(builder, value, negate(builder, mean.reshape(value.shape))))
    return [builder.emit(Affine(((centred, scaling),), bias), value.shape)]


def _for_channels(parameter: Value, value: Value) -> Vector:
    """A constant for each channel, repeated for every element of the flat value."""
    if len(value.shape) < 2 or isinstance(parameter, Computed) or parameter.shape != value.shape[1:2]:
        raise CheckError(f"a parameter is no constant for each channel of a tensor of shape {list(value.shape)}")
    wide = widen(parameter).reshape(-1, *(1,) * (len(value.shape) - 2))
    return np.broadcast_to(wide, bounded(value.shape)).reshape(-1)


IMAGE_OPERATORS: dict[str, tuple[Rule, int, int]] = {
    "AveragePool": (_average_pool, 1, 1),
    "BatchNormalization": (_batch_normalization, 5, 5),
    "Conv": (_conv, 2, 3),
    "ConvTranspose": (_conv_transpose, 2, 3),
    "GlobalAveragePool": (_global_average_pool, 1, 1),
    "MaxPool": (_max_pool, 1, 1),
}
