"""Level sets of Gaussians: numbers that are exact, shares of data inside, and membership by rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from specs.hulls import Ellipsoid, ellipsoid_of


def sample(seed: int, count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size), 0)


@pytest.mark.parametrize(("count", "size", "share"), [(200, 3, "0.9"), (300, 6, "0.5"), (50, 8, "1"), (40, 2, "1/40")])
def test_the_share_of_the_data_is_inside_and_hardly_more(count: int, size: int, share: str) -> None:
    values = sample(count, count, size)
    found = ellipsoid_of(values, Fraction(share))
    inside = [found.contains([Fraction(v) for v in row]) for row in values.tolist()]
    assert found.inside(values).tolist() == inside
    assert found.held == sum(inside)
    wanted = -(-Fraction(share) * count // 1)
    assert wanted <= found.held <= wanted + 1
    smaller = Ellipsoid(found.center, found.factor, found.bound * Fraction(999, 1000), found.share, found.points)
    assert smaller.inside(values).sum() <= found.held


def test_it_is_the_level_set_of_the_regularised_gaussian() -> None:
    """Mahalanobis distances by NumPy's inverse of the covariance agree with the exact ones, but for the grid."""
    values = sample(1, 500, 4)
    found = ellipsoid_of(values, Fraction(9, 10))
    mean, covariance = values.mean(axis=0), np.cov(values.T, bias=True)
    covariance += np.eye(4) * np.trace(covariance) / 4 / 256
    away = values - mean
    wanted = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
    assert found.squares(values)[0] == pytest.approx(wanted, rel=5e-3, abs=1e-3)
    assert float(found.bound) == pytest.approx(np.sort(wanted)[449], rel=5e-3)


def test_states_and_symbols_are_inverse_to_each_other_exactly() -> None:
    found, rng = ellipsoid_of(sample(2, 60, 5), Fraction(4, 5)), np.random.default_rng(0)
    for _ in range(50):
        z = [Fraction(v) for v in rng.normal(size=5).tolist()]
        h = found.state(z)
        assert list(found.symbols(h)) == z
        assert found.contains(h) == (sum(v * v for v in z) <= found.bound)


def test_membership_is_decided_in_rationals_at_the_surface() -> None:
    """States on the surface, and just outside of it by less than float64 tells."""
    factor = ((Fraction(3, 4), Fraction(0)), (Fraction(1, 8), Fraction(1, 2)))
    found = Ellipsoid((Fraction(1), Fraction(2)), factor, Fraction(25), Fraction(1), 1)
    on = found.state([Fraction(3), Fraction(4)])
    assert found.contains(on)
    assert not found.contains([on[0], on[1] + Fraction(1, 10**40)])
    at = np.array([[float(v) for v in on]])
    assert found.inside(at).tolist() == [True]
    assert found.inside(np.nextafter(at, np.inf)).tolist() == [False]


def test_the_claimed_error_of_squares_holds() -> None:
    values = sample(3, 100, 7)
    found = ellipsoid_of(values, Fraction(1, 2))
    squares, errors = found.squares(values)
    for row, square, error in zip(values.tolist(), squares, errors):
        exact = sum(z * z for z in found.symbols([Fraction(v) for v in row]))
        assert abs(exact - Fraction(float(square))) <= Fraction(float(error))
        assert error < 1e-8 * (1 + square)


def test_the_radius_covers_the_bound() -> None:
    found = ellipsoid_of(sample(4, 30, 3), Fraction(1))
    assert found.radius**2 >= found.bound
    assert float(found.radius**2) == pytest.approx(float(found.bound), rel=1e-8)


def test_units_in_the_last_place_do_not_change_it() -> None:
    values = sample(5, 200, 6)
    moved = np.where(np.random.default_rng(0).random(values.shape) < 0.5, np.nextafter(values, np.inf), values)
    assert ellipsoid_of(values, Fraction(19, 20)) == ellipsoid_of(moved, Fraction(19, 20))


def test_data_that_does_not_vary_has_none() -> None:
    with pytest.raises(ValueError, match="does not vary"):
        ellipsoid_of(np.ones((5, 3)), Fraction(1))
    with pytest.raises(ValueError, match="too large"):
        ellipsoid_of(1e12 + np.random.default_rng(0).normal(size=(50, 1)) * 1e-4, Fraction(1))
