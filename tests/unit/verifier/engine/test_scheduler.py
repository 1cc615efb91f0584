"""Whatever the order in which open boxes are explored, what comes back is one tree that the checker accepts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.unit.verifier.engine.made import made
from verifier.engine.deadline import Deadline
from verifier.engine.explore import Budget, Exploration
from verifier.engine.scheduler import CaseSearch, Place

SEEDS = range(100, 130)


def step(case: CaseSearch, places: list[Place], nodes: int) -> None:
    lower, upper = (np.stack(side) for side in zip(*((p.lower, p.upper) for p in places)))
    case.put_back(places, case.explorer.explore(lower, upper, Budget(Deadline.after(10), nodes)))


def test_pieces_explored_in_any_order_make_one_proof(tmp_path: Path) -> None:
    rng = random.Random(1)
    pieces = 0
    for seed in SEEDS:
        one = made(seed, tmp_path, "near", clip_below=0.5)
        case = one.case()
        while case.waiting and case.attained > 0:
            rng.shuffle(case.waiting)
            places = case.take(rng.randint(1, 3))
            step(case, places, nodes=len(places) + 4)
            missing = [(k, i) for k, below in enumerate(case.pieces.children) for i, c in enumerate(below) if c is None]
            assert sorted(place.at for place in case.open) == missing
        if case.closed:
            assert one.question.holds
            words = case.pieces.stream().words
            assert not one.proved(words).failures
            assert case.nodes == len(words) + len(case.pieces.words) - 1
            pieces += len(case.pieces.words)
        else:
            assert one.question.optimum <= 0
    assert pieces > 40


def test_the_bound_of_open_boxes_and_the_worst_point_are_kept(tmp_path: Path) -> None:
    one = made(0, tmp_path)
    case = one.case()
    (place,) = case.take(1)
    low, up = np.stack([one.lower, one.lower]), np.stack([one.upper, one.upper])
    words = np.array([16, -1, -1])
    case.put_back([place], Exploration((words,), low, up, np.array([False, True]), 3, 0.25, one.lower, -0.5))
    assert [(p.at, p.bound) for p in case.waiting] == [((0, 0), -0.5)]
    assert [(p.at, p.bound) for p in case.stuck] == [((0, 1), -0.5)]
    assert (case.nodes, case.attained) == (3, 0.25)
    assert not case.closed
    case.put_back(
        [case.waiting.pop()],
        Exploration((np.array([0]),), low[:0], up[:0], np.zeros(0, bool), 1, 1.0, one.upper, np.inf),
    )
    assert (case.attained, case.point.tolist()) == (0.25, one.lower.tolist())
    assert [p.at for p in case.open] == [(0, 1)]


def test_a_candidate_is_reported_once_until_a_clearly_lower_one_comes(tmp_path: Path) -> None:
    one = made(0, tmp_path)
    case = one.case()
    assert not case.judge(0.5, one.lower)
    assert case.judge(-1.0, one.lower)
    assert not case.judge(-1.0, one.lower)
    assert not case.judge(-1.0 - 1e-7, one.lower)
    assert case.judge(-1.1, one.upper)
    assert (case.attained, case.point.tolist()) == (-1.1, one.upper.tolist())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_newest_boxes_are_taken_first(count: int, tmp_path: Path) -> None:
    case = made(0, tmp_path).case()
    case.waiting = places = [Place((0, i), case.root.lower, case.root.upper) for i in range(3)]
    assert case.take(count) == places[-count:]
    assert case.waiting == places[:-count]
