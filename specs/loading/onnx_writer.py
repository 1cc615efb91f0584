"""Graphs to ONNX files: the form in which a model from another format enters a certificate."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from specs.errors import UnsupportedOpError
from specs.graph import Graph, Node, Op, ops
from specs.loading.onnx_document import ELEMENTS, OnnxDocument, declaration
from specs.loading.onnx_tensor import BOOL, INT64

OPSET = 20
"""The first with every operator written here; onnxruntime reads it from 1.17 on."""
IR_VERSION = 9


def write_onnx(graph: Graph) -> bytes:
    """An ONNX model that denotes exactly the function of ``graph``; equal graphs give equal bytes.

    Real numbers are float32 if that holds every constant and attribute exactly, and double otherwise (a runtime may
    lack some operators in double; the file is valid all the same). ``load_onnx`` reads it back to the same values.
    Raises ``UnsupportedOpError`` with every operator that ONNX cannot say exactly.
    """
    wide = any(_needs_double(node.op) for node in graph.nodes)
    document = OnnxDocument(np.dtype(np.float64 if wide else np.float32), (node.name for node in graph.nodes))
    unsupported = [(repr(node.op), node.name) for node in graph.nodes if not _write(document, node)]
    if unsupported:
        raise UnsupportedOpError(unsupported, hint="ONNX has no exact form for them")
    outputs: list[str] = []
    for name in graph.outputs:
        # A graph output has to be computed by a node, and only once.
        if isinstance(graph.by_name[name].op, ops.Input | ops.Constant) or name in outputs:
            outputs.append(document.emit("Identity", (name,), document.fresh(name)))
        else:
            outputs.append(name)
    real = ELEMENTS[document.real]
    return document.finish(
        [declaration(name, real, graph.by_name[name].shape) for name in graph.inputs],
        [
            declaration(name, _element(graph, source, real), graph.by_name[source].shape)
            for name, source in zip(outputs, graph.outputs)
        ],
        OPSET,
        IR_VERSION,
    )


def _needs_double(op: Op) -> bool:
    if isinstance(op, ops.Constant):
        return op.value.dtype == np.float64
    # Integers among the attributes are sizes and axes; only real ones take the model's type.
    return any(isinstance(value, float) and not _is_single(value) for value in vars(op).values())


def _is_single(value: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def _element(graph: Graph, name: str, real: int) -> int:
    """Element type of a value: truth values from comparisons, integers from casts and constants, else real."""
    while True:
        node = graph.by_name[name]
        if isinstance(node.op, ops.Constant):
            dtype = node.op.value.dtype
            return real if dtype.kind == "f" else ELEMENTS[dtype.newbyteorder("=")]
        if isinstance(node.op, ops.Cast):
            return {"float": real, "int": INT64, "bool": BOOL}[node.op.to]
        if isinstance(node.op, ops.Equal | ops.Less | ops.LessOrEqual | ops.And | ops.Or | ops.Not):
            return BOOL
        if isinstance(node.op, ops.Input):
            return real
        name = node.inputs[1 if isinstance(node.op, ops.Where) else 0]


_NAMESAKES = (
    ops.MatMul, ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Neg, ops.Conv, ops.ConvTranspose, ops.AveragePool,
    ops.MaxPool, ops.BatchNormalization, ops.Relu, ops.LeakyRelu, ops.PRelu, ops.Elu, ops.Selu, ops.Sigmoid,
    ops.HardSigmoid, ops.Tanh, ops.Softplus, ops.Softsign, ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal, ops.Sin,
    ops.Cos, ops.Tan, ops.Atan, ops.Erf, ops.Gelu, ops.Sign, ops.Floor, ops.Ceil, ops.Round, ops.Abs, ops.Min, ops.Max,
    ops.Softmax, ops.LogSoftmax, ops.Transpose, ops.Concat, ops.Gather, ops.Equal, ops.Less, ops.LessOrEqual, ops.And,
    ops.Or, ops.Not, ops.Where,
)  # fmt: skip
"""Operators that ONNX has under our name, with our attributes under our names."""


def _write(document: OnnxDocument, node: Node) -> bool:
    """Writes the node, or the few nodes that say the same; False if there is no exact form."""
    op, x, out = node.op, node.inputs[0] if node.inputs else "", node.name
    match op:
        case ops.Input():
            pass
        case ops.Constant():
            document.initialise(out, op.value)
        case ops.LeakyRelu() if not _is_single(op.alpha):
            document.emit("PRelu", (x, document.number(out, op.alpha)), out)
        case ops.HardSigmoid() if not (_is_single(op.alpha) and _is_single(op.beta)):
            scaled = document.emit("Mul", (x, document.number(out, op.alpha)), document.fresh(out))
            shifted = document.emit("Add", (scaled, document.number(out, op.beta)), document.fresh(out))
            document.emit("Clip", (shifted, document.number(out, 0.0), document.number(out, 1.0)), out)
        case ops.BatchNormalization() if not _is_single(op.epsilon):
            return False
        case ops.Clip():
            bounds = [document.number(out, bound) if isfinite(bound) else "" for bound in (op.min, op.max)]
            document.emit("Clip", (x, *bounds), out)
        case ops.Reshape():
            document.emit("Reshape", (x, document.ints(out, op.shape)), out, allowzero=int(0 in op.shape))
        case ops.Expand():
            document.emit("Expand", (x, document.ints(out, op.shape)), out)
        case ops.Slice():
            parts = (op.starts, op.ends, op.axes, op.steps)
            document.emit("Slice", (x, *(document.ints(out, part) for part in parts)), out)
        case ops.Pad():
            document.emit("Pad", (x, document.ints(out, op.pads), document.number(out, op.value)), out)
        case ops.ReduceSum() | ops.ReduceMean() | ops.ReduceMax() | ops.ReduceMin() | ops.ReduceProd() if op.axes:
            axes = document.ints(out, op.axes)
            document.emit(type(op).__name__, (x, axes), out, keepdims=int(op.keepdims))
        case ops.ReduceSum() | ops.ReduceMean() | ops.ReduceMax() | ops.ReduceMin() | ops.ReduceProd():
            document.emit("Identity", (x,), out)
        case ops.Cast():
            element = {"float": ELEMENTS[document.real], "int": INT64, "bool": BOOL}[op.to]
            document.emit("Cast", (x,), out, to=element)
        case _ if isinstance(op, _NAMESAKES):
            attributes: dict[str, Any] = dict(vars(op))
            if any(isinstance(value, float) and not _is_single(value) for value in attributes.values()):
                return False
            document.emit(type(op).__name__, node.inputs, out, **attributes)
        case _:
            return False
    return True
