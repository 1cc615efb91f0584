"""How well one law covers another: closed forms beside integrals and suprema on grids, and what is infinite."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from verifier.relaxed_checker.laws import Normal, divergence_of_normals, domination_of_boxes, domination_of_normals
from verifier.statistics.sampling import Box, Mixture, draws

F = Fraction
STANDARD = Normal((F(0),), (F(1),))


def normal(mean, deviation):
    return Normal((F(mean),), (F(deviation),))


def density(law: Normal, x):
    return NormalDist(float(law.means[0]), float(law.deviations[0])).pdf(x)


@pytest.mark.parametrize("proposal", [normal(0, 2), normal(1, 2), normal("-1/2", "3/2"), normal(0, 1)])
def test_domination_is_the_supremum_of_the_ratio(proposal):
    grid = np.linspace(-8, 8, 4001)
    ratios = [density(STANDARD, x) / density(proposal, x) for x in grid]
    kappa = float(domination_of_normals(STANDARD, proposal))
    assert max(ratios) <= kappa * (1 + 1e-12)
    assert kappa == pytest.approx(max(ratios), rel=1e-5)  # the grid misses the top by its width


@pytest.mark.parametrize("order", [F(2), F(11, 10), F(5)])
@pytest.mark.parametrize("proposal", [normal(1, 1), normal(0, 2), normal("1/2", "9/10")])
def test_divergence_is_the_integral(order, proposal):
    found = divergence_of_normals(STANDARD, proposal, order)
    if order * proposal.deviations[0] ** 2 - (order - 1) <= 0:
        assert found is None
        return
    a = float(order)
    grid = np.linspace(-200, 200, 1_000_001)
    inside = a * _log_density(STANDARD, grid) + (1 - a) * _log_density(proposal, grid)
    most = inside.max()
    integral = (most + math.log(np.exp(inside - most).sum() * 4e-4)) / (a - 1)
    assert float(found) == pytest.approx(integral, rel=1e-9)


def _log_density(law, x):
    m, s = float(law.means[0]), float(law.deviations[0])
    return -((x - m) ** 2) / (2 * s**2) - math.log(s * math.sqrt(2 * math.pi))


def test_coordinates_multiply_and_add():
    p, q = Normal((F(0), F(1)), (F(1), F(2))), Normal((F(1), F(1)), (F(2), F(3)))
    ones = [(normal(0, 1), normal(1, 2)), (normal(1, 2), normal(1, 3))]
    product = math.prod(float(domination_of_normals(*pair)) for pair in ones)
    assert float(domination_of_normals(p, q)) == pytest.approx(product, rel=1e-12)
    total = sum(float(divergence_of_normals(*pair, F(3))) for pair in ones)
    assert float(divergence_of_normals(p, q, F(3))) == pytest.approx(total, rel=1e-12)


def test_what_is_infinite():
    assert domination_of_normals(STANDARD, normal(1, 1)) is None
    assert domination_of_normals(STANDARD, normal(0, "1/2")) is None
    assert divergence_of_normals(STANDARD, normal(0, "1/2"), F(2)) is None
    assert domination_of_normals(STANDARD, STANDARD) == 1
    assert 0 <= divergence_of_normals(STANDARD, STANDARD, F(2)) < F(1, 10**15)
    with pytest.raises(ValueError, match="order"):
        divergence_of_normals(STANDARD, STANDARD, F(1))
    with pytest.raises(ValueError, match="deviation"):
        normal(0, 0)


def test_divergence_of_a_high_order_is_the_logarithm_of_the_domination():
    """D_a rises to D_infinity = ln sup dP/dQ."""
    proposal = normal("1/2", 2)
    kappa = float(domination_of_normals(STANDARD, proposal))
    found = [float(divergence_of_normals(STANDARD, proposal, F(a))) for a in (2, 8, 64, 1000)]
    assert found == sorted(found)
    assert found[-1] <= math.log(kappa) <= found[-1] + 0.01


def test_boxes_exactly():
    square, half = Box((0.0, 0.0), (1.0, 1.0)), Box((0.0, 0.0), (0.5, 1.0))
    assert domination_of_boxes(half, square) == 2
    assert domination_of_boxes(square, half) is None
    assert domination_of_boxes(half, Mixture((F(1, 4), F(3, 4)), (square, half))) == F(2) / (F(1, 4) + F(3, 2))
    nature = Mixture((F(1, 3), F(2, 3)), (square, half))
    assert domination_of_boxes(nature, square) == F(1, 3) + F(4, 3)
    assert domination_of_boxes(nature, nature) == 1
    with pytest.raises(ValueError, match="inner points"):
        domination_of_boxes(square, Box((0.0, 0.0), (1.0, 0.0)))


def test_no_event_is_more_frequent_than_domination_allows():
    """Shares of a thousand cells under draws of both laws, within five standard deviations."""
    square, corner = Box((0.0, 0.0), (1.0, 1.0)), Box((0.5, 0.25), (1.0, 1.0))
    nature, proposal = Mixture((F(1, 5), F(4, 5)), (square, corner)), Mixture((F(1, 2), F(1, 2)), (square, corner))
    kappa, count = float(domination_of_boxes(nature, proposal)), 20_000
    shares = []
    for seed, law in enumerate((nature, proposal)):
        points = np.array([x for _, x in zip(range(count), draws(law, seed))])
        shares.append(np.histogram2d(*points.T, bins=8, range=[[0, 1], [0, 1]])[0] / count)
    noise = 5 * np.sqrt(shares[0] / count) + 5 * kappa * np.sqrt(shares[1] / count) + 5 / count
    assert (shares[0] <= kappa * shares[1] + noise).all()
