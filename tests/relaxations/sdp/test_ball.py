"""The ball in Shor's relaxation: closed forms, a general solver's values, order, weak duality, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.balls import MANY_PASSES, Ball, least
from relaxations.bounds.boxes import Rows
from relaxations.bounds.relaxed import AlphaCrown
from relaxations.lifting import Lifting
from relaxations.lp.safe_dual import random_multipliers
from relaxations.lp.triangle import Triangle
from relaxations.network import Layer, ReluNetwork
from relaxations.sdp import first_order, interior_point
from relaxations.sdp.linear_start import squared
from relaxations.sdp.products import in_ball
from relaxations.sdp.shor import Moments, Shor
from tests.relaxations.queries import ball_query, eighths, inputs_of, random_network

ROUNDING = 1e-9  # of the values compared: thousands of float64 operations on numbers of that size
INTERIOR = 1e-3  # where the interior point method stops
SIZES = {"inputs": 4, "neurons": 10, "layers": 2, "rows": 3}


def affine(rng: np.random.Generator, inputs: int, side: float) -> tuple[Query, np.ndarray, float]:
    """One row ``w.x + d`` on an ellipsoid around 0 and a box of ``side`` times its half axes; w and d."""
    network = ReluNetwork(inputs, (), Layer(((0, eighths(rng, (1, inputs))),), eighths(rng, 1)))
    rows, radii = Rows(np.zeros((1, inputs)), np.ones((1, 1)), np.zeros(1)), np.exp(rng.normal(size=inputs) / 2)
    [(_, weight)], bias = network.output.terms, float(network.output.bias[0])
    return Query.over_box(network, rows, -side * radii, side * radii, Ball(np.zeros(inputs), radii)), weight[0], bias


@pytest.mark.parametrize("seed", range(20))
def test_an_affine_row_has_its_closed_form(seed: int) -> None:
    """The least of ``w.x + d`` is ``d - |(w_i r_i)_i|``: a linear form over a ball is exact, by the S-lemma."""
    query, w, d = affine(np.random.default_rng(seed), 1 + seed % 6, 1.5)
    least = d - float(np.linalg.norm(w * query.ball.radii))
    solution, size = Shor(query).solve(), 1 + abs(least)
    assert -solution.value <= least + ROUNDING * size
    assert -solution.value >= least - INTERIOR * size
    assert solution.attained == pytest.approx(-least, abs=INTERIOR * size)
    reach = float(np.abs(w) @ query.ball.radii)
    box = Shor(replace(query, ball=None)).solve().value
    assert box == pytest.approx(-(d - 1.5 * reach), abs=INTERIOR * size)


@pytest.mark.parametrize("seed", range(20))
def test_linear_duals_are_split_between_box_and_ball_at_no_loss(seed: int) -> None:
    """Without ReLUs their start is the exact least value over box and ball, wherever the box cuts the ball."""
    query, w, d = affine(np.random.default_rng(seed), 1 + seed % 6, 0.3 + 0.1 * (seed % 8))
    lifting = Lifting.of(query)
    start = squared(lifting, random_multipliers(query, np.random.default_rng(seed)))
    middle, radius = np.zeros(len(w)), query.upper
    points = query.moved_inside(least(w[None], middle, radius, query.ball, np, MANY_PASSES)[1])
    attained, size = float(points[0] @ w) + d, 1 + float(np.abs(w) @ radius)
    assert start.proved <= attained + ROUNDING * size
    assert start.proved >= attained - 1e-6 * size
    assert -Shor(query).bound(start.dual) == pytest.approx(start.proved, abs=ROUNDING * size)


def test_one_neuron_on_a_ball_is_exact() -> None:
    """``max(w.x, 0) - v.x`` is one quadratic form over a ball: moments of order 2 attain its least value."""
    rng, exact = np.random.default_rng(5), 0
    for _ in range(10):
        w, v = eighths(rng, (1, 3)), eighths(rng, (1, 3))
        if not w.any():
            continue
        network = ReluNetwork(3, (Layer(((0, w),), np.zeros(1)),), Layer(((1, np.eye(1)), (0, -v)), np.zeros(1)))
        rows = Rows(np.zeros((1, 3)), np.ones((1, 1)), np.zeros(1))
        query = Query.over_box(network, rows, np.full(3, -2.0), np.full(3, 2.0), Ball(np.zeros(3), np.ones(3)))
        least = _least_of_relu(w[0], v[0])
        solution = Shor(query).solve()
        assert -solution.value <= least + ROUNDING
        assert -solution.value == pytest.approx(least, abs=INTERIOR)
        assert AlphaCrown(query).solve().value >= solution.value - INTERIOR
        exact += 1
    assert exact >= 8


def _least_of_relu(w: np.ndarray, v: np.ndarray) -> float:
    """Of ``max(w.x, 0) - v.x`` over the unit ball: the form of the active half, of the other one, or of both."""
    on = v - (w @ v) / (w @ w) * w  # the part along the boundary
    values = [-float(np.linalg.norm(on))]
    if w @ (v - w) >= 0:
        values.append(-float(np.linalg.norm(v - w)))
    if w @ v <= 0:
        values.append(-float(np.linalg.norm(v)))
    return min(values)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("seed", range(12))
def test_values_are_those_of_a_general_solver(seed: int) -> None:
    pytest.importorskip("cvxpy")
    from relaxations.sdp import reference

    query = ball_query(seed, inputs=4, neurons=8, layers=2)
    solution, expected = Shor(query).solve(), -reference.value(query)
    assert solution.value == pytest.approx(expected, abs=INTERIOR * (1 + abs(expected)))


@pytest.mark.parametrize("seed", range(60))
def test_moments_lie_between_the_triangle_and_the_truth(seed: int) -> None:
    """With the same ranges: the linear program knows the ball by them alone."""
    query = ball_query(seed, **SIZES)
    solution, box = Shor(query).solve(), Shor(replace(query, ball=None)).solve()
    triangle = Triangle(query).solve()
    points = inputs_of(query, np.random.default_rng(seed), 20_000)
    size = 1 + abs(triangle.value)
    assert solution.value <= triangle.value + INTERIOR * size
    assert solution.value <= box.value + INTERIOR * size
    assert solution.value >= float(query.score(points).max()) - ROUNDING * size
    if solution.finished:
        assert abs(solution.gap) <= INTERIOR * size


def test_a_ball_makes_most_values_better_and_half_of_the_gap_is_due_to_it() -> None:
    queries = [ball_query(seed, **SIZES) for seed in range(40) if seed % 4 != 3]
    values = np.array([[Shor(q).solve().value, Shor(replace(q, ball=None)).solve().value] for q in queries])
    truth = np.array([float(q.score(inputs_of(q, np.random.default_rng(0), 20_000)).max()) for q in queries])
    assert (values[:, 1] - values[:, 0] > 1e-3).mean() > 0.5
    assert (values[:, 0] - truth).sum() <= 0.5 * (values[:, 1] - truth).sum()


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_duals_of_any_kind_bound_all_inputs(seed: int) -> None:
    query, rng = ball_query(seed, **SIZES), np.random.default_rng(seed)
    shor = Shor(query)
    best = float(query.score(inputs_of(query, rng, 2000)).max())
    used = 0
    for _ in range(1000):
        dual = shor.some_dual(rng)
        dual = replace(dual, ball=dual.ball * 10.0 ** rng.integers(-3, 3))
        bound = shor.bound(dual)
        assert bound >= best - ROUNDING * (1 + abs(bound) + abs(best))
        used += dual.ball > 0
    assert used >= 300


def test_the_form_of_the_ball_is_its_square_less_one() -> None:
    """At inputs of the box, some of which are fixed, in units that the fixed ones leave."""
    seen = 0
    for seed in range(20):
        query, rng = ball_query(seed, **SIZES), np.random.default_rng(seed)
        fixed = rng.random(len(query.lower)) < 0.3
        inside = query.moved_inside(((query.lower + query.upper) / 2)[None])[0]
        query = replace(query, lower=np.where(fixed, inside, query.lower), upper=np.where(fixed, inside, query.upper))
        lifting = Lifting.of(query)
        if lifting.ball is None:  # the fixed ones are at its surface
            continue
        seen += 1
        x = rng.uniform(query.lower, query.upper, (50, len(fixed)))
        for point, vector in zip(x, lifting.vectors(x)):
            expected = (float(query.ball.lengths(point)) ** 2 - 1) / lifting.ball.share
            moments = np.outer(vector, vector)
            assert lifting.ball.mean(moments) == pytest.approx(expected, abs=ROUNDING * (1 + abs(expected)))
            matrix = np.zeros_like(moments)
            lifting.ball.add_to(matrix, 1.0)
            assert np.vdot(matrix, moments) == pytest.approx(expected, abs=ROUNDING * (1 + abs(expected)))
            assert lifting.ball.times(moments) == pytest.approx(moments @ matrix, abs=1e-9 * (1 + np.abs(matrix).max()))
    assert seen >= 10


@pytest.mark.parametrize("radius", [0.0, 1e-300, np.inf])
def test_balls_of_no_use_are_left_out(radius: float) -> None:
    """Of one point, too small for their squares, or without a limit: what is left is the box's relaxation."""
    query = ball_query(1, **SIZES)
    inside = query.moved_inside(((query.lower + query.upper) / 2)[None])[0]
    query = replace(query, ball=Ball(inside, np.full(len(inside), radius)))
    lifting = Lifting.of(query)
    assert lifting.ball is None or np.isinf(radius)
    solution = Shor(query).solve()
    assert np.isfinite(solution.value)
    assert solution.value >= float(query.score(inside[None])[0]) - ROUNDING


