"""A question about a ReLU network in exact rationals: is there an input of the box at which every row fails?

The stored float64 numbers are taken at their exact values, and sums are not rounded. The network is the composed form
that a ``Query`` has, so an answer is about that form; only what the checker accepts is about the user's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any

import numpy as np

from relaxations.base import Query
from relaxations.maps.linear import dense
from relaxations.network import Layer

ZERO = Fraction(0)
Vector = Any  # a one-dimensional array of Fractions, dtype object
Neuron = tuple[int, int]  # layer, place
Phases = Mapping[Neuron, int]  # 1 where the pre-activation is at least 0, -1 where it is at most 0


@dataclass(frozen=True)
class Scaled:
    """Fractions as ``numerators / denominator``: sums of products of integers need no greatest common divisors."""

    numerators: Vector
    denominator: int

    @staticmethod
    def of(values: Vector) -> Scaled:
        flat = values.reshape(-1)
        denominator = lcm(*{value.denominator for value in flat})
        out = np.empty(len(flat), dtype=object)
        out[:] = [value.numerator * (denominator // value.denominator) for value in flat]
        return Scaled(out.reshape(values.shape), denominator)

    def __matmul__(self, other: Scaled) -> Vector:
        """The product, as Fractions."""
        found = np.asarray(self.numerators @ other.numerators, dtype=object)
        denominator = self.denominator * other.denominator
        out = np.empty(found.size, dtype=object)
        out[:] = [Fraction(value, denominator) for value in found.reshape(-1)]
        return out.reshape(found.shape)


@dataclass(frozen=True)
class Affine:
    """``sum of matrix @ source + bias``; source 0 is the input, source j >= 1 the output of layer j."""

    terms: tuple[tuple[int, Vector], ...]
    bias: Vector

    @cached_property
    def scaled(self) -> tuple[tuple[int, Scaled], ...]:
        """The same terms as integers over one denominator each."""
        return tuple((source, Scaled.of(matrix)) for source, matrix in self.terms)

    def apply(self, values: Sequence[Vector]) -> Vector:
        """The exact values from those of the sources."""
        return sum((matrix @ values[source] for source, matrix in self.terms), start=self.bias)


@dataclass(frozen=True)
class Question:
    """Is there ``lower <= x <= upper`` with every row at most 0, or below 0 where ``strict`` says so?

    ``layers`` are ReLU layers, ``rows`` the rows over all sources. No input of this kind means that the property holds
    in which row r is required to be positive, or not negative where ``strict``.
    """

    layers: tuple[Affine, ...]
    rows: Affine
    lower: Vector
    upper: Vector
    strict: tuple[bool, ...]

    @staticmethod
    def of(query: Query, strict: Sequence[bool] | None = None) -> Question:
        """The question whether the query's score reaches 0; a row's failure is not strict if not said otherwise."""
        layers = tuple(map(_exact_layer, query.network.layers))
        rows = _composed(query, _exact_layer(query.network.output))
        found = tuple(strict) if strict is not None else (False,) * len(rows.bias)
        return Question(layers, rows, exact(query.lower), exact(query.upper), found)

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the sources: the input, then every layer."""
        return (len(self.lower), *(len(layer.bias) for layer in self.layers))

    def above(self, level: Fraction) -> Question:
        """The question whether the score exceeds ``level`` anywhere: every row below ``-level``."""
        rows = Affine(self.rows.terms, self.rows.bias + level)
        return replace(self, rows=rows, strict=(True,) * len(rows.bias))

    def run(self, x: Vector) -> tuple[list[Vector], Vector]:
        """Exact pre-activations by layer, and the rows' values."""
        values, seen = [x], []
        for layer in self.layers:
            seen.append(layer.apply(values))
            values.append(np.maximum(seen[-1], ZERO))
        return seen, self.rows.apply(values)

    def score(self, x: Vector) -> Fraction:
        """What the adversary gains at an exact input."""
        return -max(self.run(x)[1])

    def violated_by(self, x: Vector) -> bool:
        """Whether x is in the box and every row fails there, decided exactly."""
        if not (all(self.lower <= x) and all(x <= self.upper)):
            return False
        rows = self.run(x)[1]
        return all(value < 0 or (value == 0 and not strict) for value, strict in zip(rows, self.strict))


def exact(values: np.ndarray) -> Vector:
    """The floats' exact values, in an array of the same shape."""
    flat = [Fraction(float(value)) for value in np.asarray(values).reshape(-1)]
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(np.shape(values))


def vector(values: Sequence[Fraction | int]) -> Vector:
    """An array of Fractions."""
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(value) for value in values]
    return out


def zeros(size: int) -> Vector:
    return vector([0] * size)


def _exact_layer(layer: Layer) -> Affine:
    return Affine(tuple((source, exact(dense(weight))) for source, weight in layer.terms), exact(layer.bias))


def _composed(query: Query, output: Affine) -> Affine:
    """Rows over inputs and outputs as rows over the sources that the output layer reads."""
    on_y = exact(query.rows.y)
    terms = {0: exact(query.rows.x)}
    for source, matrix in output.terms:
        part = on_y @ matrix
        terms[source] = terms[source] + part if source in terms else part
    return Affine(tuple(terms.items()), exact(query.rows.constant) + on_y @ output.bias)
