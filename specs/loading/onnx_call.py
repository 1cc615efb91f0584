"""One ONNX operator call as its converter sees it, and the registry of converters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from specs.graph import Op
from specs.graph.graph import Array, Shape
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_model import OnnxNode, parse_attribute
from specs.loading.onnx_tensor import parse_tensor

T = TypeVar("T", float, int, str)


class UnsupportedForm(Exception):
    """The operator is known, but not in this form; the message names the form, such as ``Resize(mode='cubic')``."""


@dataclass
class Call:
    """An ONNX node with its inputs resolved to names of ``builder`` (None for one left out).

    Attributes and inputs that no converter asked for are errors (``unread``): an attribute ignored is a meaning lost.
    """

    node: OnnxNode
    inputs: tuple[str | None, ...]
    opset: int
    builder: GraphBuilder
    folder: Path | None
    _read: set[str] = field(default_factory=set)
    _arity: int = 0

    def input(self, index: int) -> str:
        """A required input."""
        name = self.optional(index)
        if name is None:
            raise ValueError(f"input {index} is missing")
        return name

    def optional(self, index: int) -> str | None:
        """An input, or None if it is left out."""
        self._arity = max(self._arity, index + 1)
        return self.inputs[index] if index < len(self.inputs) else None

    def all_inputs(self) -> tuple[str, ...]:
        """The inputs of a variadic operator, at least one."""
        return tuple(self.input(index) for index in range(max(1, len(self.inputs))))

    def constant(self, index: int) -> Array | None:
        """Value of an input that has to be known now, or None if it is left out."""
        name = self.optional(index)
        if name is None:
            return None
        value = self.builder.value(name)
        if value is None:
            raise UnsupportedForm(f"{self.node.op_type} with input {index} computed from the network's input")
        return value

    def constant_ints(self, index: int) -> tuple[int, ...] | None:
        """``constant`` as a tuple of integers."""
        value = self.constant(index)
        if value is None:
            return None
        if value.dtype.kind not in "iu" or value.ndim > 1:
            raise ValueError(f"input {index} must be a list of integers")
        return tuple(int(n) for n in value.reshape(-1))

    def attribute(self, name: str, default: T) -> T:
        """A number or text of the default's type."""
        if name not in self.node.attributes:
            self._read.add(name)
            return default
        value = self._attribute(name)
        if isinstance(value, memoryview) and isinstance(default, str):
            value = str(value, "utf-8")
        if type(value) is not type(default):
            raise ValueError(f"attribute {name} must be of type {type(default).__name__}")
        return value

    def ints(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, or None if it is not given."""
        if name not in self.node.attributes:
            return None
        value = self._attribute(name)
        if not isinstance(value, tuple) or not all(isinstance(n, int) for n in value):
            raise ValueError(f"attribute {name} must be a list of integers")
        return tuple(int(n) for n in value)

    def floats(self, name: str) -> tuple[float, ...] | None:
        """A list of numbers, or None if it is not given."""
        if name not in self.node.attributes:
            return None
        value = self._attribute(name)
        if not isinstance(value, tuple) or not all(isinstance(x, float) for x in value):
            raise ValueError(f"attribute {name} must be a list of numbers")
        return tuple(float(x) for x in value)

    def tensor(self, name: str) -> Array | None:
        """A tensor, or None if it is not given."""
        if name not in self.node.attributes:
            return None
        value = self._attribute(name)
        if not isinstance(value, memoryview):
            raise ValueError(f"attribute {name} must be a tensor")
        return parse_tensor(value, self.folder)

    def has(self, name: str) -> bool:
        """Whether the attribute is given; does not count as reading it."""
        return name in self.node.attributes

    def ignore(self, *names: str) -> None:
        """Marks attributes that do not change the result."""
        self._read.update(names)

    def unread(self) -> list[str]:
        """Attributes and inputs that are given and were not asked for."""
        inputs = [f"input {i}" for i in range(self._arity, len(self.inputs)) if self.inputs[i] is not None]
        return sorted(set(self.node.attributes) - self._read) + inputs

    def add(self, op: Op, *inputs: str) -> str:
        """Adds a node named after this call."""
        return self.builder.add(op, *inputs, stem=f"{self.node.label}/{type(op).__name__}")

    def scalar(self, value: float) -> str:
        """A real constant: in float32, like the tensors around it, if that holds it exactly."""
        single = np.float32(value)
        exact = float(single) == value
        return self.literal(np.asarray(single if exact else np.float64(value)))

    def literal(self, value: Array) -> str:
        """A constant named after this call."""
        return self.builder.constant(value, f"{self.node.label}/constant")

    def shape(self, name: str) -> Shape:
        """Static shape of a value."""
        return self.builder.shape(name)

    def _attribute(self, name: str) -> float | int | str | memoryview | tuple[float | int | str, ...]:
        self._read.add(name)
        return parse_attribute(self.node.attributes[name])


Converter = Callable[[Call], str | tuple[str, ...]]
Registry = Mapping[str, Converter]


def unary(op: Op) -> Converter:
    """Converter of an operator without attributes that reads its one input."""

    def convert(call: Call) -> str:
        call.ignore("consumed_inputs")
        return call.add(op, call.input(0))

    return convert
