"""Where the windows of convolutions and pooling operators lie: attributes read, checked and made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.network import Index
from verifier.checker.onnx_builder import Shape, Value, bounded
from verifier.checker.onnx_node import Node


@dataclass(frozen=True)
class Windows:
    """Windows of ``taps`` elements on each axis of space; tap t of window p reads p * strides + t * dilations - before.

    ``after`` is the padding that the model states at the end of each axis; a window may reach beyond it.
    """

    taps: Shape
    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape
    counts: Shape

    def reads(self, sizes: Shape) -> Index:
        """For every tap and window, both row-major, the place on axes of these sizes that is read; -1 is padding."""
        bounded((*self.taps, *self.counts))
        places, inside = np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.bool_)
        for axis, size in enumerate(sizes):
            at = self._positions(axis)
            shape = (len(places) * self.taps[axis], -1)
            places = (places[:, None, :, None] * size + at[:, None]).reshape(shape)
            inside = (inside[:, None, :, None] & ((at >= 0) & (at < size))[:, None]).reshape(shape)
        return np.where(inside, places, -1)

    def elements(self, sizes: Shape, padding: bool) -> Index:
        """How many elements every window holds, row-major; ``padding``: those of the stated padding count as well."""
        count = np.ones(1, dtype=np.int64)
        for axis, size in enumerate(sizes):
            at, before, after = self._positions(axis), self.before[axis], self.after[axis]
            inside = (at >= -before) & (at < size + after) if padding else (at >= 0) & (at < size)
            count = np.multiply.outer(count, inside.sum(axis=0)).reshape(-1)
        return count

    def _positions(self, axis: int) -> Index:
        """Where each tap (rows) of each window (columns) reads on one axis."""
        bounded((self.taps[axis], self.counts[axis]))
        taps = np.arange(self.taps[axis])[:, None] * self.dilations[axis]
        return np.arange(self.counts[axis]) * self.strides[axis] + taps - self.before[axis]


def space(value: Value) -> Shape:
    """The sizes of the axes of a tensor (batch, channels, *space)."""
    if len(value.shape) < 3:
        raise CheckError(f"a tensor of shape {list(value.shape)} is not (batch, channels, space...)")
    return value.shape[2:]


def windows(node: Node, sizes: Shape, taps: Shape | None = None, up: bool = False) -> Windows:
    """The windows on axes of these sizes; ``taps`` are those of the kernel, if there is one.

    ``up``: where the last window does not fit, it hangs over the end.
    """
    taps, strides, dilations, pads = window_attributes(node, len(sizes), taps)
    mode = node.text("auto_pad", "NOTSET")
    extents = [(count - 1) * dilation + 1 for count, dilation in zip(taps, dilations, strict=True)]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        if max(dilations) > 1:
            raise CheckError("automatic padding of dilated windows is not supported")
        axes = zip(sizes, strides, extents, strict=True)
        surplus = [max(0, (-(-size // stride) - 1) * stride + extent - size) for size, stride, extent in axes]
        less, more = tuple(n // 2 for n in surplus), tuple(n - n // 2 for n in surplus)
        pads = less + more if mode == "SAME_UPPER" else more + less
    elif mode not in ("NOTSET", "VALID"):
        raise CheckError(f"auto_pad {mode!r} is not supported")
    before, after = pads[: len(sizes)], pads[len(sizes) :]
    counts = []
    for size, extent, stride, ahead, behind in zip(sizes, extents, strides, before, after, strict=True):
        room = size + ahead + behind - extent
        if room < 0:
            raise CheckError(f"a window that spans {extent} does not fit an axis of {size} padded to {extent + room}")
        count = (-(-room // stride) if up else room // stride) + 1
        # Rounding up adds a window that hangs over the end, but none that would begin in the padding there.
        counts.append(count - 1 if up and count > 1 and (count - 1) * stride >= size + ahead else count)
    return Windows(taps, strides, dilations, before, after, bounded(counts))


def window_attributes(node: Node, rank: int, taps: Shape | None) -> tuple[Shape, Shape, Shape, Shape]:
    """Taps, strides, dilations, and pads (begin of every axis, then end of every axis), checked."""
    stated = node.listed("kernel_shape")
    if stated is None and taps is None:
        raise CheckError("kernel_shape is missing")
    if stated is not None and taps is not None and tuple(stated) != taps:
        raise CheckError(f"kernel_shape {stated} is not that of the weight, {list(taps)}")
    sizes = tuple(stated or ()) if taps is None else taps
    strides, dilations = _or(node.listed("strides"), 1, rank), _or(node.listed("dilations"), 1, rank)
    pads, mode = node.listed("pads"), node.attributes.get("auto_pad", "NOTSET")
    if pads and any(pads) and mode != "NOTSET":
        raise CheckError("pads are given although auto_pad decides them")
    padding = _or(pads, 0, 2 * rank)
    if not len(sizes) == len(strides) == len(dilations) == rank or len(padding) != 2 * rank:
        raise CheckError(f"kernel_shape, strides, dilations or pads do not fit {rank} axes of space")
    if min(sizes + strides + dilations) < 1 or min(padding) < 0:
        raise CheckError("kernel_shape, strides and dilations must be positive, and pads not negative")
    bounded(sizes)
    for axis in range(rank):
        bounded((max(strides[axis], dilations[axis], padding[axis], padding[rank + axis]),))
    return sizes, strides, dilations, padding


def _or(given: Sequence[int] | None, default: int, length: int) -> Shape:
    return (default,) * length if given is None else tuple(given)
