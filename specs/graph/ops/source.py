"""Operators without inputs: where values come from."""

from __future__ import annotations

from dataclasses import dataclass

from specs.graph.graph import Array, Shape
from specs.graph.ops.base import real


@dataclass(frozen=True)
class Input:
    """A tensor the property quantifies over."""

    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def evaluate(self, *arrays: Array) -> Array:
        raise ValueError("an input has no value of its own: pass one to Graph.evaluate")


@dataclass(frozen=True, eq=False)
class Constant:
    """A stored tensor, in its stored dtype; compared by identity. Nobody may write to ``value``."""

    value: Array

    def infer_shape(self, *shapes: Shape) -> Shape:
        return self.value.shape

    def evaluate(self, *arrays: Array) -> Array:
        return real(self.value)
