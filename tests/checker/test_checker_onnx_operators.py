"""Every operator rule against onnxruntime, on models whose numbers are small integers: both sides are then exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto
from onnx.helper import make_node as n
from onnx.helper import make_tensor

from tests.checker.models import model, run
from verifier.checker.exact import evaluate
from verifier.checker.network import Affine, Dense, Sparse
from verifier.checker.onnx import read_network
from verifier.checker.onnx_operators import OPERATORS

pytestmark = pytest.mark.peer


def weights(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def integers(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True)
class Sample:
    name: str
    nodes: list[NodeProto]
    shape: tuple[int, ...]
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    opset: int = 13
    outputs: tuple[str, ...] = ("y",)


W34, W43, W3 = weights(3, 4), weights(4, 3, seed=1), weights(3, seed=2)
SIGNED = np.array([1, -2, 4], dtype=np.float32)
SAMPLES = [
    Sample("matmul right", [n("MatMul", ["x", "w"], ["y"])], (2, 3), {"w": W34}),
    Sample("matmul one row", [n("MatMul", ["x", "w"], ["y"])], (1, 3), {"w": W34}),
    Sample("matmul left", [n("MatMul", ["w", "x"], ["y"])], (4, 2), {"w": W34}),
    Sample("matmul left vector", [n("MatMul", ["w", "x"], ["y"])], (4,), {"w": W34}),
    Sample("matmul right vector", [n("MatMul", ["x", "w"], ["y"])], (2, 3), {"w": W3}),
    Sample("matmul dot", [n("MatMul", ["x", "w"], ["y"])], (3,), {"w": W3}),
    Sample("matmul batch", [n("MatMul", ["x", "w"], ["y"])], (2, 2, 3), {"w": W34}),
    Sample("matmul batched weight", [n("MatMul", ["x", "w"], ["y"])], (1, 2, 3), {"w": weights(5, 3, 2)}),
    Sample("matmul batched left weight", [n("MatMul", ["w", "x"], ["y"])], (2, 1, 3, 2), {"w": weights(4, 2, 3)}),
    Sample(
        "matmul of a transposed view",
        [n("Transpose", ["x"], ["t"]), n("MatMul", ["t", "w"], ["y"])],
        (3, 2),
        {"w": W34},
    ),
    Sample(
        "matmul and bias",
        [n("MatMul", ["x", "w"], ["z"]), n("Add", ["b", "z"], ["y"])],
        (2, 3),
        {"w": W34, "b": weights(4)},
    ),
    Sample(
        "product read before and after its bias",
        [n("MatMul", ["x", "w"], ["z"]), n("Add", ["z", "b"], ["a"]), n("Add", ["a", "z"], ["y"])],
        (1, 3),
        {"w": W34, "b": weights(4)},
    ),
    Sample(
        "bias of a reordered product",
        [n("MatMul", ["x", "w"], ["z"]), n("Gather", ["z", "i"], ["g"], axis=1), n("Add", ["g", "b"], ["y"])],
        (1, 3),
        {"w": W34, "b": weights(4), "i": integers(3, 1, 2, 0)},
    ),
    Sample(
        "two biases",
        [n("MatMul", ["x", "w"], ["z"]), n("Add", ["z", "b"], ["a"]), n("Add", ["a", "b"], ["y"])],
        (1, 3),
        {"w": W34, "b": weights(4)},
    ),
    Sample("gemm", [n("Gemm", ["x", "w", "b"], ["y"])], (2, 3), {"w": W34, "b": weights(4)}),
    Sample("gemm without bias", [n("Gemm", ["x", "w"], ["y"])], (2, 3), {"w": W34}),
    Sample("gemm transB", [n("Gemm", ["x", "w", "b"], ["y"], transB=1)], (2, 3), {"w": W43, "b": weights(4)}),
    Sample("gemm transA", [n("Gemm", ["x", "w", "b"], ["y"], transA=1)], (3, 2), {"w": W34, "b": weights(2, 1)}),
    Sample(
        "gemm alpha beta",
        [n("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=-2.0)],
        (2, 3),
        {"w": W34, "b": weights(1, 4)},
    ),
    Sample(
        "gemm constant first", [n("Gemm", ["w", "x", "b"], ["y"], transB=1)], (2, 3), {"w": W43, "b": weights(4, 1)}
    ),
    Sample("gemm computed c", [n("Gemm", ["x", "w", "x"], ["y"], beta=2.0)], (2, 3), {"w": weights(3, 3)}),
    Sample("gemm opset 7", [n("Gemm", ["x", "w", "b"], ["y"])], (2, 3), {"w": W34, "b": weights(4)}, 7),
    Sample("add broadcasts the computed value", [n("Add", ["x", "b"], ["y"])], (3, 1), {"b": weights(2, 1, 4)}),
    Sample("add of computed values", [n("Relu", ["x"], ["r"]), n("Add", ["x", "r"], ["y"])], (2, 3)),
    Sample("add broadcasts computed values", [n("Transpose", ["x"], ["t"]), n("Add", ["x", "t"], ["y"])], (3, 1)),
    Sample("add of a value and itself", [n("Add", ["x", "x"], ["y"])], (3,)),
    Sample("sub constant", [n("Sub", ["x", "b"], ["y"])], (2, 3), {"b": W3}),
    Sample("constant minus value", [n("Sub", ["b", "x"], ["y"])], (2, 3), {"b": W3}),
    Sample("sub of computed values", [n("Relu", ["x"], ["r"]), n("Sub", ["x", "r"], ["y"])], (2, 3)),
    Sample("value minus itself", [n("Sub", ["x", "x"], ["y"])], (3,)),
    Sample("mul", [n("Mul", ["x", "b"], ["y"])], (2, 3), {"b": W3}),
    Sample("mul broadcasts the value", [n("Mul", ["b", "x"], ["y"])], (3, 1), {"b": weights(2, 1, 4)}),
    Sample("div", [n("Div", ["x", "b"], ["y"])], (2, 3), {"b": SIGNED}),
    Sample(
        "constant arithmetic",
        [n("Mul", ["b", "c"], ["d"]), n("Sub", ["d", "c"], ["e"]), n("Neg", ["e"], ["f"]), n("Add", ["x", "f"], ["y"])],
        (2, 3),
        {"b": W3, "c": SIGNED},
    ),
    Sample("neg", [n("Neg", ["x"], ["y"])], (2, 3)),
    Sample("relu", [n("Relu", ["x"], ["y"])], (2, 3)),
    Sample("sign", [n("Sign", ["x"], ["y"])], (2, 3)),
    Sample(
        "sign that is never 0",
        [n("Sign", ["x"], ["s"]), n("Add", ["s", "t"], ["z"]), n("Sign", ["z"], ["y"])],
        (2, 3),
        {"t": np.array(0.1, dtype=np.float32)},
    ),
    Sample(
        "relu of a slice",
        [n("Slice", ["x", "s", "e", "a"], ["t"]), n("Relu", ["t"], ["y"])],
        (2, 5),
        {"s": integers(1), "e": integers(4), "a": integers(1)},
    ),
    Sample("identity network", [n("Identity", ["x"], ["y"])], (2, 3)),
    Sample("dropout 13", [n("Dropout", ["x", "r"], ["y"])], (2, 3), {"r": np.array(0.5, dtype=np.float32)}),
    Sample("dropout 7", [n("Dropout", ["x"], ["y"], ratio=0.3)], (2, 3), {}, 7),
    Sample("flatten", [n("Flatten", ["x"], ["z"]), n("Gemm", ["z", "w"], ["y"])], (1, 2, 3), {"w": weights(6, 2)}),
    Sample(
        "flatten axis", [n("Flatten", ["x"], ["z"], axis=-1), n("MatMul", ["z", "w"], ["y"])], (2, 2, 3), {"w": W34}
    ),
    Sample("flatten axis 0", [n("Flatten", ["x"], ["z"], axis=0), n("MatMul", ["z", "w"], ["y"])], (1, 3), {"w": W34}),
    Sample(
        "reshape",
        [n("Reshape", ["x", "s"], ["z"]), n("MatMul", ["z", "w"], ["y"])],
        (2, 6),
        {"s": integers(0, -1, 3), "w": W34},
    ),
    Sample(
        "squeeze 13",
        [n("Squeeze", ["x", "a"], ["z"]), n("MatMul", ["z", "w"], ["y"])],
        (2, 1, 3),
        {"a": integers(-2), "w": W34},
    ),
    Sample("squeeze 11", [n("Squeeze", ["x"], ["z"]), n("MatMul", ["z", "w"], ["y"])], (1, 2, 3), {"w": W34}, 11),
    Sample(
        "unsqueeze 13",
        [n("Unsqueeze", ["x", "a"], ["z"]), n("Add", ["z", "b"], ["y"])],
        (2, 3),
        {"a": integers(-1, 1), "b": weights(2, 1, 3, 2)},
    ),
    Sample(
        "unsqueeze 11",
        [n("Unsqueeze", ["x"], ["z"], axes=[0, 2]), n("Add", ["z", "b"], ["y"])],
        (2, 3),
        {"b": weights(1, 2, 4, 3)},
        11,
    ),
    Sample("transpose", [n("Transpose", ["x"], ["y"], perm=[2, 0, 1])], (2, 3, 4)),
    Sample("transpose reversed", [n("Transpose", ["x"], ["y"])], (2, 3, 4)),
    Sample("gather", [n("Gather", ["x", "i"], ["y"], axis=1)], (2, 4), {"i": integers(3, 0, -1, -4).reshape(2, 2)}),
    Sample("gather scalar", [n("Gather", ["x", "i"], ["y"], axis=-1)], (2, 4), {"i": np.array(2)}),
    Sample(
        "slice 10",
        [n("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        (4, 6),
        {"s": integers(-1, 1), "e": integers(-(2**63), 2**63 - 1), "a": integers(0, -1), "t": integers(-2, 2)},
    ),
    Sample("slice clamps", [n("Slice", ["x", "s", "e"], ["y"])], (4, 6), {"s": integers(-9, 2), "e": integers(2, 99)}),
    Sample("slice 9", [n("Slice", ["x"], ["y"], starts=[1], ends=[-1], axes=[1])], (2, 5), {}, 9),
    Sample(
        "split 13",
        [n("Split", ["x", "s"], ["a", "b"], axis=1), n("Concat", ["b", "a"], ["y"], axis=1)],
        (2, 5),
        {"s": integers(2, 3)},
    ),
    Sample(
        "split 11",
        [n("Split", ["x"], ["a", "b"], axis=-1, split=[1, 4]), n("Concat", ["b", "a"], ["y"], axis=1)],
        (2, 5),
        {},
        11,
    ),
    Sample("split evenly", [n("Split", ["x"], ["a", "b"], axis=1), n("Sub", ["a", "b"], ["y"])], (2, 4)),
    Sample(
        "split 18",
        [n("Split", ["x"], ["a", "b"], axis=1, num_outputs=2), n("Concat", ["b", "a"], ["y"], axis=1)],
        (2, 5),
        {},
        18,
    ),
    Sample(
        "expand",
        [n("Expand", ["x", "s"], ["z"]), n("Add", ["z", "b"], ["y"])],
        (3, 1),
        {"s": integers(2, 1, 4), "b": weights(2, 3, 4)},
    ),
    Sample(
        "expand then matmul",
        [n("Expand", ["x", "s"], ["z"]), n("MatMul", ["z", "w"], ["y"])],
        (1, 3),
        {"s": integers(2, 3), "w": W34},
    ),
    Sample(
        "concat",
        [n("Relu", ["x"], ["r"]), n("Concat", ["x", "b", "r", "x"], ["y"], axis=1)],
        (2, 3),
        {"b": weights(2, 2)},
    ),
    Sample(
        "concat of slices",
        [n("Gather", ["x", "i"], ["g"], axis=1), n("Concat", ["g", "x"], ["y"], axis=0)],
        (2, 3),
        {"i": integers(2, 1, 0)},
    ),
    Sample("reduce sum 13", [n("ReduceSum", ["x", "a"], ["y"], keepdims=0)], (2, 3, 4), {"a": integers(0, -1)}),
    Sample("reduce sum 11", [n("ReduceSum", ["x"], ["y"], axes=[1], keepdims=1)], (2, 3, 4), {}, 11),
    Sample("reduce sum all", [n("ReduceSum", ["x"], ["y"])], (2, 3)),
    Sample("reduce mean", [n("ReduceMean", ["x"], ["y"], axes=[1])], (3, 4), {}),
    Sample("reduce mean 18", [n("ReduceMean", ["x", "a"], ["y"], keepdims=0)], (4, 3), {"a": integers(0)}, 18),
    Sample("pad 13", [n("Pad", ["x", "p"], ["y"])], (2, 3), {"p": integers(1, 0, 2, 1)}),
    Sample("pad 7", [n("Pad", ["x"], ["y"], pads=[0, 1, 0, 2])], (2, 3), {}, 7),
    Sample("pad 18 axes", [n("Pad", ["x", "p", "", "a"], ["y"])], (2, 3), {"p": integers(1, 2), "a": integers(-1)}, 18),
    Sample(
        "pad then add",
        [n("Pad", ["x", "p"], ["z"]), n("Add", ["z", "b"], ["y"])],
        (2, 3),
        {"p": integers(0, 1, 0, 1), "b": weights(5)},
    ),
    Sample(
        "pad then relu and concat",
        [n("Pad", ["x", "p"], ["z"]), n("Relu", ["z"], ["r"]), n("Concat", ["r", "z"], ["y"], axis=0)],
        (2, 3),
        {"p": integers(0, 1, 0, 1)},
    ),
    Sample(
        "constant node", [n("Constant", [], ["c"], value_floats=[1.0, -2.0, 3.0]), n("Add", ["x", "c"], ["y"])], (2, 3)
    ),
    Sample(
        "shape arithmetic",
        [
            n("Shape", ["x"], ["s"]),
            n("Gather", ["s", "zero"], ["rows"]),
            n("Unsqueeze", ["rows", "axis"], ["r"]),
            n("Concat", ["r", "minus"], ["target"], axis=0),
            n("Reshape", ["x", "target"], ["y"]),
        ],
        (2, 3, 2),
        {"zero": np.array(0), "axis": integers(0), "minus": integers(-1)},
    ),
    Sample(
        "shape slice",
        [
            n("Shape", ["x"], ["s"], start=1),
            n("ConstantOfShape", ["s"], ["o"], value=make_tensor("v", 1, [1], [2.0])),
            n("Mul", ["x", "o"], ["y"]),
        ],
        (2, 3),
        {},
        15,
    ),
    Sample(
        "cast of constants",
        [n("Cast", ["i"], ["j"], to=7), n("Gather", ["x", "j"], ["y"], axis=1)],
        (2, 3),
        {"i": np.array([2, 0], dtype=np.int32)},
    ),
    Sample(
        "cast of halves",
        [n("Cast", ["h"], ["c"], to=1), n("Mul", ["x", "c"], ["y"])],
        (2, 3),
        {"h": np.array([0.5, -2, 0.25], dtype=np.float16)},
    ),
    Sample(
        "conv",
        [n("Conv", ["x", "w", "b"], ["y"], pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2], group=2)],
        (2, 4, 5, 6),
        {"w": weights(6, 2, 3, 2), "b": weights(6)},
    ),
    Sample("conv transpose", [n("ConvTranspose", ["x", "w"], ["y"], strides=[2])], (1, 2, 3), {"w": weights(2, 3, 2)}),
    Sample("average pool", [n("AveragePool", ["x"], ["y"], kernel_shape=[2, 2])], (1, 2, 3, 4)),
    Sample(
        "average pool of padded windows",
        [n("AveragePool", ["x"], ["y"], kernel_shape=[4], pads=[2, 2], strides=[2])],
        (1, 1, 4),
    ),
    Sample("average pool 19", [n("AveragePool", ["x"], ["y"], kernel_shape=[2], dilations=[2])], (1, 2, 5), {}, 19),
    Sample("global average pool", [n("GlobalAveragePool", ["x"], ["y"])], (2, 3, 4, 2)),
    Sample("max pool", [n("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 1])], (2, 2, 5, 4)),
    Sample(
        "max pool of zero padding and of its own",
        [n("Pad", ["x", "p"], ["z"]), n("MaxPool", ["z"], ["y"], kernel_shape=[3], pads=[1, 1])],
        (1, 2, 4),
        {"p": integers(0, 0, 1, 0, 0, 1)},
    ),
    Sample("max pool of one element", [n("MaxPool", ["x"], ["y"], kernel_shape=[1], strides=[2])], (1, 2, 5)),
    Sample(
        "batch normalization",
        [n("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], epsilon=0.5, momentum=0.75)],
        (2, 3, 2, 2),
        {"g": SIGNED, "b": W3, "m": weights(3, seed=4), "v": np.array([0.5, 3.5, 15.5], dtype=np.float32)},
    ),
    Sample(
        "batch normalization 9 of a matrix, after a product",
        [n("MatMul", ["x", "w"], ["z"]), n("BatchNormalization", ["z", "g", "b", "m", "v"], ["y"], epsilon=0.0)],
        (2, 4),
        {"w": W43, "g": SIGNED, "b": W3, "m": W3, "v": np.array([0.25, 4, 1], dtype=np.float32)},
        9,
    ),
    Sample("leaky relu", [n("LeakyRelu", ["x"], ["y"], alpha=0.125)], (2, 3)),
    Sample("leaky relu beyond one", [n("LeakyRelu", ["x"], ["y"], alpha=3.0)], (2, 3)),
    Sample("leaky relu of a negative slope", [n("LeakyRelu", ["x"], ["y"], alpha=-0.5)], (2, 3)),
    Sample("prelu", [n("PRelu", ["x", "a"], ["y"])], (2, 3, 2), {"a": SIGNED.reshape(3, 1)}),
    Sample("abs", [n("Abs", ["x"], ["y"])], (2, 3)),
    Sample("max", [n("Max", ["x", "b", "t"], ["y"])], (2, 3), {"b": W3, "t": weights(2, 1)}),
    Sample("max of one", [n("Max", ["x"], ["y"])], (2, 3)),
    Sample("max of computed values", [n("Transpose", ["x"], ["t"]), n("Max", ["x", "t"], ["y"])], (3, 3)),
    Sample("min", [n("Neg", ["x"], ["t"]), n("Min", ["b", "x", "t"], ["y"])], (2, 3), {"b": weights(2, 2, 3)}),
    Sample(
        "clip",
        [n("Clip", ["x", "l", "h"], ["y"])],
        (2, 3),
        {"l": np.array(-2, np.float32), "h": np.array(1, np.float32)},
    ),
    Sample("clip below", [n("Clip", ["x", "l"], ["y"])], (2, 3), {"l": np.array(-1.5, dtype=np.float32)}),
    Sample("clip above", [n("Clip", ["x", "", "h"], ["y"])], (2, 3), {"h": np.array(0.5, dtype=np.float32)}),
    Sample("clip without bounds", [n("Clip", ["x"], ["y"])], (2, 3)),
    Sample("clip 6", [n("Clip", ["x"], ["y"], min=-1.0, max=2.0)], (2, 3), {}, 9),
    Sample("clip 6 above", [n("Clip", ["x"], ["y"], max=-2.0)], (2, 3), {}, 9),
    Sample("constant output", [n("Identity", ["b"], ["y"])], (2, 3), {"b": W3}),
    Sample("output order", [n("Relu", ["x"], ["y"]), n("Neg", ["x"], ["z"])], (2, 3), {}, 13, ("z", "y", "x")),
    Sample("dead code", [n("Relu", ["x"], ["unused"]), n("Neg", ["x"], ["y"])], (2, 3)),
]


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_rule_agrees_with_the_reference_runtime(sample: Sample, raw: bool) -> None:
    data = model(sample.nodes, {"x": sample.shape}, sample.constants, sample.opset, sample.outputs, raw)
    network = read_network(data)
    generator = np.random.default_rng(7)
    for _ in range(5):
        x = generator.integers(-4, 5, sample.shape).astype(np.float32)
        expected = run(data, {"x": x})
        assert [float(y) for y in evaluate(network, [Fraction(v) for v in x.reshape(-1).tolist()])] == expected.tolist()


def test_every_operator_has_a_sample() -> None:
    assert {node.op_type for sample in SAMPLES for node in sample.nodes} == set(OPERATORS)


def test_several_inputs_are_flattened_in_graph_order() -> None:
    data = model([n("MatMul", ["b", "w"], ["z"]), n("Sub", ["a", "z"], ["y"])], {"b": (1, 3), "a": (2, 4)}, {"w": W34})
    generator = np.random.default_rng(3)
    b, a = (generator.integers(-4, 5, shape).astype(np.float32) for shape in ((1, 3), (2, 4)))
    flat = [Fraction(v) for v in np.concatenate([b.reshape(-1), a.reshape(-1)]).tolist()]
    assert [float(y) for y in evaluate(read_network(data), flat)] == run(data, {"a": a, "b": b}).tolist()


def test_inputs_with_a_stored_value_do_not_count() -> None:
    data = model([n("MatMul", ["x", "w"], ["y"])], {"w": (3, 4), "x": (1, 3)}, {"w": W34})
    network = read_network(data)
    assert network.sizes[0] == 3
    assert [float(y) for y in evaluate(network, [Fraction(v) for v in (1, -2, 3)])] == (
        np.array([1, -2, 3]) @ W34
    ).tolist()


def test_an_unknown_batch_counts_as_one() -> None:
    network = read_network(model([n("MatMul", ["x", "w"], ["y"])], {"x": ("batch", 3)}, {"w": W34}))
    assert network.sizes == (3, 4)


def test_large_mostly_zero_weights_become_sparse_and_mean_the_same() -> None:
    generator = np.random.default_rng(5)
    w = np.where(generator.random((400, 300)) < 0.02, generator.integers(-3, 4, (400, 300)), 0).astype(np.float32)
    data = model(
        [n("MatMul", ["x", "w"], ["z"]), n("MatMul", ["v", "z"], ["y"])], {"x": (2, 400)}, {"w": w, "v": weights(3, 2)}
    )
    network = read_network(data)
    maps = [m for node in network.nodes if isinstance(node, Affine) for _, m in node.terms]
    assert [type(m) for m in maps] == [Sparse, Sparse]
    assert all((np.diff(m.cols) >= 0).all() for m in maps if isinstance(m, Sparse))
    x = generator.integers(-4, 5, (2, 400)).astype(np.float32)
    assert [float(y) for y in evaluate(network, [Fraction(v) for v in x.reshape(-1).tolist()])] == run(
        data, {"x": x}
    ).tolist()


def test_weights_are_the_stored_ones_bit_for_bit() -> None:
    stored = np.array([[0.1, -1e-40, 3.4e38]], dtype=np.float32)
    network = read_network(model([n("Gemm", ["x", "w"], ["y"], transB=1)], {"x": (1, 3)}, {"w": stored}))
    (node,) = (node for node in network.nodes if isinstance(node, Affine))
    (dense,) = (m for _, m in node.terms if isinstance(m, Dense))
    assert dense.weight.tolist() == stored.astype(np.float64).tolist()
