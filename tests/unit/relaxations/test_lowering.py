"""The lowered network computes the same function as the graph, operator by operator and in combination."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.lowering import lower
from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Op, ops
from specs.loading.graph_builder import GraphBuilder
from tests.unit.relaxations.graphs import assert_same_function, chain, weight

RNG = np.random.default_rng(11)


AFFINE = {
    "matmul": ((1, 4), (ops.MatMul(), weight(4, 3))),
    "matmul of a vector": ((4,), (ops.MatMul(), weight(4, 3))),
    "add": ((2, 3), (ops.Add(), weight(2, 3))),
    "add broadcast": ((2, 3), (ops.Add(), weight(3))),
    "add that makes the result larger": ((3,), (ops.Add(), weight(2, 3))),
    "subtract": ((2, 3), (ops.Sub(), weight(2, 1))),
    "negate": ((2, 3), (ops.Neg(),)),
    "multiply": ((2, 3), (ops.Mul(), weight(2, 3))),
    "multiply broadcast": ((2, 3), (ops.Mul(), weight(1))),
    "divide": ((2, 3), (ops.Div(), weight(3) + 4)),
    "reshape": ((2, 3), (ops.Reshape((3, 2)),)),
    "transpose": ((2, 3, 4), (ops.Transpose((2, 0, 1)),)),
    "slice with steps": ((2, 6), (ops.Slice((5,), (0,), (1,), (-2,)),)),
    "gather": ((2, 3), (ops.Gather(1), np.array([2, 0, 0, -1]))),
    "expand": ((2, 1), (ops.Expand((3, 2, 4)),)),
    "sum": ((2, 3, 2), (ops.ReduceSum((1,), True),)),
    "mean": ((2, 3, 2), (ops.ReduceMean((0, 2), False),)),
    "pad": ((2, 3), (ops.Pad((1, 0, 0, 2), 0.5),)),
}


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("after_relu", [False, True])
def test_an_affine_operator_on_its_own(name: str, after_relu: bool) -> None:
    shape, step = AFFINE[name]
    graph = chain(shape, *([(ops.Relu(),)] if after_relu else []), step)
    assert len(lower(graph).layers) == after_relu
    assert_same_function(graph)


@pytest.mark.parametrize(("op", "shape"), [(ops.Sub(), (4,)), (ops.MatMul(), (3, 4))])
def test_a_constant_on_the_left(op: Op, shape: tuple[int, ...]) -> None:
    builder = GraphBuilder()
    x = builder.input("x", (4,))
    graph = builder.build(("x",), (builder.add(op, builder.constant(weight(*shape)), x),))
    assert_same_function(graph)


def test_a_deep_network_has_one_layer_for_each_relu() -> None:
    steps = [(ops.MatMul(), weight(4, 5))]
    steps += [
        (ops.Add(), weight(5)),
        (ops.Relu(),),
        (ops.Mul(), weight(5)),
        (ops.MatMul(), weight(5, 6)),
        (ops.Relu(),),
    ]
    graph = chain((1, 4), *steps, (ops.MatMul(), weight(6, 2)), (ops.Neg(),))
    network = lower(graph)
    assert network.widths == (4, 5, 6)
    assert [[source for source, _ in layer.terms] for layer in (*network.layers, network.output)] == [[0], [1], [2]]
    assert_same_function(graph)


def test_residual_concatenation_and_several_outputs() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (1, 4))
    first = builder.add(ops.Relu(), builder.add(ops.MatMul(), x, builder.constant(weight(4, 4))))
    residual = builder.add(ops.Add(), first, builder.add(ops.Sub(), x, first))
    stacked = builder.add(ops.Concat(1), first, residual, builder.constant(weight(1, 2)), x)
    second = builder.add(ops.Relu(), builder.add(ops.MatMul(), stacked, builder.constant(weight(14, 3))))
    graph = builder.build(("x",), (second, builder.add(ops.Concat(0), first, residual)))
    assert lower(graph).input_size == 4
    assert_same_function(graph)


def test_several_inputs_come_in_the_order_of_the_graph() -> None:
    builder = GraphBuilder()
    a, b = builder.input("a", (2,)), builder.input("b", (3,))
    product = builder.add(ops.MatMul(), b, builder.constant(weight(3, 2)))
    graph = builder.build(("b", "a"), (builder.add(ops.Relu(), builder.add(ops.Sub(), a, product)),))
    assert_same_function(graph)


def test_a_constant_layer_and_a_constant_output() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (3,))
    constant = builder.constant(weight(3))
    larger = builder.add(ops.Max(), constant, builder.constant(weight(3)), x)  # the first pair is constant
    network = assert_same_function(builder.build(("x",), (larger, constant)))
    assert network.widths == (3, 3, 3)


def test_a_large_sparse_matrix_is_stored_sparse_and_computes_the_same() -> None:
    dense = weight(500, 400) * (RNG.random((500, 400)) < 0.01)
    graph = chain((1, 500), (ops.MatMul(), dense), (ops.Relu(),), (ops.Slice((0,), (3,), (1,), (1,)),))
    network = lower(graph)
    assert not isinstance(network.layers[0].terms[0][1], np.ndarray)
    assert network.density < 0.1
    assert_same_function(graph)


def test_every_operator_without_a_meaning_is_named_at_once() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (3,))
    behind = builder.add(ops.Relu(), builder.add(ops.Sin(), x, stem="wave"))
    graph = builder.build(("x",), (behind, builder.add(ops.Mul(), x, x, stem="square")))
    with pytest.raises(UnsupportedOpError) as caught:
        lower(graph)
    assert caught.value.offenders == (("Sin", "wave"), ("Mul", "square"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_named_as_they_are_stored(bad: float) -> None:
    builder = GraphBuilder()
    x = builder.input("x", (1, 2))
    stored = builder.constant(np.array([[1, bad], [0, 1]], dtype=np.float32), "fc1.weight")
    turned = builder.add(ops.Transpose((1, 0)), stored, stem="call/Transpose")
    graph = builder.build(("x",), (builder.add(ops.MatMul(), x, turned),))
    with pytest.raises(ModelError, match=r"NaN or infinite .*'fc1\.weight/Transpose'"):
        lower(graph)
