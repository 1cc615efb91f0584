"""The network as a value: an immutable directed acyclic graph of operators with static shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]


class Op(Protocol):
    """An operator: a frozen dataclass whose fields are its attributes."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        """Shape of the result for inputs of the given shapes; raises ``ValueError`` when they do not fit."""

    def evaluate(self, *arrays: Array) -> Array:
        """Reference result in float64 (integers and booleans stay what they are)."""


@dataclass(frozen=True)
class Node:
    """One value of the graph: ``name = op(*inputs)``, of static ``shape``."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order; ``inputs`` name the ``Input`` nodes, ``outputs`` any nodes.

    The flat input (output) is the row-major concatenation of the inputs (outputs) in this order.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def input_size(self) -> int:
        return sum(prod(self.by_name[name].shape) for name in self.inputs)

    @property
    def output_size(self) -> int:
        return sum(prod(self.by_name[name].shape) for name in self.outputs)

    def evaluate(self, *inputs: Array) -> list[Array]:
        """Outputs in float64 for one array per input, each of the input's own shape."""
        values: dict[str, Array] = {
            name: np.asarray(value, dtype=np.float64).reshape(self.by_name[name].shape)
            for name, value in zip(self.inputs, inputs, strict=True)
        }
        for node in self.nodes:
            if node.name not in values:
                values[node.name] = node.op.evaluate(*(values[name] for name in node.inputs))
        return [values[name] for name in self.outputs]

    def evaluate_flat(self, x: Sequence[float] | Array) -> NDArray[np.float64]:
        """Flat output (float64) at a flat input of length ``input_size``."""
        flat = np.asarray(x, dtype=np.float64).reshape(-1)
        parts, start = [], 0
        for name in self.inputs:
            size = prod(self.by_name[name].shape)
            parts.append(flat[start : start + size].reshape(self.by_name[name].shape))
            start += size
        return np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in self.evaluate(*parts)])
