"""Comparisons, Boolean algebra, selection, and conversion between kinds of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import AbstractBinary, AbstractUnary, broadcast, real


class Equal(AbstractBinary):
    """``a == b``."""

    def function(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)


class Less(AbstractBinary):
    """``a < b``."""

    def function(self, a: Array, b: Array) -> Array:
        return np.less(a, b)


class LessOrEqual(AbstractBinary):
    """``a <= b``."""

    def function(self, a: Array, b: Array) -> Array:
        return np.less_equal(a, b)


class And(AbstractBinary):
    """``a and b``."""

    def function(self, a: Array, b: Array) -> Array:
        return np.logical_and(a, b)


class Or(AbstractBinary):
    """``a or b``."""

    def function(self, a: Array, b: Array) -> Array:
        return np.logical_or(a, b)


class Not(AbstractUnary):
    """``not x``."""

    def function(self, x: Array) -> Array:
        return np.logical_not(x)


@dataclass(frozen=True)
class Where:
    """``x`` where the condition holds, else ``y``; inputs condition, x, y, broadcasting."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 3:
            raise ValueError(f"takes a condition and two values, got {len(shapes)} input(s)")
        return broadcast(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        condition, x, y = arrays
        return np.where(condition.astype(bool), x, y)


@dataclass(frozen=True)
class Cast(AbstractUnary):
    """To a real, to an integer (toward zero), or to a truth value (not zero)."""

    to: Literal["float", "int", "bool"]

    def function(self, x: Array) -> Array:
        kinds = {"float": np.float64, "int": np.int64, "bool": np.bool_}
        return real(x).astype(kinds[self.to])
