"""Relaxations on balls: the contract, values known in closed form, and that a ball never makes a bound worse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.balls import MANY_PASSES, Ball, least
from relaxations.bounds.boxes import Rows
from relaxations.bounds.dual import Duals, Frame, Lines, evaluate, lines
from relaxations.bounds.greedy import rows_layer
from relaxations.bounds.relaxed import AlphaCrown, Crown, Interval, frame_of
from relaxations.network import Layer, ReluNetwork
from relaxations.registry import relaxations
from tests.relaxations.contract import check_relaxation
from tests.relaxations.queries import ball_query, eighths, inputs_of
from tests.relaxations.test_contract import PLANS, Plan

CASES = 5_000
ROUNDING = 1e-9


@pytest.mark.parametrize("name", relaxations.names())
def test_the_contract_is_kept_on_balls(name: str, record_property: Any) -> None:
    plan = PLANS.get(name, Plan())
    kind, queries = relaxations.get(name), [ball_query(seed, **plan.sizes) for seed in range(plan.count)]
    if all(kind.declines(query) for query in queries):
        assert name in ("enumerate", "milp", "smt"), f"{name} declines all balls"
        return
    seen = check_relaxation(kind, queries, CASES // plan.count, 10, plan.tolerance)
    assert seen.solved == plan.count
    assert seen.embedded >= CASES
    record_property("largest gap", max(seen.gaps, default=0.0))


def random_form(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Ball]:
    """Forms, and a box and a ball that meet, of up to 40 inputs some of which are fixed."""
    rng = np.random.default_rng(seed)
    while True:
        size = int(rng.integers(1, 41))
        center, radii = rng.normal(size=size), np.exp(rng.normal(size=size))
        low, up = (radii * np.exp(rng.normal(size=size)) * rng.integers(0, 2, size) for _ in range(2))
        shift = radii * rng.normal(size=size) * rng.choice([0, 0.3]) / np.sqrt(size)
        form, ball = rng.normal(size=(5, size)), Ball(center, radii)
        if not ball.misses(center + shift - low, center + shift + up):
            return form, center + shift - low, center + shift + up, ball


@pytest.mark.parametrize("seed", range(200))
def test_any_number_of_passes_bounds_a_form_and_many_attain_it(seed: int) -> None:
    form, low, up, ball = random_form(seed)
    mid, rad, rng = (low + up) / 2, (up - low) / 2, np.random.default_rng(seed)
    best, x = least(form, mid, rad, ball, np, MANY_PASSES)
    size = 1 + np.abs(form) @ (np.abs(mid) + rad + ball.radii)
    points = ball.moved_inside(rng.normal(size=(200, len(low))) * 3, low, up, 0.0)
    assert (((points - mid) @ form.T).min(axis=0) >= best - ROUNDING * size).all()
    for passes in range(4):
        assert (least(form, mid, rad, ball, np, passes)[0] <= best + ROUNDING * size).all()
    inside = ball.moved_inside(x, low, up, 0.0)
    assert (np.einsum("ij,ij->i", form, inside - mid) <= best + 1e-6 * size).all(), "no point attains the bound"


@pytest.mark.parametrize("seed", range(50))
def test_points_are_moved_into_both_and_stay_where_they_are_in_them(seed: int) -> None:
    _, low, up, ball = random_form(seed)
    points = np.random.default_rng(seed).normal(size=(100, len(low))) * 3
    moved = ball.moved_inside(points, low, up, 0.0)
    assert (moved >= low).all()
    assert (moved <= up).all()
    assert (ball.lengths(moved) <= 1 + 1e-12).all()
    again = ball.moved_inside(moved, low, up, 0.0)
    assert np.abs(again - moved).max() <= 1e-9 * (1 + np.abs(moved).max())


def test_a_box_beside_a_ball_is_told_from_one_that_touches_it() -> None:
    ball = Ball(np.zeros(2), np.ones(2))
    low = np.array([[0.75, 0.75], [0.5, 0.5], [1.0, -1.0]])
    assert ball.misses(low, low + 1).tolist() == [True, False, False]


def affine_query(rng: np.random.Generator, inputs: int, box: float) -> Query:
    """One row over an affine network, on the ball of radius 1/2 around 0 and a box that is ``box`` times as wide."""
    network = ReluNetwork(inputs, (), Layer(((0, eighths(rng, (1, inputs))),), eighths(rng, 1)))
    rows = Rows(np.zeros((1, inputs)), np.ones((1, 1)), np.zeros(1))
    side = np.full(inputs, box / 2)
    return Query.over_box(network, rows, -side, side, Ball(np.zeros(inputs), np.full(inputs, 0.5)))


@pytest.mark.parametrize("kind", [Interval, Crown, AlphaCrown])
@pytest.mark.parametrize("seed", range(20))
def test_an_affine_row_has_its_closed_form(kind: type, seed: int) -> None:
    """On a ball of radius r the least of ``w.x + b`` is ``b - r |w|``."""
    query = affine_query(np.random.default_rng(seed), 1 + seed % 7, 3.0)
    [(_, weight)], bias = query.network.output.terms, query.network.output.bias[0]
    value = kind(query).solve().value
    assert value == pytest.approx(-(bias - 0.5 * np.linalg.norm(weight)), abs=1e-9)


def unlimited(query: Query) -> Query:
    """The same on the whole box."""
    return Query.over_box(query.network, query.rows, query.lower, query.upper)


@pytest.mark.parametrize("seed", range(100))
def test_a_ball_makes_no_bound_worse(seed: int) -> None:
    """With the same ranges. Those of later layers need not be better: CROWN's lines change with those before."""
    query = ball_query(seed, inputs=6)
    [(l, u), *_], [(low, up), *_] = query.ranges, unlimited(query).ranges
    size = 1 + np.abs(low) + np.abs(up)
    assert (l >= low - ROUNDING * size).all()
    assert (u <= up + ROUNDING * size).all()
    same_ranges = replace(query, ball=None)
    for kind in (Interval, Crown):
        with_ball, without = kind(query).solve().value, kind(same_ranges).solve().value
        assert with_ball <= without + ROUNDING * (1 + abs(without)), kind.name


