"""What the checker proves things about: a network of exact affine maps, ReLUs and signs over flat vectors.

The reader turns every stored operator into these nodes *without arithmetic on weights*, so the real function of a
``Network`` is exactly the real function of the stored weights. Vectors are row-major flattenings of tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from verifier.checker.convolution import Convolution, Transposed

Vector = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Dense:
    """``out = weight @ v``; weight has shape (out, in)."""

    weight: NDArray[np.float64]


@dataclass(frozen=True)
class Sparse:
    """``out[rows[k]] += values[k] * v[cols[k]]`` with no repeated (row, col); entries sorted by column."""

    rows: Index
    cols: Index
    values: Vector
    size: int

    @cached_property
    def by_row(self) -> Index:
        """The order of the entries by row."""
        return np.argsort(self.rows, kind="stable")


@dataclass(frozen=True)
class Scale:
    """``out = factor * v`` elementwise, or ``v / factor`` when ``divide``."""

    factor: Vector
    divide: bool = False


@dataclass(frozen=True)
class Normalize:
    """``out = gain / sqrt(variance + epsilon) * v`` elementwise, in the reals."""

    gain: Vector
    variance: Vector
    epsilon: float

    @cached_property
    def factor(self) -> Vector:
        """``gain / sqrt(variance + epsilon)`` with a relative error of at most 3 * 2^-52 (three roundings)."""
        return self.gain / np.sqrt(self.variance + self.epsilon)


@dataclass(frozen=True)
class Gather:
    """``out[i] = v[index[i]]``, and 0 where the index is -1."""

    index: Index

    @cached_property
    def used(self) -> Index:
        """The places of the result that read v, ordered by what they read."""
        return np.argsort(self.index, kind="stable")[np.count_nonzero(self.index < 0) :]


LinearMap = Dense | Sparse | Scale | Normalize | Gather | Convolution | Transposed


@dataclass(frozen=True)
class Affine:
    """``out = sum of map(value of parent) over terms + bias``."""

    terms: tuple[tuple[int, LinearMap], ...]
    bias: Vector


@dataclass(frozen=True)
class Relu:
    """``out = max(0, value of parent)`` elementwise."""

    parent: int


@dataclass(frozen=True)
class Sign:
    """``out = -1, 0 or 1`` elementwise, as the value of parent is negative, zero or positive."""

    parent: int


@dataclass(frozen=True)
class Input:
    """The flat input vector; always node 0 and nowhere else."""

    size: int


Node = Input | Affine | Relu | Sign


@dataclass(frozen=True)
class Network:
    """Nodes in topological order, each reading earlier ones by position; the last node is the flat output."""

    nodes: tuple[Node, ...]
    sizes: tuple[int, ...]

    @property
    def layers(self) -> list[int]:
        """The nodes that are not linear, which phase trees count from 0."""
        return [k for k, node in enumerate(self.nodes) if isinstance(node, Relu | Sign)]

    @property
    def widths(self) -> list[int]:
        """Their sizes."""
        return [self.sizes[k] for k in self.layers]

    @property
    def signs(self) -> frozenset[int]:
        """Which of them, by these numbers, are signs."""
        return frozenset(i for i, k in enumerate(self.layers) if isinstance(self.nodes[k], Sign))
