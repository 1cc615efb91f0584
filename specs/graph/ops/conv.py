"""Operators over sliding windows, and batch normalisation. Tensors are (batch, channel, *space), any number of axes.

``pads`` are those of ONNX, ``(begin of every axis..., end of every axis...)``, explicit and not negative: loaders
resolve ``auto_pad``, ``ceil_mode`` and ``count_include_pad``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import only, real

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """Cross-correlation of ``x`` (N, C, *space) with ``weight`` (M, C/group, *kernel), plus ``bias`` (M) if given."""

    strides: Sizes
    pads: Sizes
    dilations: Sizes
    group: int = 1

    def infer_shape(self, *shapes: Shape) -> Shape:
        x, weight, *bias = shapes
        _same_rank(x, weight)
        if x[1] != weight[1] * self.group or weight[0] % self.group:
            raise ValueError(f"{x[1]} channels do not fit a weight of shape {weight} in {self.group} group(s)")
        _check_bias(bias, weight[0])
        return (x[0], weight[0], *window_counts(x[2:], weight[2:], self.strides, self.pads, self.dilations))

    def evaluate(self, *arrays: Array) -> Array:
        x, weight, *bias = map(real, arrays)
        out = self.infer_shape(x.shape, weight.shape)
        view = _windows(_padded(x, self.pads, 0.0), weight.shape[2:], self.strides, self.dilations)
        y = _correlate(view, weight, self.group).reshape(out)
        return _with_bias(y, bias)


@dataclass(frozen=True)
class ConvTranspose:
    """The transpose of ``Conv``: ``x`` (N, C, *space), ``weight`` (C, M/group, *kernel), plus ``bias`` (M) if given."""

    strides: Sizes
    pads: Sizes
    dilations: Sizes
    output_padding: Sizes
    group: int = 1

    def infer_shape(self, *shapes: Shape) -> Shape:
        x, weight, *bias = shapes
        _same_rank(x, weight)
        if x[1] != weight[0] or x[1] % self.group:
            raise ValueError(f"{x[1]} channels do not fit a weight of shape {weight} in {self.group} group(s)")
        _check_bias(bias, weight[1] * self.group)
        rank = len(x) - 2
        _check_sizes(rank, self.strides, self.pads, self.dilations)
        if len(self.output_padding) != rank or min(self.output_padding) < 0:
            raise ValueError(f"output_padding {self.output_padding} does not fit {rank} axes")
        space = tuple(
            stride * (size - 1) + extra + extent - begin - end
            for size, extent, stride, extra, begin, end in zip(
                x[2:], _extents(weight[2:], self.dilations), self.strides, self.output_padding, *_begin_end(self.pads)
            )
        )
        if min(x[2:]) < 1 or min(space) < 1:
            raise ValueError(f"an input of size {x[2:]} leaves an output of size {space}")
        return (x[0], weight[1] * self.group, *space)

    def evaluate(self, *arrays: Array) -> Array:
        x, weight, *bias = map(real, arrays)
        out = self.infer_shape(x.shape, weight.shape)
        space = tuple(range(2, x.ndim))
        kernel = weight.shape[2:]
        spread = np.zeros((*x.shape[:2], *(s * (n - 1) + 1 for s, n in zip(self.strides, x.shape[2:]))))
        spread[(slice(None), slice(None), *(slice(None, None, s) for s in self.strides))] = x
        margin = tuple(e - 1 for e in _extents(kernel, self.dilations))
        view = _windows(_padded(spread, margin * 2, 0.0), kernel, (1,) * len(space), self.dilations)
        grouped = weight.reshape(self.group, -1, *weight.shape[1:]).swapaxes(1, 2)
        mirrored = np.flip(grouped.reshape(-1, *grouped.shape[2:]), space)
        full = _correlate(view, mirrored, self.group)
        begin, _ = _begin_end(self.pads)
        full = _padded(full, (0,) * len(space) + self.output_padding, 0.0)
        y = full[(slice(None), slice(None), *(slice(b, b + n) for b, n in zip(begin, out[2:])))]
        return _with_bias(y, bias)


@dataclass(frozen=True)
class AbstractPool:
    """One input, (N, C, *space); every window holds an element of it."""

    kernel_shape: Sizes
    strides: Sizes
    pads: Sizes
    dilations: Sizes

    def infer_shape(self, *shapes: Shape) -> Shape:
        return _pool_shape(only(shapes), self.kernel_shape, self.strides, self.pads, self.dilations)

    def _views(self, x: Array, outside: float) -> tuple[Array, tuple[int, ...]]:
        """All windows of ``x`` padded with ``outside``, and the axes that run over a window."""
        self.infer_shape(x.shape)
        view = _windows(_padded(x, self.pads, outside), self.kernel_shape, self.strides, self.dilations)
        return view, tuple(range(-len(self.kernel_shape), 0))


class AveragePool(AbstractPool):
    """Mean of the elements of each window that lie inside the tensor (padding is not counted)."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        total, axes = self._views(x, 0.0)
        count, _ = self._views(np.ones((1, 1, *x.shape[2:])), 0.0)
        return np.asarray(total.sum(axis=axes) / count.sum(axis=axes))


