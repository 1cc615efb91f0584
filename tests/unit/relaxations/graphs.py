"""Small graphs made for one test, and the comparison of their lowered networks with them."""

from __future__ import annotations

import numpy as np

from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from specs.graph import Graph, Op
from specs.loading.graph_builder import GraphBuilder

RNG = np.random.default_rng(11)


def weight(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def chain(shape: tuple[int, ...], *steps: tuple[Op, ...]) -> Graph:
    """Operators one after another; each step is the operator and its further, constant operands."""
    builder = GraphBuilder()
    value = builder.input("x", shape)
    for op, *constants in steps:
        value = builder.add(op, value, *(builder.constant(constant) for constant in constants))
    return builder.build(("x",), (value,))


def assert_same_function(graph: Graph) -> ReluNetwork:
    """The lowered network, once it has been found equal to 1e-12 of the size of the outputs at random points."""
    network = lower(graph)
    points = RNG.standard_normal((20, graph.input_size)) * 3
    expected = np.stack([graph.evaluate_flat(point) for point in points])
    assert network.evaluate(points).shape == expected.shape
    assert np.abs(network.evaluate(points) - expected).max() <= 1e-12 * (1 + np.abs(expected).max())
    return network
