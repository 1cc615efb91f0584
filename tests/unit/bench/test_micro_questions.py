"""The networks are what they claim to be, and the questions about them are the same in all their forms."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest

from bench.micro.networks import NETWORKS
from bench.micro.questions import question
from specs.graph import Graph, ops


def constants(graph: Graph) -> list[np.ndarray]:
    """Weights and biases in the order of the layers."""
    return [np.asarray(node.op.value) for node in graph.nodes if isinstance(node.op, ops.Constant)]


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "relus", "parameters"),
    [
        ("dense-5-50x6", 5, 5, 300, 5 * 50 + 5 * 50 * 50 + 50 * 5 + 6 * 50 + 5),
        ("dense-784-256x4", 784, 10, 1024, 784 * 256 + 3 * 256 * 256 + 256 * 10 + 4 * 256 + 10),
        (
            "conv", 3072, 10, 16 * 16 * 16 + 32 * 8 * 8 + 100,
            16 * 3 * 16 + 16 + 32 * 16 * 16 + 32 + 2048 * 100 + 100 + 1010,
        ),
        (
            "residual", 3072, 10, 8 * 16 * 16 + 2 * 16 * 8 * 8 + 2 * 16 * 4 * 4 + 100,
            (8 * 3 * 9 + 8)
            + (16 * 8 * 9 + 16 + 16 * 16 * 9 + 16 + 16 * 8 + 16)
            + (16 * 16 * 9 + 16 + 16 * 16 * 9 + 16 + 16 * 16 + 16)
            + 256 * 100 + 100 + 1010,
        ),
    ],
)  # fmt: skip
def test_sizes(name: str, inputs: int, outputs: int, relus: int, parameters: int) -> None:
    graph = NETWORKS[name]()
    assert (graph.input_size, graph.output_size) == (inputs, outputs)
    assert sum(prod(node.shape) for node in graph.nodes if isinstance(node.op, ops.Relu)) == relus
    assert sum(value.size for value in constants(graph)) == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_made_twice_it_is_the_same(name: str) -> None:
    first, second = NETWORKS[name](), NETWORKS[name]()
    assert all(np.array_equal(a, b) for a, b in zip(constants(first), constants(second), strict=True))
    assert question(name).threshold == question(name).threshold


@pytest.mark.peer
def test_images_go_through_the_layers_that_torch_knows() -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.functional import conv2d, linear, relu

    x = torch.from_numpy(np.random.default_rng(0).uniform(size=(1, 3, 32, 32)))

    def parts(name: str) -> list[object]:
        return [torch.from_numpy(value.astype(float)) for value in constants(NETWORKS[name]())]

    w1, b1, w2, b2, *head = parts("conv")
    y = relu(conv2d(relu(conv2d(x, w1, b1, stride=2, padding=1)), w2, b2, stride=2, padding=1))
    y = linear(relu(linear(y.flatten(1), head[0].T, head[1])), head[2].T, head[3])
    assert NETWORKS["conv"]().evaluate_flat(x.numpy()) == pytest.approx(y.numpy().ravel())

    w, b, *rest = parts("residual")
    y = relu(conv2d(x, w, b, stride=2, padding=1))
    for block in (rest[:6], rest[6:12]):
        first, second, beside = block[:2], block[2:4], block[4:]
        main = conv2d(relu(conv2d(y, *first, stride=2, padding=1)), *second, padding=1)
        y = relu(main + conv2d(y, *beside, stride=2))
    head = rest[12:]
    y = linear(relu(linear(y.flatten(1), head[0].T, head[1])), head[2].T, head[3])
    assert NETWORKS["residual"]().evaluate_flat(x.numpy()) == pytest.approx(y.numpy().ravel())


@pytest.mark.parametrize("name", NETWORKS)
def test_box_and_rows_are_those_of_the_problem(name: str) -> None:
    asked = question(name)
    (case,) = asked.problem.cases
    (row,) = case.any_of
    low, up = asked.box
    assert low == pytest.approx([float(x) for x in case.box.lower])
    assert up == pytest.approx([float(x) for x in case.box.upper])
    assert all(1000 % x.denominator == 0 for x in (*case.box.lower, *case.box.upper, row.constant))
    y = asked.graph.evaluate_flat((low + up) / 2)
    exact = sum(coefficient * Fraction(y[i]) for i, coefficient in row.y) + row.constant
    assert float(asked.rows.y[0] @ y + asked.rows.constant[0]) == pytest.approx(float(exact))
    assert row.x == ()
    assert not asked.rows.x.any()
    assert exact > 0  # no question is settled at its first point


def test_random_points_do_not_settle_the_question() -> None:
    asked = question("dense-5-50x6")
    low, up = asked.box
    points = np.random.default_rng(7).uniform(low, up, size=(500, 5))
    values = [asked.graph.evaluate_flat(x) @ asked.rows.y[0] for x in points]
    assert min(values) > float(asked.threshold)
