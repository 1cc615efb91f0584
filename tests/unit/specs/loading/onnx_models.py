"""Small ONNX models made for one test, and their values in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specs.graph.graph import Array

onnx = pytest.importorskip("onnx")


def model(nodes: list[Any], inputs: dict[str, Any], outputs: list[str], weights: dict[str, Any], opset: int) -> bytes:
    """A serialised model; ``inputs`` map names to (element type, shape)."""
    make = onnx.helper
    graph = make.make_graph(
        nodes,
        "test",
        [make.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [make.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    for value in graph.output:
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    made = make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=min(10, 3 + opset // 2))
    return bytes(made.SerializeToString())


def single(
    op_type: str, shape: tuple[Any, ...], weights: dict[str, Any], opset: int, outputs: int = 1, **attributes: Any
) -> bytes:
    """A model of one operator on input ``x`` and then the weights in order; a weight None is left out."""
    names = [name if value is not None else "" for name, value in weights.items()]
    results = [f"y{i}" for i in range(outputs)]
    node = onnx.helper.make_node(op_type, ["x", *names], results, **attributes)
    given = {name: value for name, value in weights.items() if value is not None}
    return model([node], {"x": (onnx.TensorProto.FLOAT, shape)}, results, given, opset)


def run(content: bytes, *points: Array) -> list[Array]:
    """Outputs of onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    result = session.run(None, {value.name: point for value, point in zip(session.get_inputs(), points, strict=True)})
    return list(result)
