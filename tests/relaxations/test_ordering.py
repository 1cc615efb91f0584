"""Each relaxation allows the adversary no more than the one before it, and the last one no more than the truth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from relaxations.base import Query, Solution
from relaxations.bounds.relaxed import AlphaCrown, Crown, Interval
from relaxations.lp.triangle import Triangle
from relaxations.milp.big_m import BigM
from relaxations.sdp.shor import Shor
from tests.relaxations.queries import exact_optimum, random_query

SEEDS = range(200)
ROUNDING = 1e-9
INTERIOR = 1e-3  # where the interior point method stops
SOLVER = 1e-6  # what a solver's tolerance makes of its optimum


@cache
def solved(seed: int) -> tuple[Query, dict[str, Solution]]:
    query = random_query(seed, inputs=4, neurons=16)
    kinds = (Interval, Crown, AlphaCrown, Triangle, BigM)
    return query, {kind.name: kind(query).solve() for kind in kinds}


@pytest.mark.parametrize("seed", SEEDS)
def test_values_are_ordered_and_end_at_the_truth(seed: int) -> None:
    query, found = solved(seed)
    truth = float(exact_optimum(query))
    values = [found[name].value for name in ("ibp", "crown", "alpha-crown", "lp")]
    size = 1 + max(map(abs, values))
    for looser, tighter in zip(values, [*values[1:], truth]):
        assert looser >= tighter - ROUNDING * size
    assert found["milp"].value == pytest.approx(truth, abs=SOLVER * size)
    assert found["milp"].attained == pytest.approx(truth, abs=SOLVER * size)
    assert found["milp"].attained <= truth + ROUNDING * size
    proved = BigM(query).prove()
    assert proved.value >= truth - ROUNDING * size
    assert proved.value == pytest.approx(truth, abs=SOLVER * size)
    assert proved.finished


@pytest.mark.parametrize("seed", SEEDS)
def test_primal_and_dual_meet_where_they_should(seed: int) -> None:
    query, found = solved(seed)
    assert abs(found["lp"].gap) <= ROUNDING * (1 + abs(found["lp"].value))
    if len(query.rows.constant) > 1:
        return
    assert abs(found["ibp"].gap) <= ROUNDING * (1 + abs(found["ibp"].value))
    crown = found["crown"]
    met = abs(crown.gap) <= ROUNDING * (1 + abs(crown.value))
    assert met or len(query.network.layers) > 1, "the ranges of a first layer are never left"
    assert met or not any(gap.any() for gap in crown.action.gaps()), "an action that is none of A's"


@pytest.mark.parametrize("seed", SEEDS)
def test_moments_lie_between_the_triangle_and_the_truth(seed: int) -> None:
    """All linear constraints of the triangle follow from those of the moments, though none is among them."""
    query, found = solved(seed)
    moments, size = Shor(query).solve(), 1 + abs(found["lp"].value)
    assert moments.value <= found["lp"].value + INTERIOR * size
    assert moments.value >= float(exact_optimum(query)) - ROUNDING * size
    if moments.finished:
        assert abs(moments.gap) <= INTERIOR * size


def test_moments_close_much_of_what_the_triangle_leaves_open() -> None:
    found = [(solved(seed), Shor(solved(seed)[0]).solve()) for seed in range(50)]
    lp, truth = (np.array([solutions[name].value for (_, solutions), _ in found]) for name in ("lp", "milp"))
    sdp = np.array([moments.value for _, moments in found])
    assert (sdp - truth).sum() <= 0.5 * (lp - truth).sum()


def test_ascent_comes_close_to_the_linear_program() -> None:
    """By far less than what lies between the linear program and plain lines."""
    found = [solved(seed)[1] for seed in SEEDS]
    crown, alpha, lp = (np.array([each[name].value for each in found]) for name in ("crown", "alpha-crown", "lp"))
    assert (alpha - lp).sum() <= 0.05 * (crown - lp).sum()


def test_the_order_is_strict_somewhere() -> None:
    """Otherwise the networks would show nothing."""
    found = [solved(seed)[1] for seed in SEEDS]
    values = np.array([[each[name].value for name in ("ibp", "crown", "alpha-crown", "lp", "milp")] for each in found])
    assert ((values[:, :-1] - values[:, 1:] > 1e-3).sum(axis=0) >= 20).all()
