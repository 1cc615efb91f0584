"""An ONNX file while it is written: nodes and initialisers collected, then put into one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from specs.graph.graph import Array, Shape
from specs.loading.onnx_tensor import DTYPES
from specs.loading.protobuf import write_bytes, write_float, write_int, write_ints, write_text

AttributeValue = float | int | str | tuple[int, ...]

ELEMENTS = {dtype.newbyteorder("="): element for element, dtype in reversed(DTYPES.items())}
"""TensorProto.data_type of a dtype."""


class OnnxDocument:
    """``real`` is the type of every real number in the file; ``taken`` names are not given to constants."""

    def __init__(self, real: np.dtype[np.generic], taken: Iterable[str]) -> None:
        self.real = real
        self._taken = set(taken)
        self._counts: dict[str, int] = {}
        self._nodes: list[bytes] = []
        self._initialisers: list[bytes] = []

    def emit(self, op_type: str, inputs: Sequence[str], output: str, **attributes: AttributeValue) -> str:
        """One node with one output, whose name is returned."""
        message = [write_text(1, name) for name in inputs]
        message += [write_text(2, output), write_text(3, output), write_text(4, op_type)]
        message += [write_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(message))
        return output

    def initialise(self, name: str, value: Array) -> None:
        """An initialiser; real numbers in the model's type."""
        array = value.astype(self.real, copy=False) if value.dtype.kind == "f" else value
        dims = write_ints(1, array.shape) if array.ndim else b""
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        element = ELEMENTS[array.dtype.newbyteorder("=")]
        self._initialisers.append(dims + write_int(2, element) + write_text(8, name) + write_bytes(9, data))

    def number(self, near: str, value: float) -> str:
        """A real scalar, named after the node ``near`` it serves."""
        name = self.fresh(near)
        self.initialise(name, np.asarray(value, dtype=self.real))
        return name

    def ints(self, near: str, values: Sequence[int]) -> str:
        """A list of integers, named after the node ``near`` it serves."""
        name = self.fresh(near)
        self.initialise(name, np.asarray(values, dtype=np.int64))
        return name

    def fresh(self, near: str) -> str:
        """A name not used yet."""
        while True:
            self._counts[near] = self._counts.get(near, -1) + 1
            name = f"{near}/{self._counts[near]}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def finish(self, inputs: Sequence[bytes], outputs: Sequence[bytes], opset: int, ir_version: int) -> bytes:
        """The file; ``inputs`` and ``outputs`` are made by ``declaration``."""
        body = [write_bytes(1, node) for node in self._nodes] + [write_text(2, "graph")]
        body += [write_bytes(5, tensor) for tensor in self._initialisers]
        body += [write_bytes(11, value) for value in inputs] + [write_bytes(12, value) for value in outputs]
        versions = write_text(1, "") + write_int(2, opset)
        return write_int(1, ir_version) + write_bytes(7, b"".join(body)) + write_bytes(8, versions)


def declaration(name: str, element: int, shape: Shape) -> bytes:
    """Type of a graph input or output."""
    dims = b"".join(write_bytes(1, write_int(1, size)) for size in shape)
    tensor = write_int(1, element) + write_bytes(2, dims)
    return write_text(1, name) + write_bytes(2, write_bytes(1, tensor))


def _attribute(name: str, value: AttributeValue) -> bytes:
    head = write_text(1, name)
    if isinstance(value, float):
        return head + write_float(2, value) + write_int(20, 1)
    if isinstance(value, int):
        return head + write_int(3, int(value)) + write_int(20, 2)
    if isinstance(value, str):
        return head + write_text(4, value) + write_int(20, 3)
    return head + b"".join(write_int(8, number) for number in value) + write_int(20, 7)