def test_a_ball_makes_most_bounds_better() -> None:
    queries = [ball_query(seed, inputs=6) for seed in range(100) if seed % 4 != 3]
    better = [Crown(query).solve().value < Crown(unlimited(query)).solve().value - 1e-3 for query in queries]
    assert sum(better) > len(better) / 2


@pytest.mark.parametrize("seed", range(20))
def test_the_disc_of_a_small_network(seed: int) -> None:
    """Over a disc the truth is known from a grid: no bound is below it, and at small radii all are near it."""
    rng = np.random.default_rng(seed)
    layer = Layer(((0, eighths(rng, (4, 2))),), eighths(rng, 4, 0.25))
    network = ReluNetwork(2, (layer,), Layer(((1, eighths(rng, (1, 4))),), np.zeros(1)))
    rows = Rows(np.zeros((1, 2)), np.ones((1, 1)), np.zeros(1))
    radius = 2.0**-4
    query = Query.over_box(network, rows, np.full(2, -1.0), np.full(2, 1.0), Ball(np.zeros(2), np.full(2, radius)))
    steps = 400
    angle, length = np.meshgrid(np.linspace(0, 2 * np.pi, steps), np.linspace(0, radius, steps))
    points = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1).reshape(-1, 2)
    truth = float(query.score(points).max())
    [(_, first)], [(_, last)] = layer.terms, network.output.terms
    slope = float(np.abs(last[0]) @ np.linalg.norm(first, axis=1))
    between = slope * radius * (np.pi + 0.5) / (steps - 1)  # what lies between the points of the grid
    for kind in (Interval, Crown, AlphaCrown):
        assert kind(query).solve().value >= truth - ROUNDING
    stable = query.count_unstable == 0
    assert AlphaCrown(query).solve().value <= truth + between + (ROUNDING if stable else slope * radius)


def test_points_of_actions_attain_what_lines_say() -> None:
    """For one row the greedy action is the relaxation's optimum, unless it leaves a neuron's range."""
    met = 0
    for seed in range(60):
        query = ball_query(seed)
        single = replace(query, rows=Rows(query.rows.x[:1], query.rows.y[:1], query.rows.constant[:1]))
        found = Crown(single).solve()
        assert found.attained <= found.value + 1e-6 * (1 + abs(found.value))
        met += found.gap <= 1e-5 * (1 + abs(found.value))
    assert met >= 30


def test_inputs_are_of_the_ball() -> None:
    query = ball_query(1)
    points = inputs_of(query, np.random.default_rng(0), 100)
    assert query.ball is not None
    assert (query.ball.lengths(points) <= 1 + 1e-12).all()
    assert (query.ball.lengths(points) > 0.9).any()


def test_a_compiled_ascent_on_a_ball_proves_what_numpy_does() -> None:
    gained = [bool(compiled_and_plain(seed).any()) for seed in range(16)]
    assert sum(gained) >= 8, "otherwise there was nothing to be done alike"


def compiled_and_plain(seed: int) -> np.ndarray:
    """Which rows (R,) the compiled ascent has raised, all of them to where NumPy has, but for rounding to float32.

    Both are evaluated in float64 with the duals found.
    """
    jax = pytest.importorskip("jax")
    from relaxations.bounds.compiled import compile_step, padded, shortened

    query = ball_query(seed, inputs=3, neurons=12)
    network, frame = query.network, frame_of(query)
    target = rows_layer(query.rows, network.output)
    drawn = lines(frame, (None,) * len(network.layers), np)
    count = len(query.rows.constant)
    slopes = tuple(np.full((count, len(l)), 0.5, np.float32) for l, _ in query.ranges)
    duals = Duals(slopes, (None,) * len(slopes), np.eye(count, dtype=np.float32))
    steps, rates = 20, Rates(0.1, 0.1, 0.95)
    single = Frame(*(part.astype(np.float32) for part in frame[:2]), (), (), frame.ball.astype(np.float32))
    short = shortened(network.astype(np.float32), target.astype(np.float32), len(network.layers))
    small = Lines(drawn.free, *(tuple(p.astype(np.float32) for p in ps) for ps in drawn[1:3]), drawn.phase)
    batch = padded(single, small, duals)
    program = compile_step(short, batch, rates, jax.devices("cpu")[0])
    compiled = program.ascend(program.place(short), batch, steps, rates, np.inf)
    plain = ascend(network, target, frame, drawn, duals, steps, rates)
    values = [evaluate(network, target, frame, drawn, found, np).bound for found in (compiled, plain)]
    before = evaluate(network, target, frame, drawn, duals, np).bound
    assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-3), f"seed {seed}"
    return np.asarray(values[0] > before + 1e-3)
