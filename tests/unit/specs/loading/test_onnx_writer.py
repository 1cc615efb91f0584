"""What is written is valid, deterministic, and denotes the same function in every reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import UnsupportedOpError
from specs.graph import Graph, Node, Op, ops
from specs.graph.graph import Array
from specs.loading import load_model
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx import parse_onnx
from specs.loading.onnx_writer import write_onnx
from tests.unit.specs.loading.onnx_models import onnx, run

RNG = np.random.default_rng(3)


def w(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def graph_of(op: Op, shape: tuple[int, ...], *constants: Array) -> Graph:
    """``op`` on one input and constants."""
    builder = GraphBuilder()
    x = builder.input("x", shape)
    return builder.build((x,), (builder.add(op, x, *(builder.constant(value) for value in constants)),))


WIDE, IMAGE = (2, 3, 4), (1, 4, 7, 8)
CASES: list[tuple[Op, tuple[int, ...], tuple[Any, ...]]] = [
    (ops.MatMul(), WIDE, (w(4, 5),)),
    (ops.Add(), WIDE, (w(3, 1),)),
    (ops.Sub(), WIDE, (w(4),)),
    (ops.Mul(), WIDE, (w(),)),
    (ops.Div(), WIDE, (w(4),)),
    (ops.Pow(), WIDE, (np.float32(2.0),)),
    (ops.Neg(), WIDE, ()),
    (ops.Conv((2, 1), (1, 0, 2, 1), (1, 2), 2), IMAGE, (w(6, 2, 3, 2), w(6))),
    (ops.ConvTranspose((2, 3), (1, 0, 0, 1), (1, 1), (0, 1)), IMAGE, (w(4, 3, 3, 2),)),
    (ops.AveragePool((3, 2), (2, 2), (1, 0, 1, 1), (1, 1)), IMAGE, ()),
    (ops.AveragePool((2, 2), (1, 1), (0, 0, 0, 0), (2, 3)), IMAGE, ()),
    (ops.MaxPool((3, 2), (2, 2), (1, 0, 1, 1), (2, 1)), IMAGE, ()),
    (ops.BatchNormalization(0.125), IMAGE, (w(4), w(4), w(4), w(4) ** 2)),
    (ops.LeakyRelu(0.125), WIDE, ()),
    (ops.PRelu(), WIDE, (w(4),)),
    (ops.Elu(0.5), WIDE, ()),
    (ops.Selu(1.5, 2.0), WIDE, ()),
    (ops.HardSigmoid(0.25, 0.5), WIDE, ()),
    (ops.Gelu("tanh"), WIDE, ()),
    *((op(), WIDE, ()) for op in (
        ops.Relu, ops.Sigmoid, ops.Tanh, ops.Softplus, ops.Softsign, ops.Exp, ops.Reciprocal, ops.Sin, ops.Cos,
        ops.Tan, ops.Atan, ops.Erf, ops.Gelu, ops.Sign, ops.Floor, ops.Ceil, ops.Round, ops.Abs,
    )),
    (ops.Clip(-0.5, 0.25), WIDE, ()),
    (ops.Clip(max=0.25), WIDE, ()),
    (ops.Clip(min=0.0), WIDE, ()),
    (ops.Min(), WIDE, (w(4), w(3, 1))),
    (ops.Max(), WIDE, (w(4),)),
    (ops.Softmax(1), WIDE, ()),
    (ops.LogSoftmax(-1), WIDE, ()),
    (ops.Reshape((4, 6)), WIDE, ()),
    (ops.Reshape(()), (1, 1), ()),
    (ops.Transpose((2, 0, 1)), WIDE, ()),
    (ops.Slice((3, -1), (0, -100), (2, 1), (-2, -1)), WIDE, ()),
    (ops.Concat(1), WIDE, (w(2, 1, 4),)),
    (ops.Gather(1), WIDE, (np.int64([[2, 0], [-1, 1]]),)),
    (ops.Expand((5, 2, 3, 4)), WIDE, ()),
    (ops.Pad((0, 1, 0, 2, 0, 3), -1.5), WIDE, ()),
    (ops.ReduceSum((0, 2), False), WIDE, ()),
    (ops.ReduceMean((1,), True), WIDE, ()),
    (ops.ReduceMax((2,), False), WIDE, ()),
    (ops.ReduceMin((0,), True), WIDE, ()),
    (ops.ReduceProd((2,), True), WIDE, ()),
    (ops.ReduceSum((), False), WIDE, ()),
]  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
def test_an_operator_means_the_same_to_every_reader(case: tuple[Op, tuple[int, ...], tuple[Any, ...]]) -> None:
    op, shape, constants = case
    graph = graph_of(op, shape, *map(np.asarray, constants))
    content = write_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x = w(*shape)
    (ours,) = graph.evaluate(x)
    (back,) = parse_onnx(content).evaluate(x)
    (theirs,) = run(content, x)
    assert back.shape == theirs.shape == ours.shape
    np.testing.assert_allclose(back, ours, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(theirs, ours, rtol=2e-4, atol=2e-5)


@pytest.mark.peer
def test_truth_values_and_selection_mean_the_same_to_every_reader() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (4,))
    b = builder.constant(np.float32([0, 1, 2, 0.5]))
    less, equal = builder.add(ops.Less(), x, b), builder.add(ops.Equal(), x, b)
    either = builder.add(ops.And(), builder.add(ops.Or(), less, equal), builder.add(ops.LessOrEqual(), x, b))
    picked = builder.add(ops.Where(), builder.add(ops.Not(), either), x, b)
    number = builder.add(ops.Cast("float"), either)
    graph = builder.build((x,), (picked, either, number))
    content = write_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    point = np.float32([0, 0, 3, 1])
    for ours, back, theirs in zip(
        graph.evaluate(point), parse_onnx(content).evaluate(point), run(content, point), strict=True
    ):
        np.testing.assert_array_equal(ours, back)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.peer
def test_double_weights_make_a_double_model_that_loses_nothing() -> None:
    graph = graph_of(ops.MatMul(), (1, 3), np.array([[0.1], [1 / 3], [1e-300]]))
    content = write_onnx(graph)
    x = np.array([[1.0, 2.0, 3.0]])
    (theirs,) = run(content, x)
    assert theirs.dtype == np.float64
    np.testing.assert_allclose(theirs, graph.evaluate(x)[0], rtol=1e-15)
    (constant,) = [node.op.value for node in parse_onnx(content).nodes if isinstance(node.op, ops.Constant)]
    np.testing.assert_array_equal(constant, [[0.1], [1 / 3], [1e-300]])


def test_real_attributes_that_float32_cannot_hold_are_kept_exactly() -> None:
    x = np.array([[-3.0, 0.5, 7.0]])
    for op in (ops.LeakyRelu(0.01), ops.HardSigmoid(1 / 6, 0.5), ops.Clip(-0.1, 0.3), ops.Pad((0, 1, 0, 0), 0.1)):
        graph = graph_of(op, (1, 3))
        np.testing.assert_array_equal(parse_onnx(write_onnx(graph)).evaluate(x)[0], graph.evaluate(x)[0])
    with pytest.raises(UnsupportedOpError, match="Elu"):
        write_onnx(graph_of(ops.Elu(0.1), (1, 3)))


@pytest.mark.peer
def test_inputs_constants_and_repeated_outputs_may_be_outputs() -> None:
    constant = Node("c", ops.Constant(np.float32([1, 2])), (), (2,))
    source, relu = Node("x", ops.Input((2,)), (), (2,)), Node("r", ops.Relu(), ("x",), (2,))
    graph = Graph((source, constant, relu), ("x",), ("x", "c", "r", "r"))
    content = write_onnx(graph)
    x = np.float32([-1, 1])
    for ours, back, theirs in zip(graph.evaluate(x), parse_onnx(content).evaluate(x), run(content, x), strict=True):
        np.testing.assert_array_equal(ours, back)
        np.testing.assert_array_equal(ours, theirs)


def test_an_operator_onnx_does_not_know_is_named() -> None:
    class Odd:
        def infer_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
            return shapes[0]

    with pytest.raises(UnsupportedOpError, match="Odd"):
        write_onnx(graph_of(Odd(), (2,)))  # type: ignore[arg-type]


@pytest.mark.shared
@pytest.mark.peer
@pytest.mark.parametrize("name", ["acasxu", "cifar10_resnet", "collins_rul_cnn", "marabou_cifar10", "verivital", "vit"])
def test_benchmark_networks_survive_writing(benchmarks_dir: Path, name: str) -> None:
    path = next(iter(sorted((benchmarks_dir / name / "onnx").glob("*.onnx*"))))
    graph = load_model(path)
    content = write_onnx(graph)
    assert content == write_onnx(load_model(path))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x = np.random.default_rng(0).random(graph.input_size).astype(np.float32)
    expected = graph.evaluate_flat(x)
    np.testing.assert_allclose(parse_onnx(content).evaluate_flat(x), expected, rtol=1e-9, atol=1e-12)
    (theirs,) = run(content, x.reshape(graph.by_name[graph.inputs[0]].shape))
    np.testing.assert_allclose(theirs.reshape(-1), expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())
