"""What operators share: the float64 view of an array and the two most common shape rules.

An operator without attributes inherits its dataclass from here: generating sixty of them would cost start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specs.graph.graph import Array, Shape


def real(array: Array) -> Array:
    """The array in float64; integers and booleans are returned as they are."""
    return array.astype(np.float64, copy=False) if array.dtype.kind not in "iub" else array


def only(shapes: tuple[Shape, ...]) -> Shape:
    """The single shape of a one-input operator."""
    if len(shapes) != 1:
        raise ValueError(f"takes one input, got {len(shapes)}")
    return shapes[0]


def broadcast(shapes: tuple[Shape, ...]) -> Shape:
    """The shape all of ``shapes`` broadcast to under the multidirectional (NumPy) rule."""
    if not shapes:
        raise ValueError("takes at least one input, got none")
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast together") from None


def normal_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside a tensor of rank {rank}")
    return axis % rank


@dataclass(frozen=True)
class AbstractUnary:
    """One input; the result has its shape and is ``function`` of it, element by element."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        return only(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        (x,) = arrays
        return self.function(real(x))

    def function(self, x: Array) -> Array:
        """The scalar function, applied to every element."""
        raise NotImplementedError


@dataclass(frozen=True)
class AbstractBinary:
    """Two inputs that broadcast; the result is ``function`` of them, element by element."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 2:
            raise ValueError(f"takes two inputs, got {len(shapes)}")
        return broadcast(shapes)

    def evaluate(self, *arrays: Array) -> Array:
        a, b = arrays
        return self.function(real(a), real(b))

    def function(self, a: Array, b: Array) -> Array:
        """The scalar function, applied to every pair of elements."""
        raise NotImplementedError
