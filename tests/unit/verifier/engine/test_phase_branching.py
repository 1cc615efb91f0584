"""Choosing the neuron to split, against costs and gains worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from verifier.engine.phases.batch import halved
from verifier.engine.phases.branching import ENOUGH, Experience, best, candidates
from verifier.engine.phases.node import Candidate, FinalDuals, Node, RowDuals

NEURON = (1, 4)


def node(lower: list[list[float]], upper: list[list[float]], rows: dict[int, RowDuals]) -> Node:
    arrays = ([np.array(part, dtype=np.float32) for part in side] for side in (lower, upper))
    final = FinalDuals((), np.zeros((1, 0)), np.zeros((1, 1)))
    return Node(0, (), *arrays, rows, np.arange(1), final)


def test_costs_are_passed_down_along_the_height_of_the_triangle() -> None:
    """Layer 1's one neuron on [-1, 3] costs 8; by its lower bound 8 * 3 / (4 * 1), by its upper bound 8 * 1 / (4 * 3).

    Its lower bound rests on neuron 0 of layer 0 with 0.5, its upper bound on neuron 1 with 6; neuron 2 is fixed.
    """
    gap = np.array([[0.5, 0, 7], [0, 6, 7]], dtype=np.float32)
    rows = RowDuals(np.array([0]), (np.zeros((2, 3), dtype=np.uint8),), np.zeros((2, 0)), (halved(gap),))
    one = node([[-1, -1, 1], [-1]], [[1, 1, 2], [3]], {1: rows})
    found = candidates(one, [np.array([1.0, 0, 0]), np.array([8.0])], 3, 0)
    assert [c.neuron for c in found] == [(1, 0), (0, 0), (0, 1)]
    assert [c.cost for c in found] == pytest.approx([8, 1 + 6 * 0.5, 6 * 8 / 12], rel=1e-2)
    assert [c.neuron for c in candidates(one, [np.array([1.0, 0, 0]), np.array([8.0])], 1, 2)] == [(1, 0), (0, 0)]


def test_bounds_are_reached_through_the_neurons_they_rest_on_alone() -> None:
    """Of three neurons, the first one's lower and the second one's upper bound rest on something."""
    gap = np.zeros((6, 3), dtype=np.float32)
    gap[0, 0], gap[4, 2] = 1e-30, 3.0
    rows = RowDuals(np.array([2, 5, 7]), (np.zeros((6, 3), dtype=np.uint8),), np.zeros((6, 0)), (halved(gap),))
    assert rows.reached({0: np.array([0])}).tolist() == [2]
    assert rows.reached({0: np.array([2])}).tolist() == [5]
    assert rows.reached({0: np.array([0, 1, 2])}).tolist() == [2, 5]
    assert rows.reached({0: np.array([1])}).tolist() == []
    assert rows.reached({3: np.array([0])}).tolist() == []  # a later layer


def test_the_best_split_has_the_largest_product_of_gains() -> None:
    children = np.array([[-9.0, 0.0], [-6.0, -6.0], [-8.0, -1.0]])
    assert best(-10.0, children) == 2  # 1 * 10, 4 * 4, 2 * 9


def test_gains_are_expected_in_proportion_to_cost_after_some_have_been_seen() -> None:
    experience = Experience()
    for k in range(ENOUGH):
        assert not experience.suffices(NEURON)
        experience.learn(Candidate(NEURON, 2.0), -10.0, np.array([-9.0, -6.0 - (k % 2)]))
    assert experience.suffices(NEURON)
    assert not experience.suffices((1, 5))
    assert experience.predicted(Candidate(NEURON, 4.0), -20.0) == pytest.approx([-20 + 2, -20 + 7])
    assert experience.predicted(Candidate(NEURON, 4.0), -5.0) == pytest.approx([-3, 0])  # nothing is missing then


def test_what_was_learnt_elsewhere_is_taken_over_once() -> None:
    ours = Experience()
    ours.learn(Candidate(NEURON, 1.0), -2.0, np.array([-1.0, -1.0]))
    theirs = ours.copy()
    theirs.learn(Candidate(NEURON, 1.0), -2.0, np.array([-2.0, 0.0]))
    theirs.learn(Candidate((0, 0), 1.0), -2.0, np.array([-2.0, 0.0]))
    assert ours.seen == {NEURON: (1, 1.0, 1.0)}
    for _ in range(2):
        ours.merge(theirs)
        assert ours.seen == {NEURON: (2, 1.0, 3.0), (0, 0): (1, 0.0, 2.0)}
    ours.merge(Experience({NEURON: (1, 9.0, 9.0)}))
    assert ours.seen[NEURON] == (2, 1.0, 3.0)