class MaxPool(AbstractPool):
    """Largest element of each window (padding never wins)."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        view, axes = self._views(x.astype(np.float64, copy=False), -np.inf)
        return np.asarray(view.max(axis=axes))


@dataclass(frozen=True)
class BatchNormalization:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` per channel; inputs x, scale, bias, mean, var (inference)."""

    epsilon: float

    def infer_shape(self, *shapes: Shape) -> Shape:
        x, *parameters = shapes
        channels = x[1] if len(x) > 1 else 1
        if len(parameters) != 4 or any(p != (channels,) for p in parameters):
            raise ValueError(f"parameters of shape {parameters} do not fit {channels} channel(s)")
        return x

    def evaluate(self, *arrays: Array) -> Array:
        x, *parameters = map(real, arrays)
        self.infer_shape(x.shape, *(p.shape for p in parameters))
        scale, bias, mean, var = (p.reshape(-1, *(1,) * max(x.ndim - 2, 0)) for p in parameters)
        return np.asarray((x - mean) / np.sqrt(var + self.epsilon) * scale + bias).reshape(x.shape)


def window_counts(space: Sizes, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes) -> Sizes:
    """How many windows fit along each axis; ``ValueError`` when none does or the sizes are inconsistent."""
    _check_sizes(len(space), strides, pads, dilations)
    if len(kernel) != len(space) or min(kernel) < 1:
        raise ValueError(f"kernel {kernel} does not fit {len(space)} axes")
    counts = tuple(
        (size + begin + end - extent) // stride + 1
        for size, extent, stride, begin, end in zip(space, _extents(kernel, dilations), strides, *_begin_end(pads))
    )
    if min(counts) < 1:
        raise ValueError(f"a window of size {kernel} is larger than the padded input of size {space}")
    return counts


def _pool_shape(x: Shape, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes) -> Shape:
    if len(x) < 3:
        raise ValueError(f"pooling needs (batch, channel, *space), got shape {x}")
    counts = window_counts(x[2:], kernel, strides, pads, dilations)
    extents = _extents(kernel, dilations)
    begins, _ = _begin_end(pads)
    for size, count, stride, begin, extent, dilation in zip(x[2:], counts, strides, begins, extents, dilations):
        # A window that begins in the padding meets the input within one dilation of its first element.
        if begin >= extent or (count - 1) * stride - begin >= size or (begin and dilation > size):
            raise ValueError(f"pads {pads} or dilations {dilations} leave a window of {kernel} without an element")
    return (*x[:2], *counts)


def _same_rank(x: Shape, weight: Shape) -> None:
    if len(x) < 3 or len(x) != len(weight):
        raise ValueError(f"input {x} and weight {weight} must both be (_, channel, *space)")


def _check_bias(bias: list[Shape], channels: int) -> None:
    if len(bias) > 1 or any(b != (channels,) for b in bias):
        raise ValueError(f"bias of shape {bias} does not fit {channels} channels")


def _check_sizes(rank: int, strides: Sizes, pads: Sizes, dilations: Sizes) -> None:
    if rank < 1 or len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise ValueError(f"strides {strides}, pads {pads} or dilations {dilations} do not fit {rank} axes")
    if min(strides) < 1 or min(dilations) < 1 or min(pads) < 0:
        raise ValueError(f"strides {strides}, dilations {dilations} must be positive and pads {pads} not negative")


def _begin_end(pads: Sizes) -> tuple[Sizes, Sizes]:
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def _extents(kernel: Sizes, dilations: Sizes) -> Sizes:
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations))


def _padded(x: Array, pads: Sizes, value: float) -> Array:
    if not any(pads):
        return x
    return np.pad(x, ((0, 0), (0, 0), *zip(*_begin_end(pads))), constant_values=value)


def _windows(x: Array, kernel: Sizes, strides: Sizes, dilations: Sizes) -> Array:
    """View (N, C, *out, *kernel) of all windows."""
    axes = tuple(range(2, x.ndim))
    view = sliding_window_view(x, _extents(kernel, dilations), axes)
    steps = tuple(slice(None, None, step) for step in (*strides, *dilations))
    return np.asarray(view[(slice(None), slice(None), *steps)])


def _correlate(view: Array, weight: Array, group: int) -> Array:
    """(N, C, *out, *kernel) windows against (M, C/group, *kernel) by one matrix product per group."""
    rank = weight.ndim - 2
    batch, out = view.shape[0], view.shape[2 : 2 + rank]
    split = view.reshape(batch, group, -1, *view.shape[2:])
    order = (0, 1, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    columns = split.transpose(order).reshape(batch, group, prod(out), -1)
    rows = weight.reshape(group, weight.shape[0] // group, -1)
    y = np.matmul(rows, columns.swapaxes(2, 3))
    return np.asarray(y.reshape(batch, weight.shape[0], *out))


def _with_bias(y: Array, bias: list[Array]) -> Array:
    return np.asarray(y + bias[0].reshape(-1, *(1,) * (y.ndim - 2))) if bias else y
