"""The size of a derivative against derivatives taken by hand, at and off the kinks of networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.compose import WIDTH, Composer, derivative_size
from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder
from tests.unit.specs.compose.modules import dense, random_dense

SIZES = [(3, 5, 2), (2, 4, 3, 2), (2, 3, 3, 3, 1), (1, 2, 1)]


def layers_of(graph: Graph) -> list[tuple[np.ndarray, np.ndarray]]:
    constant = {n.name: np.asarray(n.op.value, float) for n in graph.nodes if isinstance(n.op, ops.Constant)}
    weights = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.MatMul)]
    biases = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.Add)]
    return list(zip(weights, biases, strict=True))


def arguments(graph: Graph, x: np.ndarray) -> list[np.ndarray]:
    """Of the ReLUs, layer by layer."""
    found, value = [], x
    for weight, bias in layers_of(graph)[:-1]:
        found.append(value @ weight + bias)
        value = np.maximum(found[-1], 0)
    return found


def sizes(graph: Graph, steps: list[np.ndarray]) -> np.ndarray:
    """Sums of absolute derivatives of each output, where the ReLUs have these slopes."""
    weights = [weight for weight, _ in layers_of(graph)]
    product = weights[0]
    for step, weight in zip(steps, weights[1:], strict=True):
        product = (product * step) @ weight
    return np.abs(product).sum(axis=0)


def composed(graph: Graph) -> Graph:
    composer = Composer()
    x = composer.input("x", graph.by_name[graph.inputs[0]].shape)
    return composer.build([x], [derivative_size(composer, graph, x, "f").values])


@given(st.sampled_from(SIZES), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_it_is_the_derivative_off_the_kinks(shape: tuple[int, ...], seed: int) -> None:
    """Weights are multiples of 1/16 and inputs of 1/64, so float64 computes all of it exactly."""
    rng = np.random.default_rng(seed)
    graph = random_dense(rng, *shape)
    made = composed(graph)
    for x in rng.integers(-128, 129, (10, shape[0])) / 64:
        z = arguments(graph, x)
        if all((np.abs(part) > WIDTH).all() for part in z):
            assert made.evaluate_flat(x).tolist() == sizes(graph, [part > 0 for part in z]).tolist()


@given(st.sampled_from(SIZES), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_it_is_at_least_every_generalised_derivative_at_a_kink(shape: tuple[int, ...], seed: int) -> None:
    """Biases are moved so that there are kinks at or near the point; at one, any slope in [0, 1] is allowed."""
    rng = np.random.default_rng(seed)
    graph = random_dense(rng, *shape)
    x = rng.integers(-16, 17, shape[0]) / 16
    layers = layers_of(graph)
    at = x @ layers[0][0] + layers[0][1]
    moved = np.where(rng.random(len(at)) < 0.6, at - rng.choice([0, WIDTH / 2, -WIDTH / 2], len(at)), 0)
    graph = dense((layers[0][0], layers[0][1] - moved), *layers[1:])
    made = composed(graph).evaluate_flat(x)
    for _ in range(8):
        slopes = []
        for part in arguments(graph, x):
            free = rng.choice([0.0, 1.0, 0.5, rng.random()], len(part))
            slopes.append(np.where(part == 0, free, part > 0))
        assert (made >= sizes(graph, slopes) - 1e-9).all()


def unusual(kind: str) -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", (1, 2))
    matrix = builder.constant(np.array([[1, 2], [3, 4]], dtype=np.float32))
    if kind == "affine":
        return builder.build(("x",), (builder.add(ops.MatMul(), x, matrix),))
    if kind == "tanh":
        return builder.build(("x",), (builder.add(ops.MatMul(), builder.add(ops.Tanh(), x), matrix),))
    if kind == "twice":
        return builder.build(("x",), (builder.add(ops.Add(), x, builder.add(ops.Relu(), x)),))
    if kind == "relu":
        return builder.build(("x",), (builder.add(ops.Relu(), builder.add(ops.MatMul(), x, matrix)),))
    product = builder.add(ops.MatMul(), builder.add(ops.MatMul(), x, matrix), matrix)
    return builder.build(("x",), (builder.add(ops.MatMul(), builder.add(ops.Relu(), product), matrix),))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("affine", "is affine: its derivative is the same everywhere"),
        ("tanh", "has a layer of kind Tanh"),
        ("twice", "joins 2 values"),
        ("relu", "has a ReLU that no matrix product follows"),
        ("products", "multiplies by two matrices in a row"),
    ],
)
def test_other_networks_are_refused(kind: str, message: str) -> None:
    composer = Composer()
    with pytest.raises(ValueError, match=message):
        derivative_size(composer, unusual(kind), composer.input("x", (1, 2)), "f")
