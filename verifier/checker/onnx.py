"""ONNX files read into the checker's network, with no arithmetic on the stored weights.

``read_network`` either returns a network whose real function is exactly the real function of the stored model
(opsets 7 to 21, default domain), or raises ``CheckError``: what is not understood is refused, never guessed.
Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError
from verifier.checker.network import Network
from verifier.checker.onnx_builder import Builder, Value
from verifier.checker.onnx_node import Attribute, Node
from verifier.checker.onnx_operators import OPERATORS
from verifier.checker.protobuf import Message

OPSETS = range(7, 22)
LARGEST = 10**8  # elements of one tensor
HIGHEST_RANK = 32

MODEL = {
    "ir_version": 1,
    "producer_name": 2,
    "producer_version": 3,
    "domain": 4,
    "model_version": 5,
    "doc_string": 6,
    "graph": 7,
    "opset_import": 8,
    "metadata_props": 14,
}
OPSET = {"domain": 1, "version": 2}
GRAPH = {
    "node": 1,
    "name": 2,
    "initializer": 5,
    "doc_string": 10,
    "input": 11,
    "output": 12,
    "value_info": 13,
    "metadata_props": 16,
}
NODE = {
    "input": 1,
    "output": 2,
    "name": 3,
    "op_type": 4,
    "attribute": 5,
    "doc_string": 6,
    "domain": 7,
    "metadata_props": 9,
}
ATTRIBUTE = {"name": 1, "f": 2, "i": 3, "s": 4, "t": 5, "g": 6, "floats": 7, "ints": 8, "doc_string": 13, "type": 20}
TENSOR = {
    "dims": 1,
    "data_type": 2,
    "float_data": 4,
    "int32_data": 5,
    "int64_data": 7,
    "name": 8,
    "raw_data": 9,
    "double_data": 10,
    "doc_string": 12,
    "external_data": 13,
    "data_location": 14,
    "metadata_props": 16,
}
VALUE_INFO = {"name": 1, "type": 2, "doc_string": 3, "metadata_props": 4}
TYPE = {"tensor_type": 1, "denotation": 6}
TENSOR_TYPE = {"elem_type": 1, "shape": 2}
SHAPE = {"dim": 1}
DIMENSION = {"dim_value": 1, "dim_param": 2, "denotation": 3}

FLOAT, INT32, INT64, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 6, 7, 9, 10, 11, 16
STORED = {FLOAT: "<f4", INT32: "<i4", INT64: "<i8", BOOL: "?", FLOAT16: "<f2", DOUBLE: "<f8", BFLOAT16: "<u2"}
REAL_TYPES = (FLOAT, FLOAT16, DOUBLE, BFLOAT16)


def read_network(data: bytes) -> Network:
    """The network stored in the bytes of an ONNX file.

    Flat input (output): the row-major concatenation of the graph's inputs that are no initialisers (outputs), in
    graph order. An unknown first dimension of an input counts as 1. Unsupported operators are all reported at once.
    """
    view = memoryview(data)
    model = Message("model", MODEL, view)
    opset = _opset(model)
    body = model.blob("graph")
    if body is None:
        raise CheckError("not an ONNX model: it holds no graph")
    graph = Message("graph", GRAPH, body)
    nodes = [Message(f"node {position}", NODE, blob) for position, blob in enumerate(graph.blobs("node"))]
    _refuse_unsupported(nodes)

    values: dict[str, Value] = {}
    for blob in graph.blobs("initializer"):
        name, array = _tensor(blob)
        _define(values, name, array)
    builder = _declare_inputs(graph, values)
    for message in nodes:
        _translate(builder, message, values, opset)
    outputs = [_name_and_type(blob)[0] for blob in graph.blobs("output")]
    missing = [name for name in outputs if name not in values]
    if missing or not outputs:
        raise CheckError(f"graph outputs that nothing computes: {missing}" if missing else "the graph has no output")
    return builder.finish([values[name] for name in outputs])


def _opset(model: Message) -> int:
    imports = [Message("opset import", OPSET, blob) for blob in model.blobs("opset_import")]
    versions = {entry.integer("version") for entry in imports if entry.text("domain") in ("", "ai.onnx")}
    if len(versions) != 1 or not versions <= set(OPSETS):
        raise CheckError(f"opset {sorted(versions)} is not supported: exactly one of {OPSETS[0]} to {OPSETS[-1]} is")
    return versions.pop()


def _refuse_unsupported(nodes: list[Message]) -> None:
    offenders: dict[str, list[str]] = {}
    for node in nodes:
        domain, op = node.text("domain"), node.text("op_type")
        if domain not in ("", "ai.onnx") or op not in OPERATORS:
            offenders.setdefault(f"{domain}.{op}".lstrip("."), []).append(_label(node))
    if offenders:
        listed = "; ".join(f"{op} ({len(at)}x, first at {at[0]})" for op, at in sorted(offenders.items()))
        raise CheckError(f"unsupported operators: {listed}")


def _declare_inputs(graph: Message, values: dict[str, Value]) -> Builder:
    shapes = {}
    for blob in graph.blobs("input"):
        name, tensor_type = _name_and_type(blob)
        if name not in values:
            if name in shapes:
                raise CheckError(f"input {name!r} is declared twice")
            shapes[name] = _input_shape(name, tensor_type)
    if not shapes:
        raise CheckError("the graph has no input")
    builder = Builder(sum(prod(shape) for shape in shapes.values()))
    start = 0
    for name, shape in shapes.items():
        _define(values, name, builder.input_slice(start, shape))
        start += prod(shape)
    return builder


def _name_and_type(blob: memoryview) -> tuple[str, Message | None]:
    info = Message("graph input or output", VALUE_INFO, blob)
    declared = info.blob("type")
    tensor = None if declared is None else Message(f"type of {info.text('name')!r}", TYPE, declared).blob("tensor_type")
    return info.text("name"), None if tensor is None else Message("tensor type", TENSOR_TYPE, tensor)


def _input_shape(name: str, tensor_type: Message | None) -> tuple[int, ...]:
    if tensor_type is None or tensor_type.integer("elem_type") not in REAL_TYPES:
        raise CheckError(f"input {name!r} is not a tensor of floating-point numbers")
    shape = tensor_type.blob("shape")
    if shape is None:
        raise CheckError(f"input {name!r} has no declared shape")
    dims = []
    for axis, blob in enumerate(Message(f"shape of {name!r}", SHAPE, shape).blobs("dim")):
        dim = Message(f"shape of {name!r}", DIMENSION, blob)
        known = dim.integers("dim_value")
        size = known[0] if len(known) == 1 else 1 if not known and axis == 0 else 0
        if size < 1:
            raise CheckError(f"input {name!r}: the size of axis {axis} is unknown or not positive")
        dims.append(size)
    if len(dims) > HIGHEST_RANK or prod(dims) > LARGEST:
        raise CheckError(f"input {name!r} of shape {dims} is too large")
    return tuple(dims)


def _translate(builder: Builder, message: Message, values: dict[str, Value], opset: int) -> None:
    op, where, names = message.text("op_type"), _label(message), message.texts("input")
    missing = [name for name in names if name and name not in values]
    if missing:
        raise CheckError(f"{op} at {where}: input(s) {missing} are not computed before it")
    inputs = [values[name] if name else None for name in names]
    outputs = message.texts("output")
    attributes: dict[str, Attribute] = {}
    for blob in message.blobs("attribute"):
        name, attribute = _attribute(blob, where)
        if name in attributes:
            raise CheckError(f"{op} at {where}: attribute {name!r} is given twice")
        attributes[name] = attribute
    node = Node(opset, inputs, attributes, len(outputs))
    translate, fewest, most = OPERATORS[op]
    try:
        if not fewest <= len(inputs) <= most:
            raise CheckError(f"has {len(inputs)} inputs")
        results = translate(builder, node)
        if node.attributes:
            raise CheckError(f"attribute(s) {sorted(node.attributes)} are not supported in opset {opset}")
    except (CheckError, ValueError, IndexError, OverflowError) as error:
        raise CheckError(f"{op} at {where}: {error}") from error
    for name, value in zip(outputs, results):
        if name:
            _define(values, name, value)


def _define(values: dict[str, Value], name: str, value: Value) -> None:
    if not name or name in values:
        raise CheckError(f"value {name!r} is defined twice or has no name")
    values[name] = value


def _label(node: Message) -> str:
    return repr(node.text("name") or "/".join(node.texts("output")))


def _attribute(blob: memoryview, where: str) -> tuple[str, Attribute]:
    message = Message(f"attribute of {where}", ATTRIBUTE, blob)
    name, kind = message.text("name"), message.integer("type")
    tensor = message.blob("t")
    if kind == 1:
        return name, message.real("f")
    if kind == 2:
        return name, message.integer("i")
    if kind == 3:
        return name, message.text("s")
    if kind == 4 and tensor is not None:
        return name, _tensor(tensor)[1]
    if kind == 6:
        return name, message.reals("floats", 32)
    if kind == 7:
        return name, message.integers("ints")
    raise CheckError(f"attribute {name!r} of {where} is of type {kind} (subgraphs and lists of objects are refused)")


def _tensor(blob: memoryview) -> tuple[str, NDArray[np.generic]]:
    """Name and exact contents of a stored tensor; bfloat16 becomes float32, which holds every bfloat16."""
    message = Message("tensor", TENSOR, blob)
    name, kind, dims = message.text("name"), message.integer("data_type"), message.integers("dims")
    where = f"tensor {name!r}"
    if message.blobs("external_data") or message.integer("data_location"):
        raise CheckError(f"{where} is stored in another file, which is refused")
    if kind not in STORED:
        raise CheckError(f"{where} has element type {kind}, which is not supported")
    if len(dims) > HIGHEST_RANK or any(size < 0 for size in dims) or prod(dims) > LARGEST:
        raise CheckError(f"{where} has an impossible or too large shape {dims}")
    array = _contents(message, kind, where)
    if array.size != prod(dims):
        raise CheckError(f"{where} holds {array.size} values for shape {dims}")
    if kind == BFLOAT16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return name, array.reshape(dims)


def _contents(message: Message, kind: int, where: str) -> NDArray[np.generic]:
    """The values of a tensor, from its raw bytes or from the one list that belongs to its type."""
    stored = np.dtype(STORED[kind])
    lists: dict[str, NDArray[np.generic]] = {
        "float_data": message.reals("float_data", 32),
        "double_data": message.reals("double_data", 64),
        "int64_data": np.array(message.integers("int64_data"), dtype=np.int64),
        "int32_data": np.array(message.integers("int32_data"), dtype=np.int64),
    }
    used = [field for field, array in lists.items() if array.size]
    raw = message.blob("raw_data")
    if raw is not None and len(raw):
        if used or len(raw) % stored.itemsize:
            raise CheckError(f"{where} holds raw bytes of the wrong length, or its values twice")
        return np.frombuffer(raw, dtype=stored)
    home = {FLOAT: "float_data", DOUBLE: "double_data", INT64: "int64_data"}.get(kind, "int32_data")
    if used not in ([], [home]):
        raise CheckError(f"{where} holds its values in {used} instead of {home!r}")
    array = lists[home]
    if home != "int32_data":
        return array
    bits = array.astype(np.uint16 if kind in (FLOAT16, BFLOAT16) else stored)
    if not np.array_equal(bits, array):
        raise CheckError(f"{where} holds values outside its element type")
    return bits.view(np.float16) if kind == FLOAT16 else bits
