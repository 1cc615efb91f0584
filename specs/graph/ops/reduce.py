"""Reductions along axes. ``axes`` are explicit; an empty tuple reduces nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import normal_axis, only, real


@dataclass(frozen=True)
class AbstractReduction:
    """One input, reduced along ``axes``, which stay as size 1 if ``keepdims``."""

    axes: tuple[int, ...]
    keepdims: bool

    def infer_shape(self, *shapes: Shape) -> Shape:
        x = only(shapes)
        axes = {normal_axis(axis, len(x)) for axis in self.axes}
        if len(axes) != len(self.axes):
            raise ValueError(f"axes {self.axes} name an axis twice")
        kept = (1 if axis in axes else size for axis, size in enumerate(x) if self.keepdims or axis not in axes)
        return tuple(kept)


class ReduceSum(AbstractReduction):
    """Sum of the elements."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        return np.asarray(x.sum(axis=self.axes, keepdims=self.keepdims))


class ReduceMean(AbstractReduction):
    """Arithmetic mean of the elements."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        return np.asarray(x.mean(axis=self.axes, keepdims=self.keepdims))


class ReduceMax(AbstractReduction):
    """Largest of the elements."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        return np.asarray(x.max(axis=self.axes, keepdims=self.keepdims))


class ReduceMin(AbstractReduction):
    """Smallest of the elements."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        return np.asarray(x.min(axis=self.axes, keepdims=self.keepdims))


class ReduceProd(AbstractReduction):
    """Product of the elements."""

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = map(real, arrays)
        return np.asarray(x.prod(axis=self.axes, keepdims=self.keepdims))
