"""Branching rules against what they say, on boxes worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.verifier.engine.made import made
from verifier.engine.branching import RULES, OpenBoxes
from verifier.engine.deadline import Deadline
from verifier.engine.explore import Budget


def boxes(form: list[list[float]], gap: list[float], width: list[float], root: list[float]) -> OpenBoxes:
    return OpenBoxes(np.array([form]), np.array([gap]), np.array([width]), np.array(root))


@pytest.mark.parametrize(
    ("rule", "scores"),
    [
        ("smear", [(3 + 1) * 0.5, 2 * 1.0, 0.0]),
        ("smear-root", [(3 + 1) * 0.5 * 0.5, 2 * 1.0 * 1.0, 0.0]),
        ("longest", [0.25, 1.0, 0.5]),
        ("gap", [0.1, 0.7, 0.2]),
    ],
)
def test_scores(rule: str, scores: list[float]) -> None:
    open_boxes = boxes([[3, 2, 0], [-1, 0, 0]], [0.1, 0.7, 0.2], [0.5, 1.0, 4.0], [2.0, 1.0, 8.0])
    assert RULES[rule](open_boxes)[0] == pytest.approx(scores)


def test_where_the_relaxation_costs_nothing_the_gap_rule_is_smear() -> None:
    tight = boxes([[3, 2, 0]], [0, 0, 0], [0.5, 1.0, 4.0], [2.0, 1.0, 8.0])
    assert (RULES["gap"](tight) == RULES["smear"](tight)).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("depth_first", [True, False])
def test_every_rule_in_every_order_proves_what_holds(rule: str, depth_first: bool, tmp_path) -> None:
    """Splitting anything at all ends in a proof, and the checker accepts the tree."""
    proved = 0
    for seed in range(40, 60):
        one = made(seed, tmp_path, rule=rule, depth_first=depth_first)
        if not one.question.holds:
            continue
        seen = one.explorer.explore(one.lower[None], one.upper[None], Budget(Deadline.after(10), 1 << 16))
        assert len(seen.open_lower) == 0
        assert not one.proved(seen.pieces[0]).failures
        proved += 1
    assert proved >= 5
