"""What an ONNX file says, as plain values: the messages of ``onnx.proto`` this program needs, and nothing of meaning.

Attributes and tensors are decoded when asked for, so unread ones cost nothing and cannot fail.
Source: onnx/onnx.proto (ONNX IR specification).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from specs.loading.protobuf import (
    BYTES,
    WireError,
    as_bytes,
    as_float,
    as_floats,
    as_int,
    as_ints,
    as_text,
    read_fields,
)

Attribute = float | int | str | memoryview | tuple[float, ...] | tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class OnnxNode:
    """One operator call; an empty input or output name stands for one left out."""

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, memoryview]

    @property
    def label(self) -> str:
        """How to name this node to its author."""
        return self.name or next((output for output in self.outputs if output), self.op_type)


@dataclass(frozen=True)
class OnnxValue:
    """Declared type of a graph input or output; a dynamic size is None, an undeclared shape too."""

    name: str
    element: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class OnnxModel:
    """The main graph. ``initialisers`` are undecoded tensors by name."""

    opset: int
    nodes: tuple[OnnxNode, ...]
    initialisers: Mapping[str, memoryview]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    sparse_initialisers: int


def parse_model(data: memoryview) -> OnnxModel:
    """The model in ``data``; ``WireError`` when there is none."""
    graph, opset = None, 1
    for number, _, value in read_fields(data):
        if number == 7:
            if graph is not None:
                raise WireError("it holds two graphs")
            graph = as_bytes(value)
        elif number == 8:
            domain, version = "", 1
            for part, _, content in read_fields(as_bytes(value)):
                if part == 1:
                    domain = as_text(content)
                elif part == 2:
                    version = as_int(content)
            if domain in ("", "ai.onnx"):
                opset = version
    if graph is None:
        raise WireError("it holds no graph")
    return _parse_graph(graph, opset)


def _parse_graph(data: memoryview, opset: int) -> OnnxModel:
    nodes, initialisers, sparse = [], {}, 0
    inputs, outputs = [], []
    for number, _, value in read_fields(data):
        if number == 1:
            nodes.append(_parse_node(as_bytes(value)))
        elif number == 5:
            tensor = as_bytes(value)
            name = _first_text(tensor, 8)
            if name in initialisers:
                raise WireError(f"it holds two initialisers named {name!r}")
            initialisers[name] = tensor
        elif number == 11:
            inputs.append(_parse_value(as_bytes(value)))
        elif number == 12:
            outputs.append(_parse_value(as_bytes(value)))
        elif number == 15:
            sparse += 1
    return OnnxModel(opset, tuple(nodes), initialisers, tuple(inputs), tuple(outputs), sparse)


def _parse_node(data: memoryview) -> OnnxNode:
    texts = {3: "", 4: "", 7: ""}
    inputs, outputs, attributes = [], [], {}
    for number, _, value in read_fields(data):
        if number == 1:
            inputs.append(as_text(value))
        elif number == 2:
            outputs.append(as_text(value))
        elif number in texts:
            texts[number] = as_text(value)
        elif number == 5:
            attribute = as_bytes(value)
            name = _first_text(attribute, 1)
            if name in attributes:
                raise WireError(f"a node has two attributes named {name!r}")
            attributes[name] = attribute
    return OnnxNode(texts[4], texts[7], texts[3], tuple(inputs), tuple(outputs), attributes)


def _parse_value(data: memoryview) -> OnnxValue:
    name, element, shape = "", 0, None
    for number, _, value in read_fields(data):
        if number == 1:
            name = as_text(value)
        elif number == 2:
            for kind, _, tensor in read_fields(as_bytes(value)):
                if kind == 1:
                    element, shape = _parse_tensor_type(as_bytes(tensor))
    return OnnxValue(name, element, shape)


def _parse_tensor_type(data: memoryview) -> tuple[int, tuple[int | None, ...] | None]:
    element, shape = 0, None
    for number, _, value in read_fields(data):
        if number == 1:
            element = as_int(value)
        elif number == 2:
            shape = tuple(_parse_size(as_bytes(size)) for part, _, size in read_fields(as_bytes(value)) if part == 1)
    return element, shape


def _parse_size(data: memoryview) -> int | None:
    """A declared size; None for a symbolic, missing or not positive one (exporters write -1 or 0 for dynamic)."""
    size = None
    for number, _, value in read_fields(data):
        if number == 1:
            size = as_int(value)
    return size if size is not None and size > 0 else None


def _first_text(data: memoryview, wanted: int) -> str:
    return next((as_text(value) for number, wire, value in read_fields(data) if number == wanted and wire == BYTES), "")


_ATTRIBUTE_FIELD = {1: 2, 2: 3, 3: 4, 4: 5, 6: 7, 7: 8, 8: 9}
"""AttributeProto.type -> the field that holds the value, for the types decoded here."""


def parse_attribute(data: memoryview) -> Attribute:
    """Value of an attribute: number, text, tensor (undecoded), or a tuple of numbers or texts."""
    fields = list(read_fields(data))
    kind = next((as_int(value) for number, _, value in fields if number == 20), 0)
    present = {number for number, _, _ in fields}
    # Files older than IR version 2 have no type: the one field present tells.
    wanted = _ATTRIBUTE_FIELD.get(kind) if kind else next((f for f in _ATTRIBUTE_FIELD.values() if f in present), None)
    if wanted is None:
        raise WireError(f"an attribute of type {kind} has no meaning here")
    if wanted == 7:
        return tuple(float(x) for n, _, value in fields if n == 7 for x in as_floats(value, 4))
    if wanted == 8:
        return tuple(int(x) for n, wire, value in fields if n == 8 for x in as_ints(wire, value))
    if wanted == 9:
        return tuple(as_text(value) for n, _, value in fields if n == 9)
    value = next((value for number, _, value in reversed(fields) if number == wanted), None)
    # Protobuf leaves out a value equal to its default.
    if wanted == 2:
        return 0.0 if value is None else as_float(value)
    if wanted == 3:
        return 0 if value is None else as_int(value)
    if wanted == 4:
        return "" if value is None else as_text(value)
    return memoryview(b"") if value is None else as_bytes(value)
