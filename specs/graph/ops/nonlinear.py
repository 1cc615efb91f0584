"""Functions of one number, applied element by element; and min, max, clip, softmax."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi, sqrt

import numpy as np

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import AbstractBinary, AbstractUnary, broadcast, normal_axis, only, real


class Relu(AbstractUnary):
    """``max(x, 0)``."""

    def function(self, x: Array) -> Array:
        return np.maximum(x, 0)


@dataclass(frozen=True)
class LeakyRelu(AbstractUnary):
    """``x`` where ``x >= 0``, else ``alpha * x``."""

    alpha: float

    def function(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.alpha * x)


class PRelu(AbstractBinary):
    """``x`` where ``x >= 0``, else ``slope * x``; inputs x and slope."""

    def function(self, a: Array, b: Array) -> Array:
        return np.where(a >= 0, a, b * a)


@dataclass(frozen=True)
class Elu(AbstractUnary):
    """``x`` where ``x >= 0``, else ``alpha * (exp(x) - 1)``."""

    alpha: float

    def function(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


@dataclass(frozen=True)
class Selu(AbstractUnary):
    """``gamma * x`` where ``x >= 0``, else ``gamma * alpha * (exp(x) - 1)``."""

    alpha: float
    gamma: float

    def function(self, x: Array) -> Array:
        return self.gamma * np.where(x >= 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


class Sigmoid(AbstractUnary):
    """``1 / (1 + exp(-x))``."""

    def function(self, x: Array) -> Array:
        decay = np.exp(-np.abs(x))
        return np.where(x >= 0, 1.0, decay) / (1.0 + decay)


@dataclass(frozen=True)
class HardSigmoid(AbstractUnary):
    """``min(1, max(0, alpha * x + beta))``."""

    alpha: float
    beta: float

    def function(self, x: Array) -> Array:
        return np.clip(self.alpha * x + self.beta, 0.0, 1.0)


class Tanh(AbstractUnary):
    """``tanh(x)``."""

    def function(self, x: Array) -> Array:
        return np.tanh(x)


class Softplus(AbstractUnary):
    """``log(1 + exp(x))``."""

    def function(self, x: Array) -> Array:
        return np.logaddexp(x, 0.0)


class Softsign(AbstractUnary):
    """``x / (1 + |x|)``."""

    def function(self, x: Array) -> Array:
        return np.divide(x, 1.0 + np.abs(x))


class Exp(AbstractUnary):
    """``exp(x)``."""

    def function(self, x: Array) -> Array:
        return np.exp(x)


class Log(AbstractUnary):
    """``log(x)``, natural."""

    def function(self, x: Array) -> Array:
        return np.log(x)


class Sqrt(AbstractUnary):
    """``sqrt(x)``."""

    def function(self, x: Array) -> Array:
        return np.sqrt(x)


class Reciprocal(AbstractUnary):
    """``1 / x``."""

    def function(self, x: Array) -> Array:
        return np.divide(1.0, x)


class Sin(AbstractUnary):
    """``sin(x)``."""

    def function(self, x: Array) -> Array:
        return np.sin(x)


class Cos(AbstractUnary):
    """``cos(x)``."""

    def function(self, x: Array) -> Array:
        return np.cos(x)


class Tan(AbstractUnary):
    """``tan(x)``."""

    def function(self, x: Array) -> Array:
        return np.tan(x)


class Atan(AbstractUnary):
    """``arctan(x)``."""

    def function(self, x: Array) -> Array:
        return np.arctan(x)


class Erf(AbstractUnary):
    """The error function."""

    def function(self, x: Array) -> Array:
        return _erf(x)


@dataclass(frozen=True)
class Gelu(AbstractUnary):
    """``x * Phi(x)``; with ``approximate == "tanh"``, ``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))``."""

    approximate: str = "none"

    def function(self, x: Array) -> Array:
        if self.approximate == "tanh":
            return np.asarray(x * 0.5 * (1.0 + np.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x**3))))
        return np.asarray(x * 0.5 * (1.0 + _erf(x / sqrt(2.0))))


class Sign(AbstractUnary):
    """-1, 0 or 1; 0 exactly at 0."""

    def function(self, x: Array) -> Array:
        return np.sign(x)


class Floor(AbstractUnary):
    """Largest integer that is not greater."""

    def function(self, x: Array) -> Array:
        return np.floor(x)


class Ceil(AbstractUnary):
    """Smallest integer that is not less."""

    def function(self, x: Array) -> Array:
        return np.ceil(x)


class Round(AbstractUnary):
    """Nearest integer, ties to even."""

    def function(self, x: Array) -> Array:
        return np.rint(x)


class Abs(AbstractUnary):
    """``|x|``."""

    def function(self, x: Array) -> Array:
        return np.abs(x)


@dataclass(frozen=True)
class Clip(AbstractUnary):
    """``min(max(x, min), max)``; so ``max`` wins when the bounds cross."""

    min: float = -inf
    max: float = inf

    def function(self, x: Array) -> Array:
        return np.asarray(np.minimum(np.maximum(x, self.min), self.max)).astype(x.dtype, copy=False)


@dataclass(frozen=True)
class Min:
    """Smallest of its inputs, element by element, broadcasting."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        return broadcast(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        first, *rest = map(real, arrays)
        for other in rest:
            first = np.minimum(first, other)
        return first


@dataclass(frozen=True)
class Max:
    """Largest of its inputs, element by element, broadcasting."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        return broadcast(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        first, *rest = map(real, arrays)
        for other in rest:
            first = np.maximum(first, other)
        return first


@dataclass(frozen=True)
class Softmax:
    """``exp(x) / sum(exp(x))`` along ``axis``."""

    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        normal_axis(self.axis, len(only(shapes)))
        return only(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        weights = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return np.asarray(weights / weights.sum(axis=self.axis, keepdims=True))


@dataclass(frozen=True)
class LogSoftmax:
    """``x - log(sum(exp(x)))`` along ``axis``."""

    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        normal_axis(self.axis, len(only(shapes)))
        return only(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        shifted = x - x.max(axis=self.axis, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)))


def _erf(x: Array) -> Array:
    # Imported here: scipy is too slow to import for networks that do not need it.
    from scipy.special import erf  # type: ignore[import-untyped]

    return np.asarray(erf(x))
