"""Arithmetic: the matrix product, and the four operations, powers and negation element by element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import AbstractBinary, AbstractUnary, broadcast, real


@dataclass(frozen=True)
class MatMul:
    """``a @ b`` with NumPy's rules for vectors and for broadcasting of leading axes."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        a, b = shapes
        if not a or not b:
            raise ValueError("a matrix product needs at least one axis on both sides")
        left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
        if left[-1] != right[-2]:
            raise ValueError(f"inner dimensions of {a} and {b} differ")
        batch = broadcast((left[:-2], right[:-2]))
        return (*batch, *(left[-2:-1] if len(a) > 1 else ()), *(right[-1:] if len(b) > 1 else ()))

    def evaluate(self, *arrays: Array) -> Array:
        a, b = arrays
        return np.asarray(np.matmul(real(a), real(b)))


class Add(AbstractBinary):
    """``a + b``, broadcasting."""

    def function(self, a: Array, b: Array) -> Array:
        return np.add(a, b)


class Sub(AbstractBinary):
    """``a - b``, broadcasting."""

    def function(self, a: Array, b: Array) -> Array:
        return np.subtract(a, b)


class Mul(AbstractBinary):
    """``a * b`` element by element, broadcasting."""

    def function(self, a: Array, b: Array) -> Array:
        return np.multiply(a, b)


class Div(AbstractBinary):
    """``a / b`` element by element, broadcasting; integers truncate toward zero."""

    def function(self, a: Array, b: Array) -> Array:
        if a.dtype.kind in "iu" and b.dtype.kind in "iu":
            if not np.all(b):
                raise ValueError("integer division by zero")
            quotient = np.floor_divide(a, b)
            return np.asarray(quotient + ((quotient < 0) & (quotient * b != a)))
        return np.divide(a, b)


class Pow(AbstractBinary):
    """``a ** b`` element by element, broadcasting; in the type of ``a``."""

    def function(self, a: Array, b: Array) -> Array:
        if a.dtype.kind in "iu" and (b.dtype.kind not in "iu" or np.any(b < 0)):
            return np.power(a.astype(np.float64), b).astype(a.dtype)
        return np.power(a, b)


class Neg(AbstractUnary):
    """``-x``."""

    def function(self, x: Array) -> Array:
        return np.negative(x)
