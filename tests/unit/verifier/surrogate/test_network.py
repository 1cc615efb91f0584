"""Training against mathematics: gradients, known functions, the same graph, fair shares."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from specs.loading import load_model
from specs.loading.onnx_writer import write_onnx
from verifier.surrogate.choosing import candidates, schedule
from verifier.surrogate.network import Network, _gradient, train, untrained


def test_the_gradient_is_the_slope_of_the_error():
    rng = np.random.default_rng(0)
    values = [part.astype(float) for layer in untrained((3, 5, 4, 1), rng).layers for part in layer]
    x, y = rng.normal(size=(7, 3)), rng.normal(size=7)

    def error() -> float:
        value = x
        for k, (weights, biases) in enumerate(pairwise(values)):
            if k % 2 == 0:
                value = value @ weights + biases
                value = np.maximum(value, 0) if k < 4 else value
        return float(0.5 * np.mean((value[:, 0] - y) ** 2))

    slopes = _gradient(values, x, y)
    for part, slope in zip(values, slopes):
        for at in [tuple(rng.integers(0, n) for n in part.shape) for _ in range(4)]:
            kept, step = part[at], 1e-6
            part[at] = kept + step
            above = error()
            part[at] = kept - step
            below = error()
            part[at] = kept
            assert slope[at] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x[:, 0] - x[:, 1] + 3,
        lambda x: np.maximum(x[:, 0], 0) - np.maximum(x[:, 1] - 0.5, 0),
    ],
    ids=["linear", "relu"],
)
def test_a_known_function_is_learned(function):
    """At 10,000 points that were not learned from, the error is a small share of how much the function varies."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (400, 2))
    network = train((2, 16, 16, 1), x, function(x), 3000, rng)
    fresh = rng.uniform(-1, 1, (10_000, 2))
    error = np.abs(network(fresh) - function(fresh))
    assert np.sqrt(np.mean(error**2)) < 0.04 * function(fresh).std()
    assert np.quantile(error, 0.99) < 0.12 * function(fresh).std()


def test_training_is_the_same_each_time():
    x = np.random.default_rng(2).uniform(size=(50, 3))
    first, second = (train((3, 6, 1), x, x[:, 0], 50, np.random.default_rng(7)) for _ in range(2))
    assert write_onnx(first.graph()) == write_onnx(second.graph())
    other = train((3, 6, 1), x, x[:, 0], 50, np.random.default_rng(8))
    assert write_onnx(other.graph()) != write_onnx(first.graph())


def test_an_element_that_never_changes_gets_no_weight():
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.uniform(-1, 1, 100), np.full(100, 0.3)])
    network = train((2, 8, 1), x, x[:, 0], 500, rng)
    assert not network.layers[0][0][1].any()
    elsewhere = x + [0.0, 5.0]
    assert np.array_equal(network(x), network(elsewhere))


def test_the_file_is_the_network(tmp_path):
    rng = np.random.default_rng(4)
    network: Network = untrained((3, 7, 1), rng)
    (tmp_path / "n.onnx").write_bytes(write_onnx(network.graph()))
    graph = load_model(tmp_path / "n.onnx")
    x = rng.normal(size=(20, 3))
    assert [float(graph.evaluate_flat(row)[0]) for row in x] == pytest.approx(network(x).tolist(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("queries", [1, 2, 7, 8, 60, 1200, 1201])
@pytest.mark.parametrize(
    "select",
    [
        ("random",),
        ("disagreement",),
        ("attack-guided", "disagreement"),
        ("random", "attack-guided"),
        ("random", "disagreement", "attack-guided"),
    ],
)
def test_every_way_of_choosing_gets_its_share(queries, select):
    rounds = schedule(queries, select)
    total = {kind: sum(n for one in rounds for k, n in one if k == kind) for kind in ("random", *select)}
    assert sum(total.values()) == queries
    assert rounds[0] == [("random", sum(n for _, n in rounds[0]))]
    if queries >= 60:
        own = [total[kind] for kind in select]
        assert max(own) - min(own) <= 1


def test_choosing_finds_where_the_answers_are_least():
    rng = np.random.default_rng(5)
    box = (np.full(2, -1.0), np.full(2, 1.0))
    x = rng.uniform(-1, 1, (200, 2))
    y = np.abs(x - [0.5, -0.5]).sum(axis=1)
    wanted = [("attack-guided", 20), ("random", 20)]
    found = list(candidates(wanted, (2, 32, 32, 1), box, (x, y), lambda x: x, np.random.default_rng(6)))
    again = list(candidates(wanted, (2, 32, 32, 1), box, (x, y), lambda x: x, np.random.default_rng(6)))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, again, strict=True))
    chosen = np.array([x for kind, x in found if kind == "attack-guided"])
    distances = np.abs(chosen - [0.5, -0.5]).sum(axis=1)
    assert len(chosen) == 20
    assert np.median(distances) < 0.25  # of uniform points less than one in 30 is as near
    assert all((np.abs(x) <= 1).all() for _, x in found)


def test_choosing_finds_where_little_is_known():
    rng = np.random.default_rng(7)
    box = (np.zeros(1), np.ones(1))
    x = rng.uniform(0, 0.5, (200, 1))  # nothing was asked in the upper half
    wanted = [("disagreement", 20)]
    found = candidates(wanted, (1, 16, 1), box, (x, np.sin(9 * x[:, 0])), lambda x: x, np.random.default_rng(8))
    chosen = np.array([x[0] for kind, x in found if kind == "disagreement"])
    assert (chosen > 0.5).mean() > 0.9
