"""One stored ONNX operator as the translation rules see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.onnx_builder import Builder, Constant, Value

Attribute = int | float | str | list[int] | Constant


class Node:
    """One stored operator. Reading an attribute removes it, so that what remains was not understood."""

    def __init__(
        self, opset: int, inputs: Sequence[Value | None], attributes: dict[str, Attribute], outputs: int
    ) -> None:
        self.opset, self.inputs, self.attributes, self.outputs = opset, inputs, attributes, outputs

    def value(self, position: int) -> Value:
        value = self.optional(position)
        if value is None:
            raise CheckError(f"input {position} is missing")
        return value

    def optional(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.pop(name, default)
        if not isinstance(value, int):
            raise CheckError(f"attribute {name!r} is not an integer")
        return value

    def real(self, name: str, default: float) -> float:
        value = self.attributes.pop(name, default)
        if not isinstance(value, float):
            raise CheckError(f"attribute {name!r} is not a real number")
        return value

    def text(self, name: str, default: str) -> str:
        value = self.attributes.pop(name, default)
        if not isinstance(value, str):
            raise CheckError(f"attribute {name!r} is not a text")
        return value

    def listed(self, name: str) -> list[int] | None:
        """The attribute as a list of integers, None where it is absent."""
        value = self.attributes.pop(name, None)
        if value is not None and not isinstance(value, list):
            raise CheckError(f"attribute {name!r} is not a list of integers")
        return value

    def integers(self, name: str, position: int, since: int) -> list[int] | None:
        """A list that is attribute ``name`` before opset ``since`` and constant input ``position`` from then on."""
        if self.opset < since and len(self.inputs) > position:
            raise CheckError(f"input {position} is not allowed in opset {self.opset}")
        value = self.attributes.pop(name, None) if self.opset < since else self.optional(position)
        if isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.ndim <= 1:
            return [int(entry) for entry in value.reshape(-1)]
        if value is not None and not isinstance(value, list):
            raise CheckError(f"{name} is not a list of constant integers")
        return value


Rule = Callable[[Builder, Node], Sequence[Value]]
