"""ONNX models made for the tests, and what onnxruntime says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from verifier.checker.linear import push
from verifier.checker.network import Affine, Input, Network, Relu, Sign

Floats = NDArray[np.float64]


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, NDArray[np.generic]],
    opset: int = 13,
    outputs: Sequence[str] = ("y",),
    raw: bool = True,
) -> bytes:
    """A float32 model; ``raw`` chooses between the two ways of storing tensors."""
    stored = []
    for name, array in constants.items():
        if raw:
            stored.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            stored.append(helper.make_tensor(name, kind, array.shape, array.reshape(-1).tolist()))
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        stored,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made.SerializeToString()


def run(data: bytes, inputs: Mapping[str, NDArray[np.float32]]) -> Floats:
    """The flat output of onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in session.run(None, dict(inputs))])


def forward(network: Network, x: Floats) -> Floats:
    """The network's flat output at a flat input, in plain float64."""
    values: list[Floats] = []
    for node in network.nodes:
        match node:
            case Input():
                values.append(np.asarray(x, dtype=np.float64))
            case Relu(parent):
                values.append(np.maximum(values[parent], 0.0))
            case Sign(parent):
                values.append(np.sign(values[parent]))
            case Affine():
                values.append(node.bias + sum(push(m, values[parent]) for parent, m in node.terms))
    assert tuple(len(value) for value in values) == network.sizes
    return values[-1]
