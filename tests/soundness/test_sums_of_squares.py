"""Sums of squares against mathematics: least values and regions that are known, each proof read by the checker."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("cvxpy")

from relaxations.sos.basis import monomials
from relaxations.sos.moments import atoms, flatness, violation
from relaxations.sos.proving import prove_least, refute
from specs.polynomial import Polynomial
from tests.polynomials import (
    bounded,
    cubic,
    goldstein_price,
    judged,
    motzkin,
    problem,
    square_box,
    van_der_pol,
    written,
)

LEVEL_TOLERANCE = 1e-3


def accepted(found, half, size=2):
    return judged(written(problem(found.case, half, size), [found.proof])).accepted


def test_goldstein_price_has_the_minimum_3_at_0_minus_1():
    found = prove_least(bounded(goldstein_price(), 2), 4)
    assert 3 - LEVEL_TOLERANCE <= found.level <= 3
    assert accepted(found, 2)
    points = atoms(found.solved.moments, (0, 1), 4, np.random.default_rng(0))
    assert len(points) == 1
    np.testing.assert_allclose(found.scaling.to_x(points), [[0, -1]], atol=1e-2)


def test_motzkin_is_no_sum_of_squares_and_its_pseudo_distribution_is_none_of_points():
    found = prove_least(bounded(motzkin(), 3), 3)
    assert found.level < -0.05, "order 3 cannot see that it is not negative"
    assert accepted(found, 3)
    moments = found.solved.moments
    assert violation(moments, found.program) < 1e-8
    assert found.solved.value == pytest.approx(float(found.level), abs=1e-5)
    assert not flatness(moments, (0, 1), 3).flat
    assert atoms(moments, (0, 1), 3, np.random.default_rng(0)) is None


def test_motzkin_is_settled_with_its_four_minimisers_on_a_smaller_box():
    found = prove_least(bounded(motzkin(), 2), 4)
    assert -1e-4 <= found.level <= 0
    assert accepted(found, 2)
    points = found.scaling.to_x(atoms(found.solved.moments, (0, 1), 4, np.random.default_rng(0)))
    assert sorted(map(tuple, np.round(points).astype(int))) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    np.testing.assert_allclose(np.abs(points), 1, atol=1e-2)


@pytest.mark.parametrize("seed", range(20))
def test_random_quartics_against_a_grid(seed):
    rng = np.random.default_rng(seed)
    p = Polynomial.of({m: Fraction(int(rng.integers(-99, 100)), 100) for m in monomials((0, 1), 4)})
    found = prove_least(bounded(p, 1), 3)
    axis = np.linspace(-1, 1, 401)
    grid = np.meshgrid(axis, axis, indexing="ij")
    values = sum(float(c) * np.prod([grid[k] ** power for k, power in m], axis=0) for m, c in p.terms.items())
    least = float(values.min())
    # The true minimum is below the grid's by at most half a step in each direction times the slope: an l1 bound.
    slope = sum(abs(float(c)) * sum(power for _, power in m) for m, c in p.terms.items())
    assert float(found.level) <= least
    assert float(found.level) >= least - slope * 0.5 * (axis[1] - axis[0]) - LEVEL_TOLERANCE
    assert accepted(found, 1)


def test_van_der_pol_is_proved_and_refuted_close_to_2_3045():
    lower, upper = square_box(Fraction(7, 2))
    rho = Fraction("2.304")
    case = van_der_pol(rho)
    attempt = refute(case, lower, upper, 4)
    assert attempt.proof is not None
    assert judged(written(problem(case, Fraction(7, 2)), [attempt.proof])).accepted
    # A point near the tangency, in exact arithmetic: no proof may claim more than this.
    point = (Fraction("0.85592468510965"), Fraction("-0.75048765914763"))
    assert van_der_pol(Fraction("2.3046")).contains(point)
    assert refute(van_der_pol(Fraction("2.3046")), lower, upper, 4).proof is None


@pytest.mark.parametrize(("rho", "provable"), [("0.5", True), ("0.999", True), ("1.001", False), ("1.5", False)])
def test_the_cubic_system_is_attracted_exactly_below_1(rho, provable):
    case = cubic(Fraction(rho))
    attempt = refute(case, *square_box(2, 1), 4)
    assert (attempt.proof is not None) == provable
    if provable:
        assert judged(written(problem(case, 2, 1), [attempt.proof])).accepted
    else:
        assert case.contains((Fraction("1.0002"),))
