"""The explicit list of all inputs: exact where inputs are finitely many, and below every relaxation of their box."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.enumeration import LARGEST, Enumeration, Grid
from relaxations.registry import relaxations
from tests.relaxations.queries import eighths, exact_network, exact_rows, random_network, random_query

ROUNDING = 1e-9
SOLVER = 1e-4  # of the semidefinite program, the coarsest of the solvers


def binary(seed: int, inputs: int = 12) -> Query:
    """A network of binary inputs, with no more range than that."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, [inputs, 10, 6], 3)
    rows = Rows(eighths(rng, (2, inputs)) * (seed % 2), eighths(rng, (2, 3)), eighths(rng, 2))
    return Query.over_box(network, rows, np.zeros(inputs), np.ones(inputs))


def brute_force(query: Query, points: list[tuple[Fraction, ...]]) -> Fraction:
    """The best score among the points, in rational arithmetic."""
    network, rows = exact_network(query), exact_rows(query)
    return max(min(-network.margin(row, x) for row in rows) for x in points)


@pytest.mark.parametrize("seed", range(3))
def test_twelve_binary_inputs_are_a_list_of_4096_rows_and_its_value_is_the_truth(seed: int) -> None:
    query = binary(seed)
    points = Grid(query.lower, query.upper, 2).points
    cube = list(product((Fraction(0), Fraction(1)), repeat=12))
    assert sorted(map(tuple, points.tolist())) == sorted(cube)
    found = Enumeration(query, points).solve()
    assert found.dual is not None
    assert found.dual.shape == (4096,)
    truth = brute_force(query, cube)
    assert Fraction(found.value) == truth, "sums of short binary fractions are exact in float64"
    assert found.value == found.attained
    assert found.finished


@pytest.mark.parametrize("seed", range(3))
def test_every_relaxation_of_the_cube_is_above_its_list(seed: int) -> None:
    query = binary(seed)
    listed = Enumeration(query, Grid(query.lower, query.upper, 2).points).solve().value
    names = ("ibp", "crown", "alpha-crown", "lp", "milp")
    values = {name: relaxations.get(name)(query).solve(20).value for name in (*names, "sdp")}
    ordered = [*(values[name] for name in names), listed]
    size = 1 + max(map(abs, ordered))
    for looser, tighter in pairwise(ordered):
        assert looser >= tighter - ROUNDING * size
    assert values["sdp"] >= listed - SOLVER * size
    assert values["lp"] > listed, "otherwise the cube shows nothing"


@pytest.mark.parametrize("seed", range(20))
def test_any_list_bounds_the_score_and_one_that_leaves_inputs_out_is_refused(seed: int) -> None:
    query = random_query(seed)
    points = Grid(query.lower, query.upper, 3).points
    relaxation, rng = Enumeration(query, points), np.random.default_rng(seed)
    truth = float(query.score(points).max())
    assert relaxation.solve().value == pytest.approx(truth, abs=ROUNDING * (1 + abs(truth)))
    for _ in range(20):
        assert relaxation.bound(relaxation.some_dual(rng)) >= truth - ROUNDING * (1 + abs(truth))
    with pytest.raises(ValueError, match="rows for"):
        relaxation.bound(relaxation.some_dual(rng)[1:])


@pytest.mark.parametrize("seed", range(20))
def test_points_are_actions_and_other_inputs_are_not(seed: int) -> None:
    query = random_query(seed)
    points = Grid(query.lower, query.upper, 3).points
    relaxation = Enumeration(query, points)
    for x in points:
        assert relaxation.outside(relaxation.embed(x)) == 0
        assert relaxation.score(x) == pytest.approx(float(query.score(x[None])[0]), rel=1e-12)
    between = points[0] + (query.upper - query.lower) / 4
    assert relaxation.outside(between) == pytest.approx(float((query.upper - query.lower).max()) / 4)
    with pytest.raises(ValueError, match="inputs of the box"):
        Enumeration(query, points + 1.0)
    with pytest.raises(ValueError, match="at least one"):
        Enumeration(query, points[:0])


def test_a_grid_has_the_ends_of_the_box_and_knows_its_nearest_points() -> None:
    rng = np.random.default_rng(3)
    for steps in (2, 3, 6):
        lower = rng.normal(size=4)
        upper = lower + np.where([True, False, True, True], rng.exponential(size=4), 0.0)
        grid = Grid(lower, upper, steps)
        points = grid.points
        assert grid.count == len(points) == len(np.unique(points, axis=0)) == steps**3
        assert (points.min(axis=0) == lower).all()
        assert (points.max(axis=0) == upper).all()
        assert (grid.nearest(points) == points).all()
        for x in rng.uniform(lower - 0.1, upper + 0.1, size=(50, 4)):
            [near] = grid.nearest(x[None])
            assert (points == near).all(axis=1).any()
            least = np.linalg.norm(points - x, axis=1).min()
            assert np.linalg.norm(near - x) <= least * (1 + ROUNDING)


def test_without_points_it_is_for_boxes_of_one_input() -> None:
    query = random_query(1)
    assert "not finitely many" in Enumeration.declines(query)
    assert f"more than {LARGEST}" in Enumeration.declines(query, LARGEST + 1)
    assert "1.0e+300 rows" in Enumeration.declines(query, 10**300)
    assert Enumeration.declines(query, LARGEST) == ""
    point = replace(query, upper=query.lower)
    assert Enumeration.declines(point) == ""
    assert Enumeration(point).solve().value == float(query.score(query.lower[None])[0])


def test_there_is_no_list_without_time() -> None:
    query = binary(0)
    found = Enumeration(query, Grid(query.lower, query.upper, 2).points).solve(-1.0)
    assert (found.value, found.dual, found.finished) == (np.inf, None, False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_number_proves_nothing() -> None:
    query = random_query(0, rows=1)
    point = replace(query, upper=query.lower, rows=replace(query.rows, constant=np.full(1, np.nan)))
    relaxation = Enumeration(point)
    assert relaxation.solve().value == np.inf
    assert relaxation.bound(np.zeros(1, dtype=int)) == np.inf
