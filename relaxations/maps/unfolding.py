"""Convolution in NumPy: images unfolded block by block into the columns of one matrix product per group.

The rows of a block are the last axis while it is unfolded: copies then run over long stretches of memory, and one
product serves all rows and windows. The adjoint folds the product back, so that both take the same multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from relaxations.maps.geometry import Geometry, Sizes

CELLS_AT_ONCE = 1 << 19  # numbers of one unfolded block: about what a second-level cache holds
FEWEST, MOST = 8, 64  # rows per block: long enough runs to copy, small enough to stay in the cache
SKEW = 16  # numbers between the rows of a copy: one line of the cache or two

Slices = tuple[slice, ...]


def push(kernel: np.ndarray, g: Geometry, values: np.ndarray) -> np.ndarray:
    """Rows (N, in) to (N, out)."""
    dtype = np.result_type(kernel, values)
    out = np.empty((len(values), g.shape[0]), dtype=dtype)
    weight = kernel.reshape(g.groups, g.filters // g.groups, -1)
    here, there = _overlap(g)
    for block in _blocks(g, len(values)):
        rows = block.stop - block.start
        image = _columns(values[block], dtype).reshape(g.channels, *g.space, rows)
        padded = np.zeros((g.channels, *g.extent, rows), dtype=dtype)
        padded[(slice(None), *there)] = image[(slice(None), *here)]
        unfolded = np.empty((g.channels, *g.window, *g.out_space, rows), dtype=dtype)
        for offset, seen in _seen(g):
            unfolded[(slice(None), *offset)] = padded[(slice(None), *seen)]
        product = weight @ unfolded.reshape(g.groups, weight.shape[2], -1)
        out[block] = product.reshape(g.shape[0], -1).T
    return out


def pull(kernel: np.ndarray, g: Geometry, coefs: np.ndarray) -> np.ndarray:
    """Rows (N, out) to (N, in)."""
    mirrored = _mirrored(g)
    if mirrored is not None:
        return push(_turned(kernel, g), mirrored, coefs)
    dtype = np.result_type(kernel, coefs)
    out = np.zeros((len(coefs), g.channels, *g.space), dtype=dtype)
    weight = kernel.reshape(g.groups, g.filters // g.groups, -1).swapaxes(1, 2)
    here, there = _overlap(g)
    for block in _blocks(g, len(coefs)):
        rows = block.stop - block.start
        columns = np.ascontiguousarray(_columns(coefs[block], dtype))
        product = weight @ columns.reshape(g.groups, g.filters // g.groups, -1)
        unfolded = product.reshape(g.channels, *g.window, *g.out_space, rows)
        padded = np.zeros((g.channels, *g.extent, rows), dtype=dtype)
        for offset, seen in _seen(g):
            padded[(slice(None), *seen)] += unfolded[(slice(None), *offset)]
        out[(block, slice(None), *here)] = np.moveaxis(padded[(slice(None), *there)], -1, 0)
    return out.reshape(len(coefs), -1)


def _mirrored(g: Geometry) -> Geometry | None:
    """The convolution that is the adjoint, where windows move in single steps: unfolding is faster than folding."""
    begin = tuple(d * (k - 1) - b for d, k, b in zip(g.dilations, g.window, g.begin))
    if any(stride > 1 for stride in g.strides) or min(begin) < 0:
        return None
    return Geometry(g.filters, g.channels, g.groups, g.out_space, g.space, g.window, g.strides, begin, g.dilations)


def _turned(kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """Its kernel: filters and channels of each group exchanged, the window backwards."""
    grouped = kernel.reshape(g.groups, g.filters // g.groups, g.channels // g.groups, *g.window)
    backwards = np.flip(grouped, tuple(range(3, grouped.ndim))).swapaxes(1, 2)
    return backwards.reshape(g.channels, g.filters // g.groups, *g.window)


def _blocks(g: Geometry, count: int) -> list[slice]:
    """Rows cut into blocks whose unfolded images stay in the cache."""
    size = int(np.clip(CELLS_AT_ONCE // (g.channels * prod(g.window) * prod(g.out_space)), FEWEST, MOST))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _columns(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The transpose, as a view of a copy whose rows are not a power of two apart.

    The rows of images often are, and then all fall on the same few lines of the cache when they are read across.
    """
    apart = np.empty((len(rows), rows.shape[1] + SKEW), dtype=dtype)
    apart[:, : rows.shape[1]] = rows
    return apart[:, : rows.shape[1]].T


def _seen(g: Geometry) -> Iterator[tuple[Sizes, Slices]]:
    """For every offset in the window, the places of the padded image that the windows have there."""
    for offset in np.ndindex(*g.window):
        starts = [k * d for k, d in zip(offset, g.dilations)]
        yield offset, tuple(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, g.out_space, g.strides))


def _overlap(g: Geometry) -> tuple[Slices, Slices]:
    """The part that the image and the padded image share, as slices of each."""
    sizes = [max(0, min(n, e - b)) for n, e, b in zip(g.space, g.extent, g.begin)]
    return tuple(slice(0, size) for size in sizes), tuple(slice(b, b + size) for b, size in zip(g.begin, sizes))
