"""Each operator, over opsets and awkward attributes, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specs.graph import ops
from specs.graph.ops.base import real
from specs.loading.onnx import parse_onnx
from tests.unit.specs.loading.onnx_models import model, onnx, run, single

pytestmark = pytest.mark.peer

RNG = np.random.default_rng(7)


def w(*shape: int) -> np.ndarray:
    """A float32 weight."""
    return RNG.standard_normal(shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    """An int64 list."""
    return np.asarray(values, dtype=np.int64)


def f(value: float) -> np.ndarray:
    return np.asarray(value, dtype=np.float32)


IMAGE, WIDE, FLAT = (1, 4, 7, 8), (2, 3, 4), (1, 6)

CASES: list[tuple[str, tuple[int, ...], dict[str, Any], int, dict[str, Any]]] = [
    # Arithmetic
    ("MatMul", (2, 6), {"b": w(6, 3)}, 9, {}),
    ("MatMul", (6,), {"b": w(6, 3)}, 13, {}),
    ("MatMul", (3, 2, 6), {"b": w(6)}, 13, {}),
    ("MatMul", (3, 1, 2, 6), {"b": w(4, 6, 5)}, 13, {}),
    ("Gemm", FLAT, {"b": w(6, 3), "c": w(3)}, 9, {}),
    ("Gemm", FLAT, {"b": w(3, 6), "c": w(1, 3)}, 13, {"transB": 1, "alpha": 0.3, "beta": 1.7}),
    ("Gemm", (6, 2), {"b": w(6, 3)}, 11, {"transA": 1, "alpha": -2.0}),
    ("Gemm", (2, 6), {"b": w(6, 3), "c": f(0.5)}, 13, {}),
    ("Add", WIDE, {"b": w(3, 1)}, 7, {}),
    ("Sub", WIDE, {"b": w(5, 1, 3, 4)}, 14, {}),
    ("Mul", WIDE, {"b": f(3.0)}, 14, {}),
    ("Div", WIDE, {"b": w(4)}, 7, {}),
    ("Pow", WIDE, {"b": f(2.0)}, 13, {}),
    ("Pow", WIDE, {"b": np.asarray(3, dtype=np.int64)}, 13, {}),
    ("Neg", WIDE, {}, 6, {}),
    ("Sum", WIDE, {"b": w(4), "c": w(3, 1)}, 8, {}),
    ("Mean", WIDE, {"b": w(4), "c": w(3, 1)}, 13, {}),
    # Windows
    ("Conv", IMAGE, {"w": w(6, 4, 3, 3), "b": w(6)}, 11, {}),
    ("Conv", IMAGE, {"w": w(6, 2, 3, 2)}, 11, {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    ("Conv", IMAGE, {"w": w(8, 1, 2, 3)}, 11, {"group": 4, "dilations": [2, 3]}),
    ("Conv", IMAGE, {"w": w(3, 4, 2, 4)}, 11, {"strides": [3, 2], "auto_pad": "SAME_LOWER"}),
    ("Conv", IMAGE, {"w": w(3, 4, 2, 4)}, 1, {"strides": [3, 2], "auto_pad": "VALID"}),
    ("Conv", (2, 3, 9), {"w": w(5, 3, 4), "b": w(5)}, 11, {"pads": [2, 1]}),
    ("Conv", (1, 2, 4, 5, 6), {"w": w(3, 2, 2, 3, 2)}, 11, {"strides": [1, 2, 2]}),
    ("ConvTranspose", IMAGE, {"w": w(4, 3, 3, 2), "b": w(3)}, 11, {"strides": [2, 3], "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", IMAGE, {"w": w(4, 2, 3, 3)}, 11, {"group": 2, "strides": [2, 2], "output_padding": [1, 0]}),
    ("ConvTranspose", IMAGE, {"w": w(4, 2, 3, 3)}, 11, {"strides": [2, 2], "output_shape": [14, 15]}),
    ("ConvTranspose", IMAGE, {"w": w(4, 2, 2, 2)}, 11, {"dilations": [2, 1], "strides": [1, 3]}),
    ("MaxPool", IMAGE, {}, 8, {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    ("MaxPool", IMAGE, {}, 12, {"kernel_shape": [2, 2], "strides": [2, 3], "ceil_mode": 1}),
    ("MaxPool", IMAGE, {}, 12, {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ("Conv", IMAGE, {"w": w(3, 4, 2, 4)}, 11, {"strides": [3, 2], "auto_pad": "SAME_UPPER"}),
    ("MaxPool", IMAGE, {}, 12, {"kernel_shape": [3, 3], "dilations": [2, 2], "pads": [2, 1, 2, 1]}),
    ("MaxPool", (1, 2, 11), {}, 12, {"kernel_shape": [4], "strides": [3], "auto_pad": "SAME_LOWER"}),
    ("AveragePool", IMAGE, {}, 7, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", IMAGE, {}, 7, {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1], "count_include_pad": 1}),
    ("AveragePool", IMAGE, {}, 11, {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", IMAGE, {}, 11, {"kernel_shape": [4, 2], "strides": [3, 3], "auto_pad": "SAME_UPPER"}),
    ("AveragePool", IMAGE, {}, 19, {"kernel_shape": [2, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", IMAGE, {}, 19, {
        "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1,
    }),
    ("GlobalAveragePool", IMAGE, {}, 9, {}),
    ("GlobalMaxPool", IMAGE, {}, 9, {}),
    # Normalisation
    ("BatchNormalization", IMAGE, {"s": w(4), "b": w(4), "m": w(4), "v": w(4) ** 2}, 9, {"epsilon": 0.01}),
    ("BatchNormalization", (3, 4), {"s": w(4), "b": w(4), "m": w(4), "v": w(4) ** 2}, 15, {}),
    ("LayerNormalization", WIDE, {"s": w(4), "b": w(4)}, 17, {}),
    ("LayerNormalization", WIDE, {"s": w(3, 4)}, 17, {"axis": 1, "epsilon": 0.1}),
    ("InstanceNormalization", IMAGE, {"s": w(4), "b": w(4)}, 9, {}),
    ("GroupNormalization", IMAGE, {"s": w(4), "b": w(4)}, 21, {"num_groups": 2}),
    # Nonlinear
    *((name, WIDE, {}, 13, {}) for name in (
        "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Sin", "Cos", "Tan", "Atan", "Erf", "Sign", "Floor",
        "Ceil", "Round", "Abs", "Reciprocal", "Elu", "Selu", "HardSigmoid", "LeakyRelu", "Softmax", "LogSoftmax",
    )),
    ("LeakyRelu", WIDE, {}, 16, {"alpha": 0.3}),
    ("Elu", WIDE, {}, 6, {"alpha": 0.7}),
    ("Selu", WIDE, {}, 6, {"alpha": 0.7, "gamma": 2.0}),
    ("HardSigmoid", WIDE, {}, 6, {"alpha": 0.4, "beta": 0.3}),
    ("PRelu", WIDE, {"s": w(3, 1)}, 9, {}),
    ("Celu", WIDE, {}, 12, {"alpha": 2.0}),
    ("ThresholdedRelu", WIDE, {}, 10, {"alpha": 0.5}),
    ("HardSwish", WIDE, {}, 14, {}),
    ("Mish", WIDE, {}, 18, {}),
    ("Gelu", WIDE, {}, 20, {}),
    ("Gelu", WIDE, {}, 20, {"approximate": "tanh"}),
    ("Clip", WIDE, {}, 6, {"min": -0.5, "max": 0.25}),
    ("Clip", WIDE, {"lo": f(-0.5)}, 13, {}),
    ("Clip", WIDE, {"lo": None, "hi": f(0.5)}, 11, {}),
    ("Min", WIDE, {"b": w(4), "c": w(3, 1)}, 13, {}),
    ("Max", WIDE, {"b": w(4)}, 8, {}),
    ("Softmax", WIDE, {}, 11, {}),
    ("Softmax", WIDE, {}, 11, {"axis": 0}),
    ("Softmax", WIDE, {}, 13, {"axis": 1}),
    ("LogSoftmax", WIDE, {}, 11, {"axis": -2}),
    # Shape
    ("Reshape", WIDE, {"s": i(0, -1)}, 13, {}),
    ("Reshape", WIDE, {"s": i(4, 0, 2)}, 5, {}),
    ("Flatten", WIDE, {}, 9, {}),
    ("Flatten", WIDE, {}, 13, {"axis": -1}),
    ("Flatten", WIDE, {}, 13, {"axis": 0}),
    ("Squeeze", (1, 3, 1), {}, 11, {"axes": [-1]}),
    ("Squeeze", (1, 3, 1), {"a": i(0)}, 13, {}),
    ("Squeeze", (1, 3, 1), {}, 13, {}),
    ("Unsqueeze", WIDE, {}, 11, {"axes": [0, -1]}),
    ("Unsqueeze", WIDE, {"a": i(-1, 1)}, 13, {}),
    ("Transpose", WIDE, {}, 13, {}),
    ("Transpose", WIDE, {}, 13, {"perm": [1, 2, 0]}),
    ("Slice", IMAGE, {}, 9, {"starts": [1, -3], "ends": [100, -1], "axes": [2, 3]}),
    ("Slice", IMAGE, {"s": i(1, 0), "e": i(3, 2**62)}, 10, {}),
    ("Slice", IMAGE, {"s": i(-1, 6), "e": i(-(2**62), 0), "a": i(-1, 2), "t": i(-2, -3)}, 13, {}),
    ("Concat", WIDE, {"b": w(2, 5, 4)}, 13, {"axis": -2}),
    ("Gather", WIDE, {"i": i(2, 0, -1)}, 13, {"axis": 1}),
    ("Gather", WIDE, {"i": np.asarray(1, dtype=np.int32)}, 11, {"axis": -1}),
    ("Gather", WIDE, {"i": i(0, 1).reshape(2, 1)}, 1, {}),
    ("Expand", (3, 1), {"s": i(2, 1, 4)}, 13, {}),
    ("Tile", WIDE, {"r": i(2, 1, 3)}, 13, {}),
    ("Pad", WIDE, {}, 2, {"pads": [0, 1, 2, 1, 0, 3], "value": 0.5}),
    ("Pad", WIDE, {"p": i(0, -1, 2, 1, 0, -1), "v": f(-2.0)}, 13, {}),
    ("Pad", WIDE, {"p": i(0, 2, 1, 0, 1, 3)}, 13, {"mode": "reflect"}),
    ("Pad", WIDE, {"p": i(1, 2, 1, 0, 1, 3)}, 13, {"mode": "edge"}),
    ("Pad", WIDE, {"p": i(2, 1), "v": None, "a": i(-1)}, 18, {}),
    ("DepthToSpace", (1, 8, 2, 3), {}, 13, {"blocksize": 2}),
    ("DepthToSpace", (1, 8, 2, 3), {}, 13, {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", (1, 2, 4, 6), {}, 13, {"blocksize": 2}),
    ("Resize", IMAGE, {"r": None, "s": np.float32([1, 1, 2, 3])}, 13, {
        "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
    }),
    ("Resize", IMAGE, {"r": None, "s": np.float32([1, 1, 1.5, 0.6])}, 13, {"mode": "nearest"}),
    ("Resize", IMAGE, {"r": None, "s": None, "z": i(1, 4, 13, 5)}, 13, {
        "mode": "nearest", "coordinate_transformation_mode": "align_corners", "nearest_mode": "ceil",
    }),
    ("Upsample", IMAGE, {"s": np.float32([1, 1, 2, 2])}, 9, {"mode": "nearest"}),
    ("Identity", WIDE, {}, 13, {}),
    ("Dropout", WIDE, {}, 7, {"ratio": 0.3}),
    ("Dropout", WIDE, {"r": f(0.3)}, 13, {}),
    # Reductions
    *((name, WIDE, {}, 13, {"axes": [1]}) for name in (
        "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceLogSumExp",
    )),
    ("ReduceSum", WIDE, {}, 11, {"axes": [-1, 0], "keepdims": 0}),
    ("ReduceSum", WIDE, {"a": i(1)}, 13, {"keepdims": 0}),
    ("ReduceSum", WIDE, {}, 13, {}),
    ("ReduceSum", WIDE, {}, 13, {"noop_with_empty_axes": 1}),
    ("ReduceMean", WIDE, {"a": i(0, 2)}, 18, {"keepdims": 0}),
    ("ReduceMax", WIDE, {"a": i(-1)}, 18, {}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3]}-{','.join(case[4])}")
def test_operator_agrees_with_onnxruntime(case: tuple[Any, ...]) -> None:
    op_type, shape, weights, opset, attributes = case
    content = single(op_type, shape, weights, opset, **attributes)
    graph = parse_onnx(content)
    rng = np.random.default_rng(1)
    for scale in (0.5, 3.0):
        x = (rng.standard_normal(shape) * scale).astype(np.float32)
        (theirs,) = run(content, x)
        (ours,) = graph.evaluate(x)
        assert ours.shape == theirs.shape == graph.by_name[graph.outputs[0]].shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


def test_positive_domain_functions_agree_with_onnxruntime() -> None:
    x = np.float32([[0.25, 1.0, 7.5]])
    for op_type in ("Log", "Sqrt", "Reciprocal", "ReduceLogSum"):
        content = single(op_type, (1, 3), {}, 13)
        np.testing.assert_allclose(parse_onnx(content).evaluate(x)[0], run(content, x)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("opset", "weights", "attributes", "count"),
    [
        (2, {}, {"axis": -1, "split": [5, 1]}, 2),
        (11, {}, {"axis": 1}, 3),
        (13, {"s": i(1, 2, 3)}, {"axis": -1}, 3),
        (18, {}, {"axis": 1, "num_outputs": 4}, 4),
    ],
)
def test_split_agrees_with_onnxruntime(opset: int, weights: Any, attributes: Any, count: int) -> None:
    content = single("Split", FLAT, weights, opset, count, **attributes)
    x = w(*FLAT)
    for ours, theirs in zip(parse_onnx(content).evaluate(x), run(content, x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("op_type", ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
def test_comparison_and_selection_agree_with_onnxruntime(op_type: str) -> None:
    nodes = [
        onnx.helper.make_node(op_type, ["x", "b"], ["c"]),
        onnx.helper.make_node("Not", ["c"], ["d"]),
        onnx.helper.make_node("Where", ["d", "x", "b"], ["y"]),
        onnx.helper.make_node("Cast", ["c"], ["z"], to=1),
    ]
    content = model(nodes, {"x": (1, (4,))}, ["y", "z"], {"b": np.float32([0, 1, 2, 0])}, 16)
    x = np.float32([0, -1, 3, 0.5])
    for ours, theirs in zip(parse_onnx(content).evaluate(x), run(content, x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_computed_operands_agree_with_onnxruntime() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("Transpose", ["x"], ["t"], perm=[1, 0]),
        make("MatMul", ["x", "t"], ["m"]),
        make("Tanh", ["m"], ["q"]),
        make("Softmax", ["q"], ["s"], axis=0),
        make("Div", ["m", "s"], ["y"]),
    ]
    content = model(nodes, {"x": (1, (2, 3))}, ["y"], {}, 13)
    x = w(2, 3)
    np.testing.assert_allclose(parse_onnx(content).evaluate(x)[0], run(content, x)[0], rtol=1e-4)


def test_shape_arithmetic_leaves_no_trace() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "zero"], ["batch"], axis=0),
        make("Unsqueeze", ["batch"], ["row"], axes=[0]),
        make("Concat", ["row", "rest"], ["target"], axis=0),
        make("Reshape", ["x", "target"], ["flat"]),
        make("ConstantOfShape", ["target2"], ["twos"], value=onnx.numpy_helper.from_array(np.float32([2]))),
        make("Add", ["flat", "twos"], ["y"]),
    ]
    weights = {"zero": np.asarray(0, dtype=np.int64), "rest": i(-1), "target2": i(1, 12)}
    content = model(nodes, {"x": (1, ("N", 3, 4))}, ["y"], weights, 11)
    graph = parse_onnx(content)
    assert [type(node.op).__name__ for node in graph.nodes] == ["Input", "Reshape", "Constant", "Add"]
    x = w(1, 3, 4)
    np.testing.assert_allclose(graph.evaluate(x)[0], run(content, x)[0], rtol=1e-6)


def test_legacy_broadcast_lines_up_from_an_axis() -> None:
    b = w(3)
    content = single("Add", WIDE, {"b": b}, 6, broadcast=1, axis=1)
    x = w(*WIDE)
    np.testing.assert_allclose(parse_onnx(content).evaluate(x)[0], real(x) + real(b).reshape(3, 1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_keep_their_stored_type_and_value(dtype: type) -> None:
    weight = np.asarray([[0.1, -65504.0], [5.9e-8, 3.0]], dtype=dtype)
    node = onnx.helper.make_node("Gemm", ["x", "b"], ["y"], transB=1)
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = parse_onnx(model([node], {"x": (element, (1, 2))}, ["y"], {"b": weight}, 13))
    (constant,) = [node.op.value for node in graph.nodes if isinstance(node.op, ops.Constant)]
    assert constant.dtype == dtype
    np.testing.assert_array_equal(constant, weight.T)


def test_typed_tensor_fields_hold_what_raw_data_holds() -> None:
    make, types = onnx.helper.make_tensor, onnx.TensorProto
    tensors = [
        make("a", types.FLOAT, [2], [0.5, -2.0]),
        make("b", types.DOUBLE, [2], [0.1, 1e300]),
        make("c", types.FLOAT16, [2], [0.5, -3.0]),
        make("d", types.BFLOAT16, [2], [0.5, -3.0]),
        make("e", types.INT64, [3], [-1, 2**62, 300]),
        make("f", types.INT32, [2], [-7, 70000]),
        make("g", types.BOOL, [2], [True, False]),
        make("h", types.UINT64, [1], [2**64 - 1]),
        make("k", types.INT8, [2], [-128, 127]),
    ]
    from specs.loading.onnx_tensor import parse_tensor

    for tensor in tensors:
        ours = parse_tensor(memoryview(tensor.SerializeToString()), None)
        theirs = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(ours, theirs.astype(ours.dtype), err_msg=tensor.name)
