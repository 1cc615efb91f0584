"""Convolutions as linear maps, kept as kernel and geometry: never written out as matrices.

Both directions are the same computation. Places of the result that use the same taps of the kernel form a *block*:
the numbers these taps read are copied into one column for each place, and one matrix product with the kernel finishes
the block. ``push`` is a single block. ``pull`` has one for each residue of a place modulo the strides, because only
every stride-th tap reaches a given place; no product is wasted on the holes that strides leave. So an entry of a result
is one inner product: a sum of as many products as there are channels and taps that reach it (and of zeros, which add
exactly, for taps that fall into the padding), in an order that BLAS chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Shape = tuple[int, ...]

# Speed and memory only: rows are copied as runs long enough to be cheap, columns in pieces that fit the cache.
ROWS_AT_ONCE = 16
CELLS_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Convolution:
    """``out[m, p] = sum over c, q of kernel[m, c, q] * v[first(m) + c, p * strides + q * dilations - before]``.

    Terms outside of v are 0 and ``first(m)`` is the first channel of m's group. ``source`` and ``target`` are the
    shapes (channels, *places) of v and out; the kernel has shape (target channels, source channels / groups, *taps).
    A flat vector holds ``batch`` such tensors one after another, and each is convolved alike.
    """

    kernel: Floats
    source: Shape
    target: Shape
    groups: int
    strides: Shape
    dilations: Shape
    before: Shape
    batch: int = 1

    @property
    def terms(self) -> int:
        """The most products in one entry of ``push`` or ``pull``."""
        _, channels, *taps = (int(size) for size in self.kernel.shape)
        return max(channels, self.target[0] // self.groups) * prod(taps)

    @property
    def products(self) -> int:
        """How many products one ``push`` sums up, those with padding included."""
        return self.batch * prod(self.kernel.shape) * prod(self.target[1:])

    def magnitude(self) -> Convolution:
        return replace(self, kernel=np.abs(self.kernel))

    def push(self, v: Floats) -> Floats:
        """Shape (..., batch * size of source) to (..., batch * size of target)."""
        return _applied(self._forward, v, self.source, self.target)

    def pull(self, a: Floats) -> Floats:
        """The transposed map: shape (..., batch * size of target) to (..., batch * size of source)."""
        return _applied(self._backward, a, self.target, self.source)

    @property
    def _by_group(self) -> Floats:
        """The kernel as (groups, target channels of a group, source channels of a group, *taps)."""
        return self.kernel.reshape(self.groups, -1, *self.kernel.shape[1:])

    @cached_property
    def _forward(self) -> list[_Block]:
        lanes = [
            [_reading(taps, out, stride, dilation, before, size)]
            for taps, size, out, stride, dilation, before in self._axes()
        ]
        return _blocks(self._by_group, lanes, self.source, self.target)

    @cached_property
    def _backward(self) -> list[_Block]:
        lanes = [
            [_written(taps, size, stride, dilation, before, out, residue) for residue in range(min(stride, size))]
            for taps, size, out, stride, dilation, before in self._axes()
        ]
        return _blocks(self._by_group.swapaxes(1, 2), lanes, self.target, self.source)

    def _axes(self) -> list[tuple[int, int, int, int, int, int]]:
        """Taps, size of source and target, stride, dilation and padding before, for each axis."""
        taps, geometry = self.kernel.shape[2:], (self.strides, self.dilations, self.before)
        return list(zip(taps, self.source[1:], self.target[1:], *geometry, strict=True))


@dataclass(frozen=True)
class Transposed:
    """The transposed map of a convolution."""

    of: Convolution

    def magnitude(self) -> Transposed:
        return Transposed(self.of.magnitude())


@dataclass(frozen=True)
class _Lane:
    """On one axis: places of the result, the taps that reach them, and what each tap reads there (-1: padding)."""

    places: Index
    taps: Index
    reads: Index  # (taps, places)


@dataclass(frozen=True)
class _Block:
    """``result[m, places[i]] = sum over c, t of weight[g, m, c * taps + t] * operand[c, reads[t, i]]`` in each group.

    ``weight`` has shape (groups, result channels of a group, operand channels of a group * taps). A read one past the
    end of the operand is 0.
    """

    weight: Floats
    places: Index
    reads: Index


def _reading(taps: int, out: int, stride: int, dilation: int, before: int, size: int) -> _Lane:
    """The lane of ``push``: place p of the target reads p * stride + t * dilation - before."""
    places, tap = np.arange(out), np.arange(taps)
    reads = places * stride + tap[:, None] * dilation - before
    return _Lane(places, tap, np.where((reads >= 0) & (reads < size), reads, -1))


def _written(taps: int, size: int, stride: int, dilation: int, before: int, out: int, first: int) -> _Lane:
    """The lane of ``pull`` for the places of the source that lie whole strides after ``first``.

    Place i reads the p for which p * stride + t * dilation - before = i.
    """
    tap = np.arange(taps)
    tap = tap[(first + before - tap * dilation) % stride == 0]
    places = np.arange(first, size, stride)
    reads = (places + before - tap[:, None] * dilation) // stride
    return _Lane(places, tap, np.where((reads >= 0) & (reads < out), reads, -1))


def _blocks(weight: Floats, lanes: list[list[_Lane]], operand: Shape, result: Shape) -> list[_Block]:
    """One block for each combination of lanes, one from each axis; ``weight`` is (groups, out, in, *taps)."""
    blocks = []
    used = [[lane for lane in axis if lane.reads.size] for axis in lanes]
    for chosen in product(*used):
        places = reads = np.zeros((1, 1), dtype=np.int64)
        inside, part = np.ones((1, 1), dtype=np.bool_), weight
        for axis, lane in enumerate(chosen):
            places = _crossed(places * result[axis + 1], lane.places[None])
            inside = np.kron(inside, lane.reads >= 0)
            reads = _crossed(reads * operand[axis + 1], lane.reads)
            part = part.take(lane.taps, axis + 3)
        reads = np.where(inside, reads, prod(operand[1:]))
        blocks.append(_Block(part.reshape(*part.shape[:2], -1), places[0], reads))
    return blocks


def _crossed(a: Index, b: Index) -> Index:
    """``out[i * rows of b + k, j * columns of b + l] = a[i, j] + b[k, l]``."""
    return (a[:, None, :, None] + b[:, None]).reshape(len(a) * len(b), -1)


def _applied(blocks: list[_Block], v: Floats, operand: Shape, result: Shape) -> Floats:
    """Results for the last axis of v, which holds one or more operands. Rows stand last while they are computed."""
    (channels, size), (out_channels, out_size) = ((shape[0], prod(shape[1:])) for shape in (operand, result))
    batch = v.shape[-1] // (channels * size)
    rows = v.reshape(-1, channels, size)
    out = np.empty((len(rows), out_channels, out_size))
    longest = channels * max((len(block.reads) for block in blocks), default=1)
    at_once = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // longest))
    for at in range(0, len(rows), at_once):
        count = len(rows[at : at + at_once])
        values = np.zeros((channels, size + 1, count))
        values[:, :-1] = rows[at : at + count].transpose(1, 2, 0)
        sums = np.zeros((out_channels, out_size, count))
        for block in blocks:
            groups, taps = len(block.weight), len(block.reads)
            step = max(1, CELLS_AT_ONCE // (channels * taps * count))
            for start in range(0, len(block.places), step):
                reads, places = block.reads[:, start : start + step], block.places[start : start + step]
                columns = values.take(reads, axis=1).reshape(groups, -1, len(places) * count)
                sums[:, places] = (block.weight @ columns).reshape(out_channels, len(places), count)
        out[at : at + count] = sums.transpose(2, 0, 1)
    return out.reshape(*v.shape[:-1], batch * out_channels * out_size)
