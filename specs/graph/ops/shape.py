"""Operators that move elements and compute nothing; the dtype of their input survives."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import broadcast, normal_axis, only


@dataclass(frozen=True)
class Reshape:
    """The same elements, in row-major order, in ``shape`` (every size explicit)."""

    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        if prod(only(shapes)) != prod(self.shape) or any(n < 0 for n in self.shape):
            raise ValueError(f"{shapes[0]} cannot be reshaped to {self.shape}")
        return self.shape

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        return x.reshape(self.shape)


@dataclass(frozen=True)
class Transpose:
    """Axis ``i`` of the result is axis ``perm[i]`` of the input."""

    perm: tuple[int, ...]

    def infer_shape(self, *shapes: Shape) -> Shape:
        x = only(shapes)
        if sorted(self.perm) != list(range(len(x))):
            raise ValueError(f"perm {self.perm} is not a permutation of the axes of {x}")
        return tuple(x[axis] for axis in self.perm)

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        return x.transpose(self.perm)


@dataclass(frozen=True)
class Slice:
    """``x[start:end:step]`` along each of ``axes``, with Python's meaning of out-of-range and negative bounds."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    axes: tuple[int, ...]
    steps: tuple[int, ...]

    def infer_shape(self, *shapes: Shape) -> Shape:
        x = only(shapes)
        index = self._index(len(x))
        return tuple(len(range(*part.indices(size))) for part, size in zip(index, x))

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        return np.asarray(x[self._index(x.ndim)])

    def _index(self, rank: int) -> tuple[slice, ...]:
        axes = [normal_axis(axis, rank) for axis in self.axes]
        if not len(self.starts) == len(self.ends) == len(self.steps) == len(set(axes)) == len(axes):
            raise ValueError(f"{self} does not give one start, end and step to each axis")
        parts = [slice(None)] * rank
        for axis, start, end, step in zip(axes, self.starts, self.ends, self.steps):
            if step == 0:
                raise ValueError("a slice cannot have step 0")
            parts[axis] = slice(start, end, step)
        return tuple(parts)


@dataclass(frozen=True)
class Concat:
    """The inputs one after the other along ``axis``."""

    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        if not shapes:
            raise ValueError("takes at least one input, got none")
        axis = normal_axis(self.axis, len(shapes[0]))
        rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(rest) > 1 or len({len(shape) for shape in shapes}) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} differ outside axis {axis}")
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])

    def evaluate(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, axis=self.axis)


@dataclass(frozen=True)
class Gather:
    """``x.take(index, axis)``: inputs x and an integer index whose shape replaces that axis; -1 is the last element."""

    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        x, index = shapes
        axis = normal_axis(self.axis, len(x))
        return (*x[:axis], *index, *x[axis + 1 :])

    def evaluate(self, *arrays: Array) -> Array:
        x, index = arrays
        if index.dtype.kind not in "iu":
            raise ValueError("an index must be an integer")
        return np.asarray(np.take(x, index, axis=self.axis))


@dataclass(frozen=True)
class Expand:
    """The input repeated along its axes of size 1 (and new leading axes) to ``shape``."""

    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        if broadcast((only(shapes), self.shape)) != self.shape:
            raise ValueError(f"{shapes[0]} cannot be expanded to {self.shape}")
        return self.shape

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        return np.broadcast_to(x, self.shape)


@dataclass(frozen=True)
class Pad:
    """``value`` around the input: ``pads`` are (begin of every axis..., end of every axis...), none negative."""

    pads: tuple[int, ...]
    value: float = 0.0

    def infer_shape(self, *shapes: Shape) -> Shape:
        x = only(shapes)
        if len(self.pads) != 2 * len(x) or any(p < 0 for p in self.pads):
            raise ValueError(f"pads {self.pads} do not fit an input of shape {x}")
        return tuple(n + begin + end for n, begin, end in zip(x, self.pads[: len(x)], self.pads[len(x) :]))

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        widths = list(zip(self.pads[: x.ndim], self.pads[x.ndim :]))
        return np.pad(x, widths, constant_values=self.value) if widths else x
