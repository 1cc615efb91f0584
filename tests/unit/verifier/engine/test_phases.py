"""The search by ReLU phases against the exact answer, and its trees against the independent checker."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.unit.verifier.engine.made import made
from verifier.certificate.words import FRAME, LEAF, OPEN
from verifier.engine.deadline import Deadline
from verifier.engine.explore import Budget, Exploration
from verifier.engine.phases import PhaseExplorer

SEEDS = range(500, 530)


def explored(explorer: PhaseExplorer, lower: np.ndarray, upper: np.ndarray, nodes: int = 500) -> Exploration:
    return explorer.explore(lower[None], upper[None], Budget(Deadline.after(3), nodes))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_no_answer_is_wrong_and_the_checker_agrees(precision: str, tmp_path: Path) -> None:
    closed = violated = trees = 0
    for seed in SEEDS:
        one = made(seed, tmp_path, "near", precision=precision)
        if not one.explorer.network.layers:
            continue
        seen = explored(PhaseExplorer(one.explorer), one.lower, one.upper)
        exact = [
            one.question.network.margin(row, list(map(Fraction, seen.point.tolist()))) for row in one.question.rows
        ]
        if np.isfinite(seen.attained):
            assert seen.attained == pytest.approx(float(max(exact)), rel=1e-6, abs=1e-6)
        if len(seen.open_lower) == 0:
            assert one.question.holds
            assert not one.proved(seen.pieces[0]).failures
            closed += 1
            trees += int(seen.pieces[0][0] == FRAME)
        else:
            assert seen.pieces[0].tolist() == [OPEN]
            assert (seen.open_lower[0] == one.lower).all()
            assert (seen.open_upper[0] == one.upper).all()
            assert seen.proved <= float(one.question.optimum) + 1e-4 * (1 + abs(float(one.question.optimum)))
            violated += seen.attained <= 0
    assert closed >= 5
    assert violated >= 5
    assert trees >= 2


def test_a_budget_that_is_over_leaves_the_box_open(tmp_path: Path) -> None:
    one = made(next(seed for seed in SEEDS if _needs_a_tree(seed, tmp_path)), tmp_path, "near")
    seen = explored(PhaseExplorer(one.explorer), one.lower, one.upper, nodes=0)
    assert seen.pieces[0].tolist() == [OPEN]
    assert not seen.stuck.any()


def test_boxes_are_explored_one_by_one(tmp_path: Path) -> None:
    """The two halves of a box: one piece each, in order, both proved where they stand."""
    one = made(next(seed for seed in SEEDS if _needs_a_tree(seed, tmp_path)), tmp_path, "near")
    middle = one.lower + 0.5 * (one.upper - one.lower)
    first_up, second_low = one.upper.copy(), one.lower.copy()
    first_up[0] = second_low[0] = middle[0]
    lower, upper = np.stack([one.lower, second_low]), np.stack([first_up, one.upper])
    seen = PhaseExplorer(one.explorer).explore(lower, upper, Budget(Deadline.after(3), 4000))
    assert len(seen.pieces) == 2
    assert len(seen.open_lower) == 0
    assert not one.proved(np.concatenate([[16], *seen.pieces])).failures


def _needs_a_tree(seed: int, folder: Path) -> bool:
    """Whether the property holds on the box and the default rule alone does not prove it."""
    one = made(seed, folder, "near")
    if not (one.question.holds and one.explorer.network.layers):
        return False
    seen = explored(PhaseExplorer(one.explorer), one.lower, one.upper)
    return len(seen.open_lower) == 0 and seen.pieces[0].tolist() != [LEAF]
