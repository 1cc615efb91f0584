"""ATen operators over windows (convolution, pooling) and normalisations. Parameters carry ATen's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from specs.graph import ops
from specs.graph.graph import Shape
from specs.loading.torch_aten_arithmetic import Rule
from specs.loading.torch_aten_shape import reshaped
from specs.loading.torch_builder import Builder, Value

Sizes = int | Sequence[int]


def each(value: Sizes, rank: int) -> Shape:
    """One number per axis; a single one is repeated."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    if len(numbers) not in (1, rank) or any(type(n) is not int for n in numbers):
        raise ValueError(f"{value!r} does not give {rank} whole numbers")
    return numbers * rank if len(numbers) == 1 else numbers


def convolution(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    transposed: bool = False,
    output_padding: Sizes = 0,
    groups: int = 1,
) -> Value:
    """Convolution of (N, C, *space), or of (C, *space) as a batch of one."""
    rank = len(weight.shape) - 2
    strides, dilations = each(stride, rank), each(dilation, rank)
    pads = _pads(padding, weight.shape[2:], dilations)
    batched = len(input.shape) == rank + 2
    x = input if batched else reshaped(b, input, (1, *input.shape))
    operands = (x, weight) if bias is None else (x, weight, bias)
    if transposed:
        extra = each(output_padding, rank)
        y = b.emit(ops.ConvTranspose(strides, pads, dilations, extra, groups), *operands)
    else:
        y = b.emit(ops.Conv(strides, pads, dilations, groups), *operands)
    return y if batched else reshaped(b, y, y.shape[1:])


def _convolution(
    b: Builder,
    benchmark: bool = False,
    deterministic: bool = False,
    cudnn_enabled: bool = False,
    allow_tf32: bool = False,
    **arguments: Any,
) -> Value:
    """TorchScript's name for it, with switches that choose an algorithm."""
    return convolution(b, **arguments)


