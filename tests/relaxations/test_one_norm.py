"""Relaxations on balls of the norm 1: the contract, optima known in closed form or from peers, and the LP's ball."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.balls import Ball, OneNormBall, least
from relaxations.bounds.boxes import Rows
from relaxations.bounds.dual import Duals, Frame, Lines, evaluate, lines
from relaxations.bounds.forward import Form, interval
from relaxations.bounds.greedy import rows_layer
from relaxations.bounds.relaxed import AlphaCrown, Crown, Interval, frame_of
from relaxations.lp.triangle import Triangle
from relaxations.network import Layer, ReluNetwork
from relaxations.registry import relaxations
from tests.relaxations.contract import check_relaxation
from tests.relaxations.queries import ball_query, eighths, inputs_of
from tests.relaxations.test_contract import PLANS, Plan

CASES, MOST = 2_000, 40  # inputs seen, and queries
ROUNDING = 1e-9


def cross_query(seed: int, **sizes: int) -> Query:
    return ball_query(seed, OneNormBall, **sizes)


@pytest.mark.parametrize("name", relaxations.names())
def test_the_contract_is_kept_on_balls_of_the_norm_1(name: str, record_property: Any) -> None:
    plan = PLANS.get(name, Plan())
    kind, queries = relaxations.get(name), [cross_query(seed, **plan.sizes) for seed in range(min(plan.count, MOST))]
    if all(kind.declines(query) for query in queries):
        assert name in ("enumerate", "milp", "smt"), f"{name} declines all balls"
        return
    seen = check_relaxation(kind, queries, CASES // len(queries), 10, plan.tolerance)
    assert seen.solved == len(queries)
    assert seen.embedded >= CASES
    record_property("largest gap", max(seen.gaps, default=0.0))


def random_form(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, OneNormBall]:
    """Forms, and a box and a ball that meet, of up to 20 inputs some of which are fixed."""
    rng = np.random.default_rng(seed)
    while True:
        size = int(rng.integers(1, 21))
        center, radii = rng.normal(size=size), np.exp(rng.normal(size=size))
        low, up = (radii * np.exp(rng.normal(size=size)) * rng.integers(0, 2, size) for _ in range(2))
        shift = radii * rng.normal(size=size) * rng.choice([0, 0.5]) / size
        ball = OneNormBall(center, radii)
        if not ball.misses(center + shift - low, center + shift + up):
            return rng.normal(size=(4, size)), center + shift - low, center + shift + up, ball


@pytest.mark.parametrize("seed", range(60))
def test_the_least_value_of_a_form_is_that_of_a_linear_program(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    form, low, up, ball = random_form(seed)
    values, points = least(form, (low + up) / 2, (up - low) / 2, ball, np)
    size = len(low)
    spent = np.concatenate([np.zeros(size), 1 / ball.radii])[None]
    distances = np.block([[np.eye(size), -np.eye(size)], [-np.eye(size), -np.eye(size)]])
    ends = np.concatenate([ball.center, -ball.center, [1.0]])
    sides = [*zip(low, up), *[(0, None)] * size]
    for a, value, x in zip(form, values, points):
        solved = optimize.linprog([*a, *np.zeros(size)], np.concatenate([distances, spent]), ends, bounds=sides)
        assert value + a @ (low + up) / 2 == pytest.approx(solved.fun, abs=1e-7)
        assert a @ x == pytest.approx(solved.fun, abs=1e-7)
        assert ball.lengths(x) <= 1 + ROUNDING
        assert (x >= low - ROUNDING).all()
        assert (x <= up + ROUNDING).all()


@pytest.mark.parametrize("seed", range(40))
def test_points_are_moved_to_the_nearest_of_both(seed: int) -> None:
    """No other point of box and ball that is seen is nearer, and what is inside stays."""
    _, low, up, ball = random_form(seed)
    rng = np.random.default_rng(seed)
    points = ball.center + rng.normal(size=(20, len(low))) * 3
    moved = ball.moved_inside(points, low, up, 0.0)
    others = ball.moved_inside(ball.center + rng.normal(size=(300, len(low))) * ball.radii, low, up, 0.0)
    for found in (moved, others):
        assert (ball.lengths(found) <= 1 + 1e-12).all()
        assert (found >= low).all()
        assert (found <= up).all()
    away = np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1)
    assert (np.linalg.norm(points - moved, axis=1) <= away + 1e-6).all()
    assert ball.moved_inside(others, low, up, 0.0) == pytest.approx(others, abs=1e-9)
    single = OneNormBall(np.clip(ball.center, low, up), 0 * ball.radii)
    assert (single.moved_inside(points, low, up) == single.center).all()
    free = OneNormBall(ball.center, np.full(len(low), np.inf))
    assert (free.moved_inside(points, low, up) == np.clip(points, low, up)).all()


def affine_query(rng: np.random.Generator, inputs: int, kind: type[Ball]) -> Query:
    """One row over an affine network, on the ball of radius 1/2 around 0 and a box that is 3/2 wide."""
    network = ReluNetwork(inputs, (), Layer(((0, eighths(rng, (1, inputs))),), eighths(rng, 1)))
    rows, side = Rows(np.zeros((1, inputs)), np.ones((1, 1)), np.zeros(1)), np.full(inputs, 0.75)
    return Query.over_box(network, rows, -side, side, kind(np.zeros(inputs), np.full(inputs, 0.5)))


@pytest.mark.parametrize("kind", [Interval, Crown, AlphaCrown, Triangle])
@pytest.mark.parametrize("seed", range(10))
def test_an_affine_row_has_its_closed_form(kind: type, seed: int) -> None:
    """On a ball of radius r the least of ``w.x + b`` is ``b - r max |w|``; in the other norms it is less."""
    query = affine_query(np.random.default_rng(seed), 1 + seed % 7, OneNormBall)
    [(_, weight)], bias = query.network.output.terms, query.network.output.bias[0]
    value = kind(query).solve().value
    assert value == pytest.approx(-(bias - 0.5 * np.abs(weight).max()), abs=1e-9)
    euclidean = affine_query(np.random.default_rng(seed), 1 + seed % 7, Ball)
    assert value <= Crown(euclidean).solve().value + ROUNDING


@pytest.mark.parametrize("seed", range(100))
def test_a_ball_makes_no_bound_worse(seed: int) -> None:
    """With the same ranges, in this order: box, Euclidean ball, ball of the norm 1 of the same radii."""
    query = cross_query(seed, inputs=6)
    assert query.ball is not None
    euclidean = replace(query, ball=Ball(query.ball.center, query.ball.radii))
    for kind in (Interval, Crown):
        values = [kind(each).solve().value for each in (query, euclidean, replace(query, ball=None))]
        size = 1 + max(map(abs, values))
        assert values[0] <= values[1] + ROUNDING * size, kind.name
        assert values[1] <= values[2] + ROUNDING * size, kind.name


@pytest.mark.parametrize("seed", range(30))
def test_the_linear_program_states_the_ball(seed: int) -> None:
    """Its optimum is attained and what its dual proves, and as good as any slopes of CROWN, without which it began."""
    query = cross_query(seed, inputs=4)
    found = Triangle(query).solve()
    assert found.attained == pytest.approx(found.value, abs=1e-6 * (1 + abs(found.value)))
    assert found.action is not None
    assert query.ball is not None
    assert query.ball.lengths(found.action.x) <= 1 + 1e-6
    for other in (Crown, AlphaCrown):
        assert found.value <= other(query).solve().value + 1e-6 * (1 + abs(found.value))


@pytest.mark.parametrize("seed", range(20))
def test_ranges_of_forms_hold_over_box_and_ball(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = cross_query(seed, inputs=5)
    assert query.ball is not None
    mid, rad = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
    count, inputs = 4, len(mid)
    form = Form(rng.normal(size=(1, inputs, count)), rng.normal(size=(1, count)), rng.random((1, count)))
    low, up = interval(form, rad[None], np, query.ball.around(query.lower[None], query.upper[None]))
    values = (inputs_of(query, rng, 500) - mid) @ form.generators[0] + form.center[0]
    assert (values.min(axis=0) - form.remainder[0] >= low[0] - ROUNDING).all()
    assert (values.max(axis=0) + form.remainder[0] <= up[0] + ROUNDING).all()
    of_box = interval(form, rad[None], np)
    assert (low >= of_box[0] - ROUNDING).all()
    assert (up <= of_box[1] + ROUNDING).all()


def test_a_compiled_ascent_proves_what_numpy_does() -> None:
    gained = [bool(compiled_and_plain(seed).any()) for seed in range(4)]
    assert sum(gained) >= 2, "otherwise there was nothing to be done alike"


def compiled_and_plain(seed: int) -> np.ndarray:
    """Which rows (R,) the compiled ascent has raised, all of them to where NumPy has, but for rounding to float32."""
    jax = pytest.importorskip("jax")
    from relaxations.bounds.compiled import compile_step, padded, shortened

    query = cross_query(seed, inputs=3, neurons=12)
    network, frame = query.network, frame_of(query)
    target = rows_layer(query.rows, network.output)
    drawn = lines(frame, (None,) * len(network.layers), np)
    count = len(query.rows.constant)
    slopes = tuple(np.full((count, len(l)), 0.5, np.float32) for l, _ in query.ranges)
    duals = Duals(slopes, (None,) * len(slopes), np.eye(count, dtype=np.float32))
    steps, rates = 20, Rates(0.1, 0.1, 0.95)
    assert frame.ball is not None
    single = Frame(*(part.astype(np.float32) for part in frame[:2]), (), (), frame.ball.astype(np.float32))
    short = shortened(network.astype(np.float32), target.astype(np.float32), len(network.layers))
    small = Lines(drawn.free, *(tuple(p.astype(np.float32) for p in ps) for ps in drawn[1:3]), drawn.phase)
    batch = padded(single, small, duals)
    program = compile_step(short, batch, rates, jax.devices("cpu")[0])
    compiled = program.ascend(program.place(short), batch, steps, rates, np.inf)
    plain = ascend(network, target, frame, drawn, duals, steps, rates)
    values = [evaluate(network, target, frame, drawn, found, np).bound for found in (compiled, plain)]
    before = evaluate(network, target, frame, drawn, duals, np).bound
    assert values[0] == pytest.approx(values[1], rel=1e-2, abs=1e-2), f"seed {seed}"
    return np.asarray(values[0] > before + 1e-3)
