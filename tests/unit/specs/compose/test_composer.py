"""Composed graphs: their values are those of composing by hand, and equal computations are one."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.lowering import lower
from specs.compose import Composer, internal_tensor
from specs.graph import Graph, ops
from specs.loading.onnx import parse_onnx
from specs.loading.onnx_writer import write_onnx
from tests.unit.specs.compose.modules import dense, random_dense

POINTS = 10_000


def count(graph: Graph, kind: type) -> int:
    return sum(isinstance(node.op, kind) for node in graph.nodes)


def informed(target: Graph, judge: Graph) -> Graph:
    """``judge(x, target(x), first hidden layer of target(x))``."""
    composer = Composer()
    x = composer.input("x", (1, 3))
    (y,) = composer.inline(target, [x], target.outputs, "target")
    (h,) = composer.inline(target, [x], [internal_tensor(target, "relu1")], "target")
    seen = composer.reshaped(composer.joined([x, y, h]), (1, 10))
    return composer.build([x], composer.inline(judge, [seen], judge.outputs, "judge"))


def test_a_composite_computes_what_composing_by_hand_does() -> None:
    rng = np.random.default_rng(0)
    target, judge = random_dense(rng, 3, 5, 4, 2), random_dense(rng, 10, 6, 2)
    composed = informed(target, judge)
    taps = Graph(target.nodes, target.inputs, (*target.outputs, "hidden1"))
    for x in rng.integers(-64, 65, (POINTS, 1, 3)) / 64:
        y, h = taps.evaluate(x)
        (expected,) = judge.evaluate(np.concatenate([x, y, h], axis=1))
        (found,) = composed.evaluate(x)
        assert np.array_equal(found, expected)  # dyadic weights and inputs: float64 is exact


def test_what_is_computed_twice_is_there_once() -> None:
    rng = np.random.default_rng(1)
    target, judge = random_dense(rng, 3, 5, 4, 2), random_dense(rng, 10, 6, 2)
    composed = informed(target, judge)
    assert count(composed, ops.Relu) == 3
    assert count(composed, ops.MatMul) == 5
    assert len({node.name for node in composed.nodes}) == len(composed.nodes)


def test_models_share_the_layers_in_which_they_agree() -> None:
    first = ([[1.0, -2.0], [0.5, 1.0]], [0.0, 1.0])
    one, other = dense(first, ([[1.0], [1.0]], [0.0])), dense(first, ([[1.0], [-1.0]], [0.0]))
    composer = Composer()
    x = composer.input("x", (1, 2))
    outputs = [composer.inline(graph, [x], graph.outputs, name)[0] for graph, name in ((one, "one"), (other, "other"))]
    composed = composer.build([x], outputs)
    assert count(composed, ops.Relu) == 1
    at = np.array([[0.25, -1.0]])
    assert np.array_equal(composed.evaluate_flat(at), [one.evaluate_flat(at)[0], other.evaluate_flat(at)[0]])


def test_a_pair_of_equal_copies_differs_by_nothing() -> None:
    """One hidden layer, read twice and subtracted: a bound that forgot that both are the same would be 2 or more."""
    target = dense(([[1.0, -1.0]], [0.0, 0.0]), ([[1.0], [1.0]], [0.0]))
    difference = dense(([[1.0], [1.0], [-1.0], [-1.0]], [0.0]))
    composer = Composer()
    x = composer.input("x", (1, 1))
    (h,) = composer.inline(target, [x], ["hidden1"], "target")
    both = composer.reshaped(composer.joined([h, h]), (1, 4))
    composed = composer.build([x], composer.inline(difference, [both], difference.outputs, "difference"))
    for sign in (1.0, -1.0):
        bounder = BoxBounder(lower(composed), Rows(np.zeros((1, 1)), np.array([[sign]]), np.zeros(1)))
        bound = bounder.bounds(np.array([[-1.0]]), np.array([[1.0]])).lower
        assert bound == 0.0


def test_bounds_go_through_both_readers_of_a_tap() -> None:
    """``(h + 1) / 2 - relu(h)`` over ``h`` in [-1, 1] is at least 0; with two unrelated ``h`` it would reach -1."""
    target = dense(([[1.0]], [0.0]), ([[1.0]], [0.0]))
    composer = Composer()
    x = composer.input("x", (1, 1))
    (h,) = composer.inline(target, [x], ["hidden1"], "target")
    (pre,) = composer.inline(target, [x], [internal_tensor(target, "pre1")], "target")
    composed = composer.build([x], [composer.joined([h, pre])])
    bounder = BoxBounder(lower(composed), Rows(np.zeros((1, 1)), np.array([[-1.0, 0.5]]), np.array([0.5])))
    assert bounder.bounds(np.array([[-1.0]]), np.array([[1.0]])).lower == 0.0


def test_a_composite_survives_the_way_through_a_file() -> None:
    rng = np.random.default_rng(2)
    composed = informed(random_dense(rng, 3, 5, 4, 2), random_dense(rng, 10, 6, 2))
    read = parse_onnx(write_onnx(composed), "composed.onnx", None)
    for x in rng.uniform(-1, 1, (20, 3)):
        assert np.array_equal(read.evaluate_flat(x), composed.evaluate_flat(x))


def test_composition_is_deterministic() -> None:
    graphs = [informed(*(random_dense(np.random.default_rng(s), *n) for s, n in pairs)) for pairs in [PAIRS, PAIRS]]
    assert write_onnx(graphs[0]) == write_onnx(graphs[1])


PAIRS = [(3, (3, 5, 4, 2)), (4, (10, 6, 2))]


def test_only_what_is_read_becomes_part_of_the_graph() -> None:
    target = random_dense(np.random.default_rng(5), 2, 4, 4, 1)
    composer = Composer()
    x, z = composer.input("x", (1, 2)), composer.input("z", (3,))
    (y,) = composer.inline(target, [x], target.outputs, "target")
    (h,) = composer.inline(target, [x], ["hidden1"], "target")
    picked = composer.picked(h, [2, 0])
    graph = composer.build([x], [picked])
    assert count(graph, ops.Relu) == 1
    whole, part = Graph(target.nodes, target.inputs, ("hidden1",)), graph
    at = np.array([[0.5, -0.25]])
    assert np.array_equal(part.evaluate_flat(at), whole.evaluate_flat(at)[[2, 0]])
    assert composer.inputs_of([y, z]) == {"x", "z"}
    with pytest.raises(ValueError, match="depend on x"):
        composer.build([z], [y])


def test_wrong_arguments_are_refused() -> None:
    target = random_dense(np.random.default_rng(6), 2, 1)
    composer = Composer()
    x = composer.input("x", (1, 3))
    with pytest.raises(ValueError, match=r"takes inputs of shapes \[\(1, 2\)\], not \[\(1, 3\)\]"):
        composer.inline(target, [x], target.outputs, "target")
    with pytest.raises(ValueError, match="already"):
        composer.input("x", (1,))
