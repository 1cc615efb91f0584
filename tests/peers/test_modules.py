"""A network handed over to PyTorch computes what it computed, and what cannot be handed over is named."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from specs.errors import ModelError, UnsupportedOpError
from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from tests.peers.networks import PIECEWISE, Drawn, dense, question

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peer


def values(network, rows, points):
    from relaxations.peers.modules import module_of

    module = module_of(network, rows, torch.float64)
    with torch.no_grad():
        return module(torch.from_numpy(points).reshape(len(points), *module.input_shape)).numpy()


def expected(graph, rows, points):
    outputs = np.stack([graph.evaluate_flat(point) for point in points])
    return points @ rows.x.T + outputs @ rows.y.T + rows.constant


def assert_same(graph, rows, points):
    """Equal to 1e-12 of the values' size: some hundred operations in float64, whose unit is 1e-16."""
    wanted = expected(graph, rows, points)
    assert np.abs(values(graph, rows, points) - wanted).max() <= 1e-12 * (1 + np.abs(wanted).max())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", PIECEWISE)
def test_a_graph_and_its_layers_are_the_same_function(kind, seed):
    graph = PIECEWISE[kind](seed)
    rows, low, up = question(graph, seed)
    points = np.random.default_rng(seed).uniform(low, up, (5, graph.input_size))
    assert_same(graph, rows, points)
    layers = values(lower(graph), rows, points)
    assert np.abs(layers - expected(graph, rows, points)).max() <= 1e-12 * (1 + np.abs(layers).max())


@pytest.mark.parametrize(
    "activation", [ops.Sigmoid(), ops.Tanh(), ops.LeakyRelu(0.1)], ids=lambda op: type(op).__name__
)
def test_activations(activation):
    graph = dense(0, activation)
    rows, low, up = question(graph, 1)
    assert_same(graph, rows, np.random.default_rng(0).uniform(low, up, (5, 4)))


def test_groups_uneven_pads_normalisation_and_arithmetic():
    drawn = Drawn(0, (1, 2, 5, 5))
    drawn.convolution(4, 2, (0, 1, 2, 0), group=2)
    positive = drawn.constant(np.abs(drawn.rng.normal(size=4)).astype(np.float32))
    drawn.then(ops.BatchNormalization(1e-5), drawn.weight(4), drawn.weight(4), drawn.weight(4), positive)
    drawn.then(ops.Mul(), drawn.weight(4, 1, 1))
    drawn.then(ops.Div(), positive and drawn.constant(np.float32(3.0)))
    drawn.then(ops.Sub(), drawn.weight(4, 1, 1))
    drawn.then(ops.Neg())
    drawn.flat()
    drawn.then(ops.MatMul(), drawn.weight(drawn.shape(drawn.last)[1], 3))
    graph = drawn.graph()
    rows, low, up = question(graph, 1)
    assert_same(graph, rows, np.random.default_rng(0).uniform(low, up, (5, graph.input_size)))


def test_a_product_that_is_read_twice_keeps_its_bias_apart():
    drawn = Drawn(0, (1, 3))
    product = drawn.then(ops.MatMul(), drawn.weight(3, 3))
    biased = drawn.then(ops.Add(), drawn.weight(3))
    drawn.last = drawn.add(ops.Add(), product, biased)
    graph = drawn.graph()
    rows, low, up = question(graph, 1)
    assert_same(graph, rows, np.random.default_rng(0).uniform(low, up, (5, 3)))


def test_every_operator_without_a_counterpart_is_named():
    drawn = Drawn(0, (1, 3))
    drawn.then(ops.Sin())
    drawn.then(ops.Relu())
    drawn.then(ops.Erf())
    graph = drawn.graph()
    with pytest.raises(UnsupportedOpError, match=r"Sin at node 'Sin'; Erf at node 'Erf'"):
        values(graph, Rows(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1)), np.zeros((1, 3)))


def test_a_product_of_two_values_is_refused():
    drawn = Drawn(0, (1, 3))
    drawn.then(ops.Mul(), drawn.last)
    with pytest.raises(UnsupportedOpError, match="Mul"):
        values(drawn.graph(), Rows(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1)), np.zeros((1, 3)))


def test_a_graph_without_a_batch_is_refused():
    builder = GraphBuilder()
    graph = builder.build(("x",), (builder.add(ops.Relu(), builder.input("x", (3,))),))
    with pytest.raises(ModelError, match="leading axis"):
        values(graph, Rows(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1)), np.zeros((1, 3)))


def test_signs_are_refused():
    graph = dense(0, ops.Sign())
    rows, low, _ = question(graph, 0)
    with pytest.raises(UnsupportedOpError, match="Sign at node 'layer 1'"):
        values(lower(graph), rows, low[None])