def test_moments_outside_of_the_ball_are_told() -> None:
    query, _, _ = affine(np.random.default_rng(3), 3, 1.5)
    shor = Shor(query)
    corner = shor.lifting.vectors(query.upper[None])[0]
    spread = np.diag([1.0, 1.0, 1.0, 1.0])
    assert shor.outside(Moments(np.outer(corner, corner))) == pytest.approx(3 * 1.5**2 - 1)
    assert shor.outside(Moments(spread)) == pytest.approx(3 * 1.5**2 - 1), "each alone could be at its box's end"
    assert Shor(replace(query, ball=None)).outside(Moments(spread)) <= ROUNDING


def test_first_order_steps_make_use_of_the_ball() -> None:
    """In both coordinates: of the ball, and of the box where that is thin in some direction."""
    pytest.importorskip("jax")
    inputs, coordinates = 8, set()
    network = random_network(np.random.default_rng(1), [inputs, 20, 20], 2)
    rows = Rows(np.zeros((1, inputs)), np.array([[1.0, -1.0]]), np.zeros(1))
    for lower, radii in ((0.0, 0.3), (-0.3, 0.3), (-0.3, np.where(np.arange(inputs) == 0, 1e4, 0.3))):
        side = np.full(inputs, 0.3)
        query = Query.over_box(network, rows, lower * np.ones(inputs), side, Ball(np.zeros(inputs), radii * side / 0.3))
        lifting = Lifting.of(query)
        coordinates.add(in_ball(lifting))
        best, found = interior_point.solve(lifting), first_order.solve(lifting)
        assert best.finished
        assert found.proved <= best.primal + 1e-3 * (1 + abs(best.primal))
        assert best.proved - found.proved <= 0.1 * (best.proved - found.began)
        assert -Shor(query).bound(found.dual) == pytest.approx(found.proved, abs=1e-6)
        assert found.dual.ball > 0
        scores = query.score(inputs_of(query, np.random.default_rng(0), 20_000))
        assert -found.proved >= scores.max() - ROUNDING
    assert coordinates == {True, False}


@pytest.mark.parametrize("seed", range(4))
def test_what_first_order_steps_prove_is_true(seed: int) -> None:
    pytest.importorskip("jax")
    query = ball_query(seed, **SIZES)
    found = first_order.solve(Lifting.of(query), steps=100)
    best = float(query.score(inputs_of(query, np.random.default_rng(seed), 20_000)).max())
    assert -found.proved >= best - ROUNDING * (1 + abs(best))
    assert found.proved >= found.began
