"""A graph restricted to a hull computes the same inside, and agrees on what is inside."""

from __future__ import annotations

import numpy as np
import pytest

from specs.compose import internal_tensor
from specs.graph import Graph, ops
from specs.hulls import HullShape, activations, hull_of
from specs.hulls.restrict import restricted
from tests.unit.specs.compose.modules import dense, random_dense

TAPS = [["pre1", "pre2"], ["relu1", "relu2"], ["pre1", "relu2"], ["pre2"]]


def relus(graph: Graph) -> int:
    return sum(int(np.prod(node.shape)) for node in graph.nodes if isinstance(node.op, ops.Relu))


@pytest.mark.parametrize("taps", TAPS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_same_inside_and_same_inside_set(taps: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = random_dense(rng, 3, 8, 7, 2)
    nodes = [internal_tensor(whole, tap) for tap in taps]
    graph = Graph(whole.nodes, whole.inputs, (*whole.outputs, *nodes))
    data = rng.integers(-3, 4, (12, 3)) / 8 + 0.25
    found = activations(whole, data, taps)
    hulls = {node: hull_of(found.values[tap], HullShape("octagon")) for node, tap in zip(nodes, taps)}
    pruned = restricted(graph, hulls)
    assert relus(pruned) < relus(graph) or "pre1" not in taps
    assert [node.shape for node in map(pruned.by_name.get, pruned.outputs) if node] == [
        graph.by_name[name].shape for name in graph.outputs
    ]
    inside = 0
    for x in np.concatenate([data, rng.integers(-8, 9, (300, 3)) / 8]):
        (y, *seen), (other, *also) = graph.evaluate(x), pruned.evaluate(x)
        here = all(h.contains(v.reshape(-1).tolist()) for h, v in zip(hulls.values(), seen))
        there = all(h.contains(v.reshape(-1).tolist()) for h, v in zip(hulls.values(), also))
        assert here == there
        if here:
            assert np.array_equal(y, other)
            inside += 1
    assert 12 <= inside < 312


def test_a_unit_that_returns_nothing_on_the_hull_still_shows_that_an_input_is_outside() -> None:
    """relu(x - 3) is 0 on [1, 2], so 4 is outside of the hull of what it returns, in the restricted graph as well."""
    whole = dense(([[1, 1]], [-3, 0]), ([[1], [1]], [0]))
    tap = internal_tensor(whole, "relu1")
    graph = Graph(whole.nodes, whole.inputs, (tap,))
    hull = hull_of(np.array([[0.0, 1.0], [0.0, 8.0]]), HullShape())
    pruned = restricted(graph, {tap: hull})
    assert relus(pruned) == 1  # x itself is positive on the hull
    assert hull.contains(pruned.evaluate_flat([2]).tolist())
    assert not hull.contains(pruned.evaluate_flat([4]).tolist())
    assert not hull.contains(pruned.evaluate_flat([-1]).tolist())


def test_each_phase_is_what_the_hull_fixes() -> None:
    """On [1, 2]: x - 3 is idle, x is linear, x - 1.5 is free; a network without hulls stays what it is."""
    graph = dense(([[1, 1, 1]], [-3, 0, -1.5]), ([[1], [1], [1]], [0]))
    data = np.array([[1.0], [2.0]])
    hull = hull_of(activations(graph, data, ["pre1"]).values["pre1"], HullShape())
    pruned = restricted(graph, {internal_tensor(graph, "pre1"): hull})
    assert relus(pruned) == 1
    assert [float(pruned.evaluate_flat([x])[0]) for x in (1, 1.75, 2, 4, -1)] == [1, 2, 2.5, 6.5, -1]
    assert restricted(graph, {}) is graph
