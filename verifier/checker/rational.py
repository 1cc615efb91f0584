"""Arrays of rationals and linear maps on them, exactly.

An array is integers over one common denominator, so that the work is integer arithmetic (``Fraction`` alone is about
ten times slower). Floats are rationals: nothing is rounded anywhere in this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier.checker.network import Dense, Gather, Index, LinearMap, Scale, Sparse

Integers = NDArray[Any]  # dtype object: Python integers of any size


@dataclass(frozen=True)
class Exact:
    """The array ``numerators / denominator``; the denominator is positive."""

    numerators: Integers
    denominator: int = 1

    @staticmethod
    def of(values: Sequence[Fraction]) -> Exact:
        denominator = lcm(*(value.denominator for value in values))
        integers = [value.numerator * (denominator // value.denominator) for value in values]
        return Exact(np.array(integers, dtype=object), denominator)

    @staticmethod
    def of_floats(values: NDArray[np.float64]) -> Exact:
        """The floats themselves, over one power of two."""
        ratios = [value.as_integer_ratio() for value in values.reshape(-1).tolist()]
        denominator = max((below for _, below in ratios), default=1)
        integers = np.empty(len(ratios), dtype=object)
        integers[:] = [above * (denominator // below) for above, below in ratios]
        return Exact(integers.reshape(values.shape), denominator)

    def __add__(self, other: Exact) -> Exact:
        common = lcm(self.denominator, other.denominator)
        a, b = common // self.denominator, common // other.denominator
        return Exact(self.numerators * a + other.numerators * b, common)

    def __mul__(self, other: Exact) -> Exact:
        return Exact(self.numerators * other.numerators, self.denominator * other.denominator)

    def __matmul__(self, other: Exact) -> Exact:
        return Exact(np.dot(self.numerators, other.numerators), self.denominator * other.denominator)

    def __neg__(self) -> Exact:
        return Exact(-self.numerators, self.denominator)

    def __getitem__(self, where: Any) -> Exact:
        return Exact(self.numerators[where], self.denominator)

    def __abs__(self) -> Exact:
        return Exact(np.abs(self.numerators), self.denominator)

    def positive(self) -> Exact:
        """``max(0, .)`` elementwise."""
        return Exact(np.maximum(self.numerators, 0), self.denominator)

    def half(self) -> Exact:
        return Exact(self.numerators, 2 * self.denominator)

    def fractions(self) -> list[Fraction]:
        """The elements of a one-dimensional array."""
        return [Fraction(value, self.denominator) for value in self.numerators.tolist()]


def zeros(*shape: int) -> Exact:
    return Exact(np.full(shape, 0, dtype=object))


@dataclass(frozen=True)
class ExactMap:
    """A linear map, as a matrix (``rows`` is None) or as entries (rows, cols, values); ``height`` outputs."""

    height: int
    width: int
    values: Exact
    rows: Index | None = None
    cols: Index | None = None

    @staticmethod
    def of(linear_map: LinearMap, height: int, width: int) -> ExactMap:
        match linear_map:
            case Dense(weight):
                return ExactMap(height, width, Exact.of_floats(weight))
            case Sparse(rows, cols, values, _):
                return ExactMap(height, width, Exact.of_floats(values), rows, cols)
            case Gather(index):
                rows = np.flatnonzero(index >= 0)
                return ExactMap(height, width, Exact.of_floats(np.ones(len(rows))), rows, index[rows])
            case Scale(factor, divide):
                exact, each = Exact.of_floats(factor), np.arange(height)
                if divide:
                    exact = Exact.of([1 / value for value in exact.fractions()])
                return ExactMap(height, width, exact, each, each)

    def push(self, v: Exact) -> Exact:
        """``M v`` along the last axis."""
        if self.rows is None:
            return v @ Exact(self.values.numerators.T, self.values.denominator)
        return _scatter(v[..., self.cols] * self.values, self.rows, self.height)

    def pull(self, a: Exact) -> Exact:
        """``a M`` along the last axis."""
        if self.rows is None or self.cols is None:
            return a @ self.values
        return _scatter(a[..., self.rows] * self.values, self.cols, self.width)

    def __abs__(self) -> ExactMap:
        return ExactMap(self.height, self.width, abs(self.values), self.rows, self.cols)


def _scatter(values: Exact, to: Index, size: int) -> Exact:
    """Sums of the values along the last axis that go to the same place of a new last axis."""
    out = zeros(*values.numerators.shape[:-1], size).numerators
    np.add.at(out.T, to, values.numerators.T)
    return Exact(out, values.denominator)
