"""What the reader does not understand it refuses: one ``CheckError``, never another exception, never a guess."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node as n

from tests.checker.models import model
from verifier.checker.errors import CheckError
from verifier.checker.onnx import read_network

W = np.ones((3, 4), dtype=np.float32)
GOOD = model([n("MatMul", ["x", "w"], ["z"]), n("Relu", ["z"], ["y"])], {"x": (1, 3)}, {"w": W})


def changed(**fields: object) -> bytes:
    """A good model with fields of its only weight tensor replaced."""
    proto = onnx.load_model_from_string(GOOD)
    tensor = proto.graph.initializer[0]
    for name, value in fields.items():
        tensor.ClearField(name)
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return proto.SerializeToString()


def one(node: onnx.NodeProto, opset: int = 13, shape: tuple[int, ...] = (2, 3), **constants: np.ndarray) -> bytes:
    return model([node], {"x": shape}, constants, opset)


def external() -> bytes:
    proto = onnx.load_model_from_string(GOOD)
    entry = proto.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return proto.SerializeToString()


def with_function() -> bytes:
    """A local function that gives Relu another meaning."""
    proto = onnx.load_model_from_string(GOOD)
    proto.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [n("Neg", ["a"], ["b"])], [helper.make_opsetid("", 13)])
    )
    return proto.SerializeToString()


def subgraph() -> bytes:
    body = helper.make_graph([], "g", [], [])
    return one(n("Relu", ["x"], ["y"], body=body))


def other_domain() -> bytes:
    proto = onnx.load_model_from_string(GOOD)
    proto.graph.node[1].domain = "com.microsoft"
    return proto.SerializeToString()


def integers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


F32 = np.float32
KERNEL = {"w": np.ones((2, 2, 3, 3), dtype=F32)}
NORMAL = {name: np.ones(2, dtype=F32) for name in "gbmv"}
PIXELS, VAST = (1, 2, 5, 5), 2**62
# operator, what is wrong, shape of the input, constants, attributes, part of the message
IMAGES = [
    ("Conv", "of a matrix", (2, 3), KERNEL, {}, "does not fit the input"),
    ("Conv", "of other channels", (1, 3, 5, 5), KERNEL, {}, "3 channels do not fit"),
    ("Conv", "in groups that do not divide", (1, 6, 5, 5), KERNEL, {"group": 3}, "6 channels do not fit"),
    ("Conv", "in no group", PIXELS, KERNEL, {"group": 0}, "in 0 group"),
    ("Conv", "in -1 groups", PIXELS, KERNEL, {"group": -1}, "in -1 group"),
    ("Conv", "larger than the image", (1, 2, 2, 5), KERNEL, {}, "spans 3 does not fit an axis of 2"),
    ("Conv", "with another kernel_shape", PIXELS, KERNEL, {"kernel_shape": [3, 2]}, "not that of the weight"),
    ("Conv", "with a vast stride", PIXELS, KERNEL, {"strides": [1, VAST]}, "too large"),
    ("Conv", "with a vast dilation", PIXELS, KERNEL, {"dilations": [VAST, 1]}, "too large"),
    ("Conv", "with vast padding", PIXELS, KERNEL, {"pads": [VAST, 0, 0, 0]}, "too large"),
    ("Conv", "with padding for a vast result", PIXELS, KERNEL, {"pads": [10**7, 10**7, 0, 0]}, "too large"),
    ("Conv", "with negative padding", PIXELS, KERNEL, {"pads": [-1, 0, 0, 0]}, "not negative"),
    ("Conv", "with a stride of 0", PIXELS, KERNEL, {"strides": [0, 1]}, "positive"),
    ("Conv", "with one stride for two axes", PIXELS, KERNEL, {"strides": [1]}, "do not fit 2 axes"),
    ("Conv", "with text for strides", PIXELS, KERNEL, {"strides": "one"}, "not a list of integers"),
    ("Conv", "with real strides", PIXELS, KERNEL, {"strides": [1.0, 1.0]}, "not a list of integers"),
    ("Conv", "with padding twice", PIXELS, KERNEL, {"auto_pad": "VALID", "pads": [1, 1, 1, 1]}, "auto_pad"),
    ("Conv", "with an unknown auto_pad", PIXELS, KERNEL, {"auto_pad": "SOME"}, "SOME"),
    ("Conv", "with auto_pad and dilations", PIXELS, KERNEL, {"auto_pad": "SAME_UPPER", "dilations": [2, 2]}, "dilated"),
    ("Conv", "with ceil_mode", PIXELS, KERNEL, {"ceil_mode": 1}, "ceil_mode"),
    ("Conv", "with a bias of another size", PIXELS, {**KERNEL, "b": np.ones(3, dtype=F32)}, {}, "bias"),
    ("Conv", "with a NaN", PIXELS, {"w": np.full((2, 2, 3, 3), np.nan, dtype=F32)}, {}, "not finite"),
    ("Conv", "without a channel", PIXELS, {"w": np.ones((0, 2, 3, 3), dtype=F32)}, {}, "does not fit"),
    ("ConvTranspose", "with padding beyond the result", PIXELS, KERNEL, {"pads": [9, 0, 9, 0]}, "sizes"),
    ("ConvTranspose", "to a vast result", PIXELS, KERNEL, {"strides": [10**7, 10**7]}, "too large"),
    ("ConvTranspose", "with vast output_padding", PIXELS, KERNEL, {"output_padding": [VAST, 0]}, "too large"),
    ("ConvTranspose", "with negative output_padding", PIXELS, KERNEL, {"output_padding": [-1, 0]}, "output_padding"),
    ("ConvTranspose", "with output_shape", PIXELS, KERNEL, {"output_shape": [7, 7]}, "explicit pads"),
    ("MaxPool", "without kernel_shape", PIXELS, {}, {}, "kernel_shape is missing"),
    ("MaxPool", "of a vast window", PIXELS, {}, {"kernel_shape": [VAST, VAST]}, "too large"),
    ("MaxPool", "of a negative window", PIXELS, {}, {"kernel_shape": [-1, 1]}, "positive"),
    ("MaxPool", "of nothing but padding", PIXELS, {}, {"kernel_shape": [1, 1], "pads": [1, 0, 0, 0]}, "no element"),
    ("MaxPool", "of a matrix", (2, 3), {}, {"kernel_shape": [1]}, "batch, channels"),
    ("AveragePool", "of nothing but padding", PIXELS, {}, {"kernel_shape": [1, 1], "pads": [1, 0, 0, 0]}, "no element"),
    ("AveragePool", "of a vast window", PIXELS, {}, {"kernel_shape": [VAST, 1]}, "too large"),
    ("GlobalAveragePool", "of a matrix", (2, 3), {}, {}, "batch, channels"),
    ("BatchNormalization", "of other channels", (1, 3, 2), NORMAL, {}, "for each channel"),
    ("BatchNormalization", "in training", PIXELS, NORMAL, {"training_mode": 1}, "training"),
    ("BatchNormalization", "of a negative variance", PIXELS, {**NORMAL, "v": -NORMAL["v"]}, {}, "not positive"),
    (
        "BatchNormalization",
        "of no variance",
        PIXELS,
        {**NORMAL, "v": 0 * NORMAL["v"]},
        {"epsilon": 0.0},
        "not positive",
    ),
    ("BatchNormalization", "with a NaN", PIXELS, {**NORMAL, "g": np.nan * NORMAL["g"]}, {}, "not finite"),
    ("BatchNormalization", "with epsilon NaN", PIXELS, NORMAL, {"epsilon": float("nan")}, "not positive"),
    ("LeakyRelu", "with slope NaN", (2, 3), {}, {"alpha": float("nan")}, "not finite"),
    ("PRelu", "with too many slopes", (2, 3), {"a": np.ones((4, 2, 3), dtype=F32)}, {}, "does not broadcast"),
    ("Clip", "with bounds in the wrong order", (2, 3), {"l": F32(1)[...], "h": F32(0)[...]}, {}, "not in order"),
    ("Clip", "with bounds for each element", (2, 3), {"l": np.zeros(3, dtype=F32)}, {}, "not one constant"),
    ("Clip", "with a NaN", (2, 3), {"l": F32(np.nan)[...]}, {}, "not finite"),
    ("Max", "of a vast shape", (1, 10**4), {"a": np.ones((10**4, 1), dtype=F32)}, {}, "too large"),
]
REFUSED = {
    "nothing": (b"", "opset"),
    "text": (b"(declare-const X_0 Real)", "not supported|ends"),
    "truncated": (GOOD[:-20], "ends inside"),
    "number of 65 bits": (b"\x08" + b"\xff" * 9 + b"\x03", "64 bits"),
    "number without end": (b"\x08" + b"\xff" * 30, "64 bits"),
    "group": (b"\x0b\x0c", "wire type 3"),
    "a second model glued on": (GOOD + GOOD, "occurs 2 times"),
    "nan weight": (one(n("Add", ["x", "w"], ["y"]), w=np.array([1, np.nan, 2], dtype=F32)), "not finite"),
    "infinite weight": (one(n("Mul", ["x", "w"], ["y"]), w=np.array([np.inf], dtype=F32)), "not finite"),
    "huge weight": (one(n("Identity", ["w"], ["y"]), w=np.array([1e101])), "1e100"),
    "integer weight": (one(n("Add", ["x", "w"], ["y"]), w=integers(1)), "not floating-point"),
    "too few raw bytes": (changed(raw_data=b"\0" * 44), "values for shape"),
    "odd raw bytes": (changed(raw_data=b"\0" * 47), "wrong length"),
    "values twice": (changed(float_data=[1.0] * 12), "twice"),
    "values in the wrong list": (changed(raw_data=b"", double_data=[1.0] * 12), "instead of"),
    "negative dimension": (changed(dims=[-3, -4]), "impossible"),
    "huge dimension": (changed(dims=[2**40, 2**40]), "too large"),
    "unknown element type": (changed(data_type=TensorProto.FLOAT8E5M2), "element type"),
    "external data": (external(), "another file"),
    "local function": (with_function(), "field number 25"),
    "subgraph": (subgraph(), "subgraphs"),
    "other domain": (other_domain(), "com.microsoft.Relu"),
    "opset 6": (model([n("Relu", ["x"], ["y"])], {"x": (3,)}, {}, 6), "opset"),
    "opset 22": (model([n("Relu", ["x"], ["y"])], {"x": (3,)}, {}, 22), "opset"),
    "unknown operators": (
        model([n("Sin", ["x"], ["a"]), n("Tan", ["a"], ["b"]), n("Sin", ["b"], ["y"])], {"x": (3,)}, {}),
        r"Sin \(2x, first at 'a'\); Tan \(1x, first at 'b'\)",
    ),
    "unknown attribute": (one(n("Relu", ["x"], ["y"], slope=1.0)), "slope"),
    "attribute of another opset": (one(n("Squeeze", ["x"], ["y"], axes=[0]), shape=(1, 3)), "axes"),
    "input of another opset": (one(n("Squeeze", ["x", "a"], ["y"]), 11, (1, 3), a=integers(0)), "not allowed"),
    "too many inputs": (one(n("Relu", ["x", "x"], ["y"])), "2 inputs"),
    "unknown value": (one(n("Add", ["x", "nowhere"], ["y"])), "nowhere"),
    "output of nothing": (model([], {"x": (3,)}, {}), "nothing computes"),
    "value defined twice": (model([n("Relu", ["x"], ["y"]), n("Neg", ["x"], ["y"])], {"x": (3,)}, {}), "twice"),
    "input overwritten": (model([n("Relu", ["x"], ["x"])], {"x": (3,)}, {}, outputs=("x",)), "twice"),
    "unknown inner dimension": (model([n("Relu", ["x"], ["y"])], {"x": (1, "n")}, {}), "axis 1"),
    "product of computed values": (one(n("Mul", ["x", "x"], ["y"])), "not linear"),
    "product of computed matrices": (one(n("MatMul", ["x", "x"], ["y"]), shape=(3, 3)), "not linear"),
    "division by computed value": (one(n("Div", ["w", "x"], ["y"]), w=np.ones(3, dtype=F32)), "not linear"),
    "division by zero": (one(n("Div", ["x", "w"], ["y"]), w=np.array([1, 0, 1], dtype=F32)), "zero"),
    "shapes that do not broadcast": (one(n("Add", ["x", "w"], ["y"]), w=np.ones(2, dtype=F32)), "Add at"),
    "matrices that do not fit": (one(n("MatMul", ["x", "w"], ["y"]), w=np.ones((2, 2), dtype=F32)), "MatMul at"),
    "gemm c too large": (one(n("Gemm", ["x", "w", "c"], ["y"]), w=W, c=np.ones((1, 2, 4), dtype=F32)), "broadcast"),
    "reshape to the wrong size": (one(n("Reshape", ["x", "s"], ["y"]), s=integers(4, 2)), "Reshape at"),
    "reshape to -2": (one(n("Reshape", ["x", "s"], ["y"]), s=integers(-2, 3)), "fit"),
    "reshape by a computed shape": (one(n("Reshape", ["x", "x"], ["y"])), "constant integers"),
    "gather out of range": (one(n("Gather", ["x", "i"], ["y"], axis=1), i=integers(3)), "Gather at"),
    "axis out of range": (one(n("Concat", ["x", "x"], ["y"], axis=2)), "axes"),
    "axis twice": (one(n("ReduceSum", ["x", "a"], ["y"]), a=integers(1, -1)), "axes"),
    "slice with step 0": (
        one(n("Slice", ["x", "s", "e", "a", "t"], ["y"]), s=integers(0), e=integers(1), a=integers(0), t=integers(0)),
        "step",
    ),
    "slice backwards from before the start": (
        one(
            n("Slice", ["x", "s", "e", "a", "t"], ["y"]), s=integers(-9), e=integers(-99), a=integers(0), t=integers(-1)
        ),
        "start",
    ),
    "split of the wrong sum": (one(n("Split", ["x", "s"], ["y", "z"], axis=1), s=integers(1, 1)), "split"),
    "pad with a number": (
        one(n("Pad", ["x", "p", "v"], ["y"]), p=integers(0, 1, 0, 1), v=np.array(1, dtype=F32)),
        "constant 0",
    ),
    "pad by reflection": (one(n("Pad", ["x", "p"], ["y"], mode="reflect"), p=integers(0, 1, 0, 1)), "constant 0"),
    "dropout in training": (
        one(n("Dropout", ["x", "r", "t"], ["y"]), r=np.array(0.5, dtype=F32), t=np.array(True)),
        "training",
    ),
    "cast that rounds": (one(n("Cast", ["w"], ["y"], to=1), w=np.array([0.1])), "may change"),
    "cast of a computed value": (one(n("Cast", ["x"], ["y"], to=10)), "double"),
    "enormous expansion": (one(n("Expand", ["x", "s"], ["y"]), s=integers(10**9, 2, 3)), "too large"),
    **{
        f"{op} {what}": (
            one(n(op, ["x", *operands], ["y"], **attributes), 13, shape, **{k: operands[k] for k in operands}),
            f"{op} at.*{message}",
        )
        for op, what, shape, operands, attributes, message in IMAGES
    },
    "too many layers": (
        model(
            [n("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}" if i < 1000 else "y"]) for i in range(1001)],
            {"x": (1,)},
            {},
        ),
        "layers",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusal(what: str) -> None:
    data, message = REFUSED[what]
    with pytest.raises(CheckError, match=message):
        read_network(data)


def test_the_unharmed_model_is_read() -> None:
    assert read_network(GOOD).sizes == (3, 4, 4)


def test_damaged_files_raise_nothing_but_check_errors() -> None:
    generator = np.random.default_rng(13)
    refused = 0
    for _ in range(3000):
        data = bytearray(GOOD)
        for _ in range(generator.integers(1, 4)):
            data[generator.integers(len(data))] = generator.integers(256)
        try:
            read_network(bytes(data[: generator.integers(1, len(data) + 1)] if generator.random() < 0.2 else data))
        except CheckError:
            refused += 1
    assert 1000 < refused < 3000
