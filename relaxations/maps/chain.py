"""Maps made of maps: one after the other, side by side, backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from relaxations.maps.linear import Array, LinearMap, Matrix, largest, nonzeros, pull, push, rows_of


@dataclass(frozen=True, eq=False)
class Composite(LinearMap):
    """A map made of ``maps``: what its parts decide each for itself."""

    maps: tuple[Matrix, ...]

    def __abs__(self) -> Self:
        return type(self)(tuple(abs(part) for part in self.maps))

    def astype(self, dtype: Any) -> Self:
        return type(self)(tuple(part.astype(dtype) for part in self.maps))

    @property
    def largest(self) -> float:
        return max(largest(part) for part in self.maps)

    @property
    def nonzeros(self) -> int:
        return sum(nonzeros(part) for part in self.maps)


@dataclass(frozen=True, eq=False)
class Chain(Composite):
    """The maps applied in order, the first one first."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.maps[-1].shape[0], self.maps[0].shape[1]

    def push(self, values: Array) -> Array:
        for part in self.maps:
            values = push(part, values)
        return values

    def pull(self, coefs: Array) -> Array:
        for part in reversed(self.maps):
            coefs = pull(part, coefs)
        return coefs

    def rows(self, index: np.ndarray) -> np.ndarray:
        *earlier, last = self.maps
        return np.asarray(Chain(tuple(earlier)).pull(rows_of(last, index)))


@dataclass(frozen=True, eq=False)
class Sum(Composite):
    """The sum of maps of one shape."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.maps[0].shape

    def push(self, values: Array) -> Array:
        return sum((push(part, values) for part in self.maps[1:]), start=push(self.maps[0], values))

    def pull(self, coefs: Array) -> Array:
        return sum((pull(part, coefs) for part in self.maps[1:]), start=pull(self.maps[0], coefs))

    def rows(self, index: np.ndarray) -> np.ndarray:
        return sum((rows_of(part, index) for part in self.maps[1:]), start=rows_of(self.maps[0], index))


@dataclass(frozen=True, eq=False)
class Transposed(LinearMap):
    """The adjoint of a map."""

    original: LinearMap

    @property
    def shape(self) -> tuple[int, int]:
        return self.original.shape[1], self.original.shape[0]

    def push(self, values: Array) -> Array:
        return self.original.pull(values)

    def pull(self, coefs: Array) -> Array:
        return self.original.push(coefs)

    def __abs__(self) -> Transposed:
        return Transposed(abs(self.original))

    def astype(self, dtype: Any) -> Transposed:
        return Transposed(self.original.astype(dtype))

    @property
    def largest(self) -> float:
        return self.original.largest

    @property
    def nonzeros(self) -> int:
        return self.original.nonzeros
