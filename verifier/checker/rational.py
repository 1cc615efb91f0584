"""Arrays of rationals, exactly.

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

    def sign(self) -> Exact:
        """-1, 0 or 1 elementwise."""
        positive, negative = self.numerators > 0, self.numerators < 0
        return Exact(positive.astype(object) * 1 - negative.astype(object) * 1)

    def half(self) -> Exact:
        return Exact(self.numerators, 2 * self.denominator)

    def fractions(self) -> list[Fraction]:
        """The elements of a one-dimensional array."""
        return [Fraction(value, self.denominator) for value in self.numerators.tolist()]


def nearest(value: Fraction) -> float:
    """The float64 nearest to a rational (division of integers in Python is correctly rounded), or OverflowError."""
    return value.numerator / value.denominator


def zeros(*shape: int) -> Exact:
    return Exact(np.full(shape, 0, dtype=object))
