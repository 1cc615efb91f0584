"""Maps that move and scale single numbers: identity, selection, diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxations.maps.linear import Array, LinearMap, namespace

INVERSE_CELLS = 4  # per entry of the index: up to here an inverse index is worth its size


@dataclass(frozen=True)
class Identity(LinearMap):
    """``v`` itself."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.size

    def push(self, values: Array) -> Array:
        return values

    def pull(self, coefs: Array) -> Array:
        return coefs

    def __abs__(self) -> Identity:
        return self

    def astype(self, dtype: Any) -> Identity:
        return self

    @property
    def largest(self) -> float:
        return 1.0

    @property
    def nonzeros(self) -> int:
        return self.size


@dataclass(frozen=True, eq=False)
class Gather(LinearMap):
    """``out[i] = v[index[i]]``, and the number 0 where the index is -1; made by ``gather``.

    ``readers`` (k, size) lists for each entry of v the up to k places that read it, filled up with -1: the adjoint is
    then k more selections. It has no rows where some entry is read so often that this table would be mostly empty.
    """

    index: Array
    readers: Array
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.index.shape[0], self.size

    def push(self, values: Array) -> Array:
        return _selected(values, self.index)

    def pull(self, coefs: Array) -> Array:
        if self.readers.shape[0]:
            return sum(_selected(coefs, self.readers[k]) for k in range(self.readers.shape[0]))
        xp = namespace(coefs, self.index)
        used = xp.where(self.index >= 0, coefs, 0)
        place = xp.maximum(self.index, 0)
        if xp is np:
            out = np.zeros((coefs.shape[0], self.size), dtype=coefs.dtype)
            np.add.at(out.T, place, used.T)
            return out
        return xp.zeros((coefs.shape[0], self.size), dtype=coefs.dtype).at[:, place].add(used)

    def __abs__(self) -> Gather:
        return self

    def astype(self, dtype: Any) -> Gather:
        return self

    @property
    def largest(self) -> float:
        return 1.0

    @property
    def nonzeros(self) -> int:
        return int(np.count_nonzero(self.index >= 0))

    def rows(self, index: np.ndarray) -> np.ndarray:
        chosen = self.index[index]
        out = np.zeros((len(index), self.size))
        used = np.flatnonzero(chosen >= 0)
        out[used, chosen[used]] = 1.0
        return out


def gather(index: np.ndarray, size: int) -> Gather | Identity:
    """The selection of ``index`` out of ``size`` numbers."""
    if len(index) == size and np.array_equal(index, np.arange(size)):
        return Identity(size)
    used = np.flatnonzero(index >= 0)
    used = used[np.argsort(index[used], kind="stable")]
    read = index[used]
    count = np.bincount(read, minlength=size)
    rank = np.arange(len(read)) - (np.cumsum(count) - count)[read]
    depth = max(1, int(count.max(initial=0)))
    if depth * size > INVERSE_CELLS * max(len(index), size):
        depth, read, rank, used = 0, read[:0], rank[:0], used[:0]
    readers = np.full((depth, size), -1, dtype=np.int32)
    readers[rank, read] = used
    return Gather(index.astype(np.int32), readers, size)


@dataclass(frozen=True, eq=False)
class Diagonal(LinearMap):
    """``factor * v``, number by number."""

    factor: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.factor.shape[0], self.factor.shape[0]

    def push(self, values: Array) -> Array:
        return values * self.factor

    def pull(self, coefs: Array) -> Array:
        return coefs * self.factor

    def __abs__(self) -> Diagonal:
        return Diagonal(abs(self.factor))

    def astype(self, dtype: Any) -> Diagonal:
        return Diagonal(self.factor.astype(dtype))

    @property
    def largest(self) -> float:
        return float(abs(self.factor).max()) if self.factor.shape[0] else 0.0

    @property
    def nonzeros(self) -> int:
        return int(np.count_nonzero(self.factor))


def _selected(values: Array, index: Array) -> Array:
    xp = namespace(values, index)
    if xp is not np:
        return xp.where(index >= 0, values[:, index], 0)
    out = np.take(values, index, axis=1, mode="wrap")
    missing = index < 0
    if missing.any():
        out[:, missing] = 0
    return out
