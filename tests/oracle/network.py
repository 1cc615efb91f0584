"""Tiny ReLU networks and linear questions about them, in exact rationals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Terms = tuple[tuple[int, Fraction], ...]
Layers = Sequence[tuple[Any, Any]]  # (weight, bias) per layer: rows of numbers, and numbers


@dataclass(frozen=True)
class Unit:
    """``constant + sum coefficient * value``, and its positive part when ``relu``.

    Terms index values: the inputs come first, then the units in order; a unit reads earlier values only. Skip
    connections, concatenation and maxima (``a + relu(b - a)``) need nothing else.
    """

    terms: Terms
    constant: Fraction = Fraction(0)
    relu: bool = False


@dataclass(frozen=True)
class Row:
    """``sum x + sum y + constant > 0`` (``strict``) or ``>= 0``, with terms into the inputs and the outputs."""

    x: Terms
    y: Terms
    constant: Fraction = Fraction(0)
    strict: bool = True


@dataclass(frozen=True)
class Network:
    """``outputs`` index values, see ``Unit``."""

    inputs: int
    units: tuple[Unit, ...]
    outputs: tuple[int, ...]

    @staticmethod
    def dense(layers: Layers) -> Network:
        """Fully connected, a ReLU after every layer but the last. Floats are taken at their exact value."""
        width = len(layers[0][0][0])
        read = tuple(range(width))
        units: list[Unit] = []
        for depth, (weight, bias) in enumerate(layers, start=1):
            first = width + len(units)
            for row, constant in zip(weight, bias, strict=True):
                terms = tuple((v, w) for v, w in zip(read, map(exact, row), strict=True) if w)
                units.append(Unit(terms, exact(constant), relu=depth < len(layers)))
            read = tuple(range(first, width + len(units)))
        return Network(width, tuple(units), read)

    @property
    def relus(self) -> int:
        return sum(unit.relu for unit in self.units)

    def extended(self, *units: Unit) -> Network:
        """With more units at the end; the outputs stay."""
        return Network(self.inputs, self.units + units, self.outputs)

    def row_unit(self, row: Row) -> Unit:
        """The left-hand side of the row as one more unit."""
        return Unit(row.x + tuple((self.outputs[i], c) for i, c in row.y), row.constant)

    def evaluate(self, x: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """Exact outputs at an exact input."""
        values = [exact(v) for v in x]
        if len(values) != self.inputs:
            raise ValueError(f"{len(values)} values for {self.inputs} inputs")
        for unit in self.units:
            value = unit.constant + sum(c * values[v] for v, c in unit.terms)
            values.append(max(value, Fraction(0)) if unit.relu else value)
        return tuple(values[v] for v in self.outputs)

    def margin(self, row: Row, x: Sequence[Fraction]) -> Fraction:
        """Left-hand side of the row at ``x``."""
        y = self.evaluate(x)
        return row.constant + sum(c * exact(x[i]) for i, c in row.x) + sum(c * y[i] for i, c in row.y)


def exact(number: Any) -> Fraction:
    """The number itself: a Fraction or int, or the dyadic rational that a float of any width stores."""
    return Fraction(number) if isinstance(number, Fraction | int) else Fraction(float(number))
