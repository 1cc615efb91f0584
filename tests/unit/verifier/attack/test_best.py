"""What counts as reached: points of the case's own box, confirmed where it matters, and when that is enough."""

from __future__ import annotations

import numpy as np

from tests.unit.verifier.attack.aims import rows
from verifier.attack.best import STEPS_TO_DEPTH, Best
from verifier.attack.targets import Targets
from verifier.engine.deadline import Deadline

LOW, UP = np.zeros(2), np.ones(2)
CASE = rows([[1.0]], [0.0], 2)
POINTS = np.array([[0.1, 0.2], [0.3, 0.4]])


def best(exact: float = -1.0, seconds: float = 10.0, boxes: int = 1) -> Best:
    lower = [LOW, LOW - (boxes - 1)]
    targets = Targets.of([CASE, CASE], lower, [UP, UP])
    return Best(targets, np.zeros(2), lambda case, point: exact, Deadline.after(seconds))


def test_a_point_counts_for_every_case_of_its_box_and_for_no_other() -> None:
    one, two = best(boxes=1), best(boxes=2)
    values = np.array([[5.0, 1.0], [3.0, 2.0]])
    for b in (one, two):
        assert not b.see(POINTS, np.array([0, 0]), values)
    assert one.values.tolist() == [3, 1]
    assert one.points[1].tolist() == [0.1, 0.2]
    assert two.values.tolist() == [3, np.inf]
    assert list(two.points) == [0]


def test_no_number_is_never_the_best() -> None:
    b = best()
    assert not b.see(POINTS, np.array([0, 0]), np.array([[np.nan, np.nan], [4.0, np.nan]]))
    assert b.values.tolist() == [4, np.inf]
    assert list(b.points) == [0]


def test_a_value_that_is_not_confirmed_is_none() -> None:
    b = best(exact=0.25)
    b.depth = 0.1
    for _ in range(STEPS_TO_DEPTH + 2):
        assert not b.see(POINTS, np.array([0, 0]), np.array([[-1.0, 9.0], [2.0, 9.0]]))
    assert b.values.tolist() == [0.25, 9]


def test_a_deep_value_is_enough_at_once_and_a_shallow_one_after_some_steps() -> None:
    deep, shallow = best(exact=-1.0), best(exact=-0.01)
    deep.depth = shallow.depth = 0.1
    values = np.array([[-0.01, 9.0], [2.0, 9.0]])
    assert deep.see(POINTS, np.array([0, 0]), values)
    assert [shallow.see(POINTS, np.array([0, 0]), values) for _ in range(STEPS_TO_DEPTH + 1)] == [
        *[False] * STEPS_TO_DEPTH,
        True,
    ]


def test_no_time_is_enough() -> None:
    assert best(seconds=-1.0).see(POINTS, np.array([0, 0]), np.full((2, 2), 7.0))
