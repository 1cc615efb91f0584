"""Moments of known distributions: matrices, ranks, and the points they are made of."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from relaxations.sos.basis import monomials
from relaxations.sos.moments import atoms, covariance, expectation, first, flatness, matrix, of_point, violation
from tests.polynomials import bounded, number, x, y

POINTS = np.array([[0.5, -0.25], [-0.75, 0.5], [0.1, 0.9]])


def mixture(points: np.ndarray, weights: np.ndarray, degree: int) -> dict:
    wanted = monomials(range(points.shape[1]), degree)
    each = [of_point(point, wanted) for point in points]
    return {m: float(sum(w * one[m] for w, one in zip(weights, each))) for m in wanted}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_atoms_of_a_few_points_are_these_points(count):
    weights = np.array([0.5, 0.3, 0.2])[:count]
    moments = mixture(POINTS[:count], weights / weights.sum(), 6)
    found = flatness(moments, (0, 1), 3)
    assert (found.rank, found.inner_rank, found.flat) == (count, count, True)
    points = atoms(moments, (0, 1), 3, np.random.default_rng(0))
    order = np.lexsort(points.T)
    np.testing.assert_allclose(points[order], POINTS[:count][np.lexsort(POINTS[:count].T)], atol=1e-6)


def test_the_uniform_distribution_is_not_flat_and_gives_no_atoms():
    def moment(power: int) -> float:
        return 0.0 if power % 2 else 1 / (power + 1)

    moments = {m: float(np.prod([moment(e) for _, e in m])) for m in monomials((0, 1), 6)}
    assert not flatness(moments, (0, 1), 3).flat
    assert atoms(moments, (0, 1), 3, np.random.default_rng(0)) is None


def test_mean_and_covariance_are_those_of_the_distribution():
    weights = np.array([0.5, 0.3, 0.2])
    moments = mixture(POINTS, weights, 2)
    mean = weights @ POINTS
    np.testing.assert_allclose(first(moments, (0, 1)), mean)
    spread = (POINTS - mean).T @ ((POINTS - mean) * weights[:, None])
    np.testing.assert_allclose(covariance(moments, (0, 1)), spread, atol=1e-12)


def test_a_localising_matrix_is_the_expectation_of_its_entries():
    moments = mixture(POINTS, np.array([0.5, 0.3, 0.2]), 4)
    p = number(1) - x**2 + number("1/2") * x * y
    basis = monomials((0, 1), 1)
    found = matrix(moments, basis, p)
    assert found[1, 2] == pytest.approx(expectation(moments, p * x * y))
    assert found[0, 0] == pytest.approx(expectation(moments, p))


def test_a_point_violates_nothing_inside_and_something_outside():
    program = bounded(x**2 + y, 1).program(2)
    wanted = monomials((0, 1), 4)
    assert violation(of_point([0.3, -1.0], wanted), program) <= 1e-12
    assert violation(of_point([0.3, -1.2], wanted), program) > 0.1
    scaled = {m: 2 * value for m, value in of_point([0.3, -1.0], wanted).items()}
    assert violation(scaled, program) == pytest.approx(1)


def test_fixed_sides_take_no_part():
    question = bounded(x**2 + y, 1)
    narrow = type(question)(question.objectives, (Fraction(-1), Fraction(1, 3)), (Fraction(1), Fraction(1, 3)))
    program = narrow.program(1)
    assert {k for s in program.squares for m in s.basis for k, _ in m} == {0}
    assert program.objectives[0] == x**2 + number("1/3")
