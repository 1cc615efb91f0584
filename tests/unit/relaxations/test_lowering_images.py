"""Lowered image operators compute what the graph and onnxruntime compute, and name ReLU neurons in the agreed order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relaxations.lowering import lower
from relaxations.maps import Convolution, LinearMap
from specs.errors import UnsupportedOpError
from specs.graph import Graph, Op, ops
from specs.loading import load_model
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx import parse_onnx
from tests.unit.relaxations.graphs import assert_same_function, chain, weight

RNG = np.random.default_rng(23)


def conv(strides: tuple[int, ...], pads: tuple[int, ...], dilations: tuple[int, ...] = (1, 1), group: int = 1) -> Op:
    return ops.Conv(strides, pads, dilations, group)


def transpose(strides: tuple[int, ...], pads: tuple[int, ...], extra: tuple[int, ...], group: int = 1) -> Op:
    return ops.ConvTranspose(strides, pads, (1,) * len(strides), extra, group)


IMAGE = (1, 4, 7, 6)
PARAMETERS = (weight(4), weight(4), weight(4), np.abs(weight(4)) + np.float32(0.1))
AFFINE: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
    "convolution": (IMAGE, (conv((1, 1), (1, 1, 1, 1)), weight(3, 4, 3, 3), weight(3))),
    "convolution without padding": (IMAGE, (conv((2, 1), (0, 0, 0, 0)), weight(3, 4, 3, 2))),
    "convolution in groups": (IMAGE, (conv((2, 2), (0, 1, 2, 0), group=2), weight(6, 2, 3, 3), weight(6))),
    "depthwise convolution": (IMAGE, (conv((1, 2), (1, 1, 0, 0), group=4), weight(4, 1, 2, 2), weight(4))),
    "dilated convolution": (IMAGE, (conv((1, 1), (2, 0, 2, 1), (2, 3)), weight(2, 4, 3, 2))),
    "convolution over all of the image": (IMAGE, (conv((1, 1), (0, 0, 0, 0)), weight(5, 4, 7, 6), weight(5))),
    "convolution in one dimension": ((1, 3, 9), (conv((2,), (1, 2), (1,)), weight(4, 3, 4), weight(4))),
    "convolution in three dimensions": ((1, 2, 4, 3, 5), (conv((1, 1, 2), (1,) * 6, (1,) * 3), weight(2, 2, 3, 2, 3))),
    "transposed convolution": (IMAGE, (transpose((2, 2), (1, 0, 1, 1), (1, 0)), weight(4, 3, 3, 3), weight(3))),
    "transposed convolution in groups": (IMAGE, (transpose((1, 2), (0, 1, 0, 1), (0, 1), 2), weight(4, 3, 2, 3))),
    "transposed convolution in one dimension": ((1, 2, 5), (transpose((3,), (0, 1), (0,)), weight(2, 3, 4), weight(3))),
    "average pool": (IMAGE, (ops.AveragePool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),)),
    "average pool with padding": (IMAGE, (ops.AveragePool((3, 2), (2, 1), (1, 1, 1, 0), (1, 1)),)),
    "average pool with dilation": (IMAGE, (ops.AveragePool((2, 2), (1, 1), (0, 1, 0, 0), (2, 3)),)),
    "average pool of a batch": ((3, 2, 5), (ops.AveragePool((2,), (2,), (0, 1), (1,)),)),
    "batch normalisation": (IMAGE, (ops.BatchNormalization(1e-5), *PARAMETERS)),
    "batch normalisation of vectors": ((1, 4), (ops.BatchNormalization(1e-3), *PARAMETERS)),
    "global average": (IMAGE, (ops.ReduceMean((2, 3), True),)),
    "sum over channels": ((2, *IMAGE[1:]), (ops.ReduceSum((-3,), False),)),
    "mean of a large image": ((1, 16, 24, 24), (ops.ReduceMean((3, 2), True),)),
    "padded": (IMAGE, (ops.Pad((0, 1, 2, 0, 0, 0, 1, 3), -0.5),)),
    "padded, large": ((1, 3, 24, 24), (ops.Pad((0, 0, 2, 2, 0, 0, 2, 2), 0.25),)),
    "transposed, large": ((1, 24, 24, 3), (ops.Transpose((0, 3, 1, 2)),)),
    "sliced and reversed": (IMAGE, (ops.Slice((5, 1), (0, 6), (3, 2), (-2, 1)),)),
}  # fmt: skip


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("after", ["nothing", "relu", "convolution"])
def test_an_affine_operator_on_its_own(name: str, after: str) -> None:
    shape, step = AFFINE[name]
    first: list[tuple[Any, ...]] = {
        "nothing": [],
        "relu": [(ops.Relu(),)],
        "convolution": [(ops.Reshape((1, 1, int(np.prod(shape)))),),
                        (conv((1,), (1, 1), (1,)), weight(1, 1, 3), weight(1)), (ops.Reshape(shape),)],
    }[after]  # fmt: skip
    network = assert_same_function(chain(shape, *first, step))
    assert len(network.layers) == (after == "relu")


@pytest.mark.parametrize("name", AFFINE)
def test_a_convolution_of_the_result(name: str) -> None:
    shape, step = AFFINE[name]
    size = int(np.prod(chain(shape, step).by_name[chain(shape, step).outputs[0]].shape))
    assert_same_function(
        chain(shape, step, (ops.Reshape((1, 1, size)),), (conv((1,), (2, 0), (1,)), weight(2, 1, 2), weight(2)))
    )


def pool(kernel: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...], dilations: tuple[int, ...]) -> Op:
    return ops.MaxPool(kernel, strides, pads, dilations)


PIECEWISE: dict[str, tuple[tuple[int, ...], tuple[Any, ...], tuple[int, ...]]] = {  # and the sizes of the layers
    "leaky": ((2, 3), (ops.LeakyRelu(0.1),), (6,)),
    "leaky with a negative slope": ((2, 3), (ops.LeakyRelu(-0.5),), (6,)),
    "leaky with a steep slope": ((2, 3), (ops.LeakyRelu(3.0),), (6,)),
    "parametric": ((1, 3, 2, 2), (ops.PRelu(), weight(3, 1, 1)), (12,)),
    "absolute": ((2, 3), (ops.Abs(),), (12,)),
    "clip": ((2, 3), (ops.Clip(-1.0, 2.0),), (12,)),
    "clip to a point": ((2, 3), (ops.Clip(2.0, 2.0),), (12,)),
    "clip from below": ((2, 3), (ops.Clip(min=0.5),), (6,)),
    "clip from above": ((2, 3), (ops.Clip(max=0.5),), (6,)),
    "clip nothing": ((2, 3), (ops.Clip(),), ()),
    "max with a constant": ((2, 3), (ops.Max(), weight(2, 3)), (6,)),
    "min with constants": ((2, 3), (ops.Min(), weight(3), weight(2, 1)), (6, 6)),
    "max that makes the result larger": ((3,), (ops.Max(), weight(2, 1)), (6,)),
    "pool": ((1, 2, 4, 6), (pool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),), (24, 12)),
    "pool of three by three": ((1, 2, 6, 6), (pool((3, 3), (2, 2), (1, 1, 0, 0), (1, 1)),), (72, 36, 18, 18)),
    "pool with padding and dilation": ((1, 2, 5, 5), (pool((2, 3), (1, 2), (1, 1, 1, 1), (2, 1)),), (90, 30, 30)),
    "pool in one dimension of a batch": ((2, 3, 7), (pool((3,), (3,), (0, 2), (1,)),), (18, 18)),
    "pool of single elements": ((1, 2, 4), (pool((1,), (2,), (0, 0), (1,)),), ()),
}


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize("after", ["nothing", "relu", "matrix"])
def test_a_piecewise_linear_operator_on_its_own(name: str, after: str) -> None:
    shape, step, widths = PIECEWISE[name]
    size = int(np.prod(shape))
    first: list[tuple[Any, ...]] = {
        "nothing": [],
        "relu": [(ops.Relu(),)],
        "matrix": [
            (ops.Reshape((1, size)),),
            (ops.MatMul(), weight(size, size)),
            (ops.Add(), weight(size)),
            (ops.Reshape(shape),),
        ],
    }[after]
    network = assert_same_function(chain(shape, *first, step))
    assert network.widths[1:] == ((size,) if after == "relu" else ()) + widths


@pytest.mark.parametrize("name", PIECEWISE)
def test_a_piecewise_linear_operator_between_convolutions(name: str) -> None:
    shape, step, _ = PIECEWISE[name]
    size = int(np.prod(shape))
    convolved = (conv((1,), (1, 1), (1,)), weight(1, 1, 3), weight(1))
    before = [(ops.Reshape((1, 1, size)),), convolved, (ops.Reshape(shape),)]
    graph = chain(shape, *before, step)
    made = int(np.prod(graph.by_name[graph.outputs[0]].shape))
    after = [(ops.Reshape((1, 1, made)),), convolved, (ops.LeakyRelu(0.25),), convolved, (ops.Relu(),)]
    assert_same_function(chain(shape, *before, step, *after))


def test_max_and_min_of_two_computed_operands() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (1, 4))
    a, b, c = (builder.add(ops.MatMul(), x, builder.constant(weight(4, 3))) for _ in range(3))
    graph = builder.build(("x",), (builder.add(ops.Max(), a, b, c), builder.add(ops.Min(), b, a)))
    assert assert_same_function(graph).widths == (4, 3, 3, 3)


def test_bounds_that_cross_are_refused() -> None:
    with pytest.raises(UnsupportedOpError, match="Clip"):
        lower(chain((2,), (ops.Clip(1.0, 0.0),)))


def arguments_of(graph: Graph, x: np.ndarray) -> list[np.ndarray]:
    """What every ReLU layer is applied to at one point."""
    return [z[0] for z in lower(graph).preactivations(x.reshape(1, -1))[0]]


def test_the_order_of_neurons_in_a_pool() -> None:
    x = np.arange(9.0).reshape(3, 3) ** 2
    graph = chain((1, 1, 3, 3), (pool((2, 2), (2, 2), (1, 0, 0, 0), (1, 1)),))  # windows: rows {pad, 0} and {1, 2}
    first, second = arguments_of(graph, x)
    # Elements of the windows: top is x00 x01 (its padding twice x00) and bottom x10 x11 x20 x21; pairs are slowest.
    assert first.tolist() == [x[0, 0] - x[0, 0], x[1, 0] - x[1, 1], x[0, 0] - x[0, 1], x[2, 0] - x[2, 1]]
    assert second.tolist() == [x[0, 0] - x[0, 1], x[1, 1] - x[2, 1]]


def test_the_order_of_neurons_in_an_odd_window() -> None:
    x = np.array([5.0, 1, 4, 2, 3, 9])
    graph = chain((1, 2, 3), (pool((3,), (1,), (0, 0), (1,)),))  # one window for each of two channels
    assert [z.tolist() for z in arguments_of(graph, x)] == [[5 - 1, 2 - 3], [5 - 4, 3 - 9]]


def test_the_order_of_neurons_in_absolute_values_and_clips() -> None:
    x = np.array([1.0, -4.0])
    assert [z.tolist() for z in arguments_of(chain((2,), (ops.Abs(),)), x)] == [[1, -4, -1, 4]]
    assert [z.tolist() for z in arguments_of(chain((2,), (ops.Clip(-1.0, 3.0),)), x)] == [[2, -3, -2, -7]]


def test_the_order_of_neurons_in_max_and_min() -> None:
    x = np.array([1.0, -4.0])
    three = (np.array([2.0, 0.0]), np.array([5.0, 7.0]))
    assert [z.tolist() for z in arguments_of(chain((2,), (ops.Max(), *three)), x)] == [[-1, -4], [-3, -7]]
    assert [z.tolist() for z in arguments_of(chain((2,), (ops.Min(), *three)), x)] == [[1, 4], [4, 11]]


def test_a_convolution_stays_one_and_takes_up_what_is_channelwise() -> None:
    mean, deviation = weight(3, 1, 1), np.abs(weight(3, 1, 1)) + np.float32(1)
    parameters = (weight(8), weight(8), weight(8), np.abs(weight(8)) + np.float32(1))
    graph = chain(
        (1, 3, 32, 32),
        (ops.Sub(), mean),
        (ops.Div(), deviation),
        (conv((2, 2), (1, 1, 1, 1)), weight(8, 3, 3, 3), weight(8)),
        (ops.BatchNormalization(1e-5), *parameters),
        (ops.Mul(), np.float32(0.5)),
        (ops.Relu(),),
    )
    ((source, m),) = assert_same_function(graph).layers[0].terms
    assert source == 0
    assert isinstance(m, Convolution)


def residual(builder: GraphBuilder, x: str, channels: int) -> str:
    def convolved(value: str) -> str:
        step = conv((1, 1), (1, 1, 1, 1))
        return builder.add(step, value, builder.constant(weight(channels, channels, 3, 3) / 8))

    inner = builder.add(ops.Relu(), convolved(x))
    return builder.add(ops.Add(), convolved(inner), x)


@pytest.mark.parametrize("relu_between", [False, True])
def test_residual_blocks(relu_between: bool) -> None:
    builder = GraphBuilder()
    x = builder.input("x", (1, 8, 16, 16))
    value = builder.add(conv((1, 1), (1, 1, 1, 1)), x, builder.constant(weight(8, 8, 3, 3)))
    for _ in range(2):
        value = residual(builder, value, 8)
        value = builder.add(ops.Relu(), value) if relu_between else value
    both = builder.add(ops.Concat(1), value, builder.add(ops.Neg(), x))
    pooled = builder.add(ops.AveragePool((4, 4), (4, 4), (0, 0, 0, 0), (1, 1)), both)
    network = assert_same_function(builder.build(("x",), (pooled,)))
    assert all(isinstance(m, LinearMap) for layer in network.layers for _, m in layer.terms)


ONNX: list[tuple[str, tuple[int, ...], dict[str, Any], dict[str, Any]]] = [
    ("Conv", (1, 3, 7, 6), {"w": weight(4, 3, 3, 2), "b": weight(4)}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", (1, 3, 7, 6), {"w": weight(4, 3, 2, 4)}, {"auto_pad": "SAME_LOWER"}),
    ("Conv", (1, 4, 7, 6), {"w": weight(4, 2, 2, 3)}, {"group": 2, "dilations": [2, 2], "pads": [1, 0, 0, 2]}),
    ("ConvTranspose", (1, 3, 4, 4), {"w": weight(3, 2, 3, 3)}, {"strides": [2, 3], "output_padding": [1, 0]}),
    ("ConvTranspose", (1, 4, 4, 4), {"w": weight(4, 2, 3, 3), "b": weight(4)}, {"group": 2, "pads": [1, 1, 0, 2]}),
    ("AveragePool", (1, 2, 7, 7), {}, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    (
        "AveragePool",
        (1, 2, 7, 7),
        {},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    ("AveragePool", (1, 2, 8, 7), {}, {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("MaxPool", (1, 2, 8, 7), {}, {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("MaxPool", (1, 2, 8, 7), {}, {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER"}),
    ("MaxPool", (1, 2, 8, 7), {}, {"kernel_shape": [2, 3], "dilations": [2, 1], "pads": [0, 1, 1, 1]}),
    ("GlobalAveragePool", (1, 3, 5, 4), {}, {}),
    ("LeakyRelu", (2, 3), {}, {"alpha": 0.2}),
    ("PRelu", (1, 3, 4), {"slope": weight(3, 1)}, {}),
    ("Abs", (2, 3), {}, {}),
    ("Clip", (2, 3), {"min": np.float32(-0.5), "max": np.float32(0.75)}, {}),
    ("Max", (2, 3), {"a": weight(2, 3), "b": weight(2, 3)}, {}),
    ("Min", (2, 3), {"a": weight(2, 3)}, {}),
    (
        "BatchNormalization",
        (1, 4, 3, 2),
        {"s": weight(4), "b": weight(4), "m": weight(4), "v": np.abs(weight(4))},
        {"epsilon": 1e-3},
    ),
]


@pytest.mark.peer
@pytest.mark.parametrize("case", ONNX, ids=lambda case: f"{case[0]}-{','.join(case[3])}")
def test_operators_agree_with_onnxruntime(case: tuple[Any, ...]) -> None:
    op_type, shape, weights, attributes = case
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.unit.specs.loading.onnx_models import run, single

    content = single(op_type, shape, weights, 17, **attributes)
    network = lower(parse_onnx(content))
    for _ in range(4):
        point = RNG.standard_normal(shape).astype(np.float32)
        (expected,) = run(content, point)
        (found,) = network.evaluate(point.reshape(1, -1).astype(float))
        np.testing.assert_allclose(found, expected.reshape(-1), rtol=1e-5, atol=1e-5)


MODELS = [
    "mnist_fc", "oval21", "cifar10_resnet", "sri_resnet_a", "marabou_cifar10", "verivital", "collins_rul_cnn",
    "malbeware", "cora_mnist", "cifar_biasfield",
]  # fmt: skip


@pytest.mark.shared
@pytest.mark.peer
@pytest.mark.parametrize("benchmark", MODELS)
def test_public_networks_agree_with_onnxruntime(benchmark: str, benchmarks_dir: Any) -> None:
    runtime = pytest.importorskip("onnxruntime")
    files = sorted((benchmarks_dir / benchmark / "onnx").glob("*.onnx"))
    assert files
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    for file in files:
        graph = load_model(file)
        network = lower(graph)
        session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        points = RNG.random((4, graph.input_size)).astype(np.float32)
        shape = graph.by_name[graph.inputs[0]].shape
        name = session.get_inputs()[0].name
        expected = np.stack([session.run(None, {name: x.reshape(shape)})[0].reshape(-1) for x in points])
        found = network.evaluate(points.astype(float))
        assert np.abs(found - expected).max() <= 1e-5 * (1 + np.abs(expected).max()), file.name