def conv_transpose(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    return convolution(b, input, weight, bias, stride, padding, dilation, True, output_padding, groups)


def _pads(padding: Sizes | str, kernel: Shape, dilations: Shape) -> Shape:
    if padding == "valid":
        return (0,) * (2 * len(kernel))
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilations)]
        return (*(t // 2 for t in totals), *(t - t // 2 for t in totals))
    if isinstance(padding, str):
        raise ValueError(f"padding {padding!r}")
    return each(padding, len(kernel)) * 2


def _windows(
    space: Shape, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[Shape, Shape, Shape, Shape, Shape]:
    """(kernel, strides, padding, extra padding at the end that ``ceil_mode`` asks for, dilations)."""
    rank = len(space)
    kernel, pads, dilations = each(kernel_size, rank), each(padding, rank), each(dilation, rank)
    strides = kernel if stride is None or stride == [] else each(stride, rank)
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise ValueError(f"kernel {kernel}, stride {strides} and dilation {dilations} must be positive")
    extra = []
    for size, k, s, p, d in zip(space, kernel, strides, pads, dilations):
        extent, padded = d * (k - 1) + 1, size + 2 * p
        count = -((extent - padded) // s) + 1
        if (count - 1) * s >= size + p:  # a window may not start in the padding at the end
            count -= 1
        extra.append(max(0, (count - 1) * s + extent - padded) if ceil_mode else 0)
    return kernel, strides, pads, tuple(extra), dilations


def max_pool(rank: int) -> Rule:
    def rule(
        b: Builder,
        self: Value,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        ceil_mode: bool = False,
    ) -> Value:
        x = _batched(b, self, rank)
        kernel, strides, pads, extra, dilations = _windows(
            x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
        )
        ends = tuple(p + e for p, e in zip(pads, extra))
        return _unbatched(b, b.emit(ops.MaxPool(kernel, strides, (*pads, *ends), dilations), x), self)

    return rule


def max_pool_with_indices(rank: int) -> Rule:
    """The indices are not given; a program that uses them is refused there."""
    pool = max_pool(rank)

    def rule(b: Builder, **arguments: Any) -> list[object]:
        return [pool(b, **arguments), None]

    return rule


def average_pool(rank: int) -> Rule:
    def rule(
        b: Builder,
        self: Value,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        if divisor_override is not None:
            raise ValueError("divisor_override is not read")
        x = _batched(b, self, rank)
        kernel, strides, pads, extra, ones = _windows(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
        if count_include_pad and any(pads):
            # Zeros that count are put there first; what ceil_mode adds beyond them never counts.
            x = b.emit(ops.Pad((0, 0, *pads) * 2), x)
            pads = (0,) * rank
        ends = tuple(p + e for p, e in zip(pads, extra))
        return _unbatched(b, b.emit(ops.AveragePool(kernel, strides, (*pads, *ends), ones), x), self)

    return rule


def adaptive_average_pool(rank: int) -> Rule:
    def rule(b: Builder, self: Value, output_size: Sizes) -> Value:
        x = _batched(b, self, rank)
        space, wanted = x.shape[2:], each(output_size, rank)
        if any(n < 1 or size % n for size, n in zip(space, wanted)):
            raise ValueError(f"adaptive pooling of {space} to {wanted} needs windows of different sizes")
        kernel = tuple(size // n for size, n in zip(space, wanted))
        pooled = b.emit(ops.AveragePool(kernel, kernel, (0,) * (2 * rank), (1,) * rank), x)
        return _unbatched(b, pooled, self)

    return rule


def _batched(b: Builder, x: Value, rank: int) -> Value:
    return reshaped(b, x, (1, *x.shape)) if len(x.shape) == rank + 1 else x


def _unbatched(b: Builder, y: Value, original: Value) -> Value:
    return reshaped(b, y, y.shape[1:]) if len(y.shape) > len(original.shape) else y


def batch_norm(
    b: Builder,
    input: Value,
    weight: Value | None = None,
    bias: Value | None = None,
    running_mean: Value | None = None,
    running_var: Value | None = None,
    training: bool = False,
    momentum: float = 0.0,
    eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Value:
    """Batch normalisation with stored statistics."""
    if training or running_mean is None or running_var is None:
        raise ValueError("it normalises with the statistics of the batch; export the model after model.eval()")
    channels = running_mean.shape
    scale = weight or b.constant(np.ones(channels, dtype=b.real_type))
    shift = bias or b.constant(np.zeros(channels, dtype=b.real_type))
    return b.emit(ops.BatchNormalization(b.number(eps)), input, scale, shift, running_mean, running_var)


def native_batch_norm(b: Builder, **arguments: Any) -> list[object]:
    return [batch_norm(b, **arguments), None, None]


def layer_norm(
    b: Builder,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = False,
) -> Value:
    """``(x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias`` over the last axes."""
    axes = tuple(range(-len(normalized_shape), 0))
    if input.shape[len(input.shape) - len(axes) :] != tuple(normalized_shape):
        raise ValueError(f"normalized_shape {list(normalized_shape)} does not fit {input.shape}")
    mean = ops.ReduceMean(axes, True)
    centred = b.emit(ops.Sub(), input, b.emit(mean, input))
    variance = b.emit(mean, b.emit(ops.Mul(), centred, centred))
    deviation = b.emit(ops.Sqrt(), b.emit(ops.Add(), variance, b.scalar(float(eps))))
    y = b.emit(ops.Div(), centred, deviation)
    y = y if weight is None else b.emit(ops.Mul(), y, weight)
    return y if bias is None else b.emit(ops.Add(), y, bias)


def native_layer_norm(b: Builder, **arguments: Any) -> list[object]:
    return [layer_norm(b, **arguments), None, None]


RULES: Mapping[str, Rule] = {
    "convolution": convolution, "_convolution": _convolution, "conv1d": convolution, "conv2d": convolution,
    "conv3d": convolution, "conv_transpose1d": conv_transpose, "conv_transpose2d": conv_transpose,
    "max_pool1d": max_pool(1), "max_pool2d": max_pool(2), "max_pool2d_with_indices": max_pool_with_indices(2),
    "avg_pool1d": average_pool(1), "avg_pool2d": average_pool(2),
    "adaptive_avg_pool1d": adaptive_average_pool(1), "adaptive_avg_pool2d": adaptive_average_pool(2),
    "_adaptive_avg_pool2d": adaptive_average_pool(2),
    "batch_norm": batch_norm, "_native_batch_norm_legit_no_training": native_batch_norm,
    "layer_norm": layer_norm, "native_layer_norm": native_layer_norm,
}  # fmt: skip
