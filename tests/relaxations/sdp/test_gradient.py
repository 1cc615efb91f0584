"""The gradient bound of one hidden layer: its form is that of the gradients, and it bounds the truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from relaxations.sdp import gradient
from relaxations.sdp.gradient import TwoLayers, declines, is_ball, optimum, solve
from relaxations.sdp.shor import Shor
from tests.relaxations.queries import exact_optimum, inputs_of, random_query

ROUNDING = 1e-9
SEEDS = range(30)


def two_layers(seed: int) -> tuple[Query, TwoLayers]:
    query = random_query(seed, inputs=4, neurons=6, layers=1, rows=1)
    return query, TwoLayers.of(query)


def by_hand(weight: list[list[float]], outer: list[float], bias: list[float]) -> TwoLayers:
    """``outer' max(W x + b, 0)`` on the ball of radius 1 around 0."""
    inputs = len(weight[0])
    return TwoLayers(np.array(weight), np.array(bias), np.array(outer), np.zeros(inputs), 0.0, np.zeros(inputs), 1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_score_is_that_of_the_query(seed: int) -> None:
    query, layers = two_layers(seed)
    x = inputs_of(query, np.random.default_rng(seed), 50)
    assert layers(x) == pytest.approx(query.score(x), abs=1e-9)
    assert is_ball(query)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_form_is_that_of_the_gradients(seed: int) -> None:
    """A quarter of it at (1, t, 2 s - 1) is the derivative in direction t where the neurons s are active."""
    query, layers = two_layers(seed)
    rng = np.random.default_rng(seed)
    seen = 0
    for x in inputs_of(query, rng, 50):
        z = layers.weight @ x + layers.bias
        t, step = rng.uniform(-1, 1, len(x)), 1e-4
        if np.abs(z).min(initial=np.inf) <= 2 * step * np.abs(layers.weight @ t).max(initial=0.0):
            continue  # a neuron might switch on the way
        ahead, behind = layers(np.stack([x + step * t, x - step * t]))
        y = np.concatenate([[1.0], t, np.where(z > 0, 1.0, -1.0)])
        assert y @ layers.form @ y / 4 == pytest.approx((ahead - behind) / (2 * step), abs=1e-7)
        seen += 1
    assert seen >= 10


@pytest.mark.parametrize("seed", range(10))
def test_the_form_is_largest_where_some_gradient_is(seed: int) -> None:
    """Over signs it is the largest change that any choice of active neurons allows; moments allow no less."""
    _, layers = two_layers(seed)
    inputs, hidden = len(layers.centre), len(layers.bias)
    signs = np.array([[1.0, *y] for y in product((-1.0, 1.0), repeat=inputs + hidden)])
    of_form = np.einsum("ij,ij->i", signs @ layers.form, signs).max() / 4
    patterns = np.array(list(product((0.0, 1.0), repeat=hidden)))
    of_gradients = np.abs((patterns * layers.outer) @ layers.weight + layers.linear).sum(axis=1).max()
    assert of_form == pytest.approx(of_gradients, abs=ROUNDING)
    at_centre = layers(layers.centre[None])[0]
    assert solve(layers).value >= at_centre + layers.radius * of_gradients - ROUNDING


@pytest.mark.parametrize("seed", SEEDS)
def test_it_bounds_the_truth_whatever_the_squares_are(seed: int) -> None:
    query, layers = two_layers(seed)
    truth, rng = float(exact_optimum(query)), np.random.default_rng(seed)
    size = len(layers.form)
    best = solve(layers, steps=200)
    assert best.value == layers.bound(best.squares)
    for squares in (best.squares, np.zeros(size), -np.ones(size), rng.normal(size=size), rng.exponential(size=size)):
        assert layers.bound(squares) >= truth - ROUNDING * (1 + abs(truth))


def test_it_is_exact_where_one_gradient_is_the_largest_everywhere() -> None:
    """max(x, 0) has the derivative 1 at its largest; max(x, 0) + max(-x, 0) could have it on both sides at once."""
    assert solve(by_hand([[1.0]], [1.0], [0.0])).value == pytest.approx(1.0, abs=1e-3)
    assert solve(by_hand([[1.0, 2.0]], [1.0], [0.0])).value == pytest.approx(3.0, abs=3e-3)
    # |x|: a gradient of +1 or -1, and s = (1, 0) against t = 1: the bound is 1, the truth
    assert solve(by_hand([[1.0], [-1.0]], [1.0, 1.0], [0.0, 0.0])).value == pytest.approx(1.0, abs=1e-3)
    # -|x| is at most 0, but a gradient of 1 is possible everywhere
    assert solve(by_hand([[1.0], [-1.0]], [-1.0, -1.0], [0.0, 0.0])).value == pytest.approx(1.0, abs=1e-3)


def test_large_ones_are_solved_by_some_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    layers = TwoLayers(
        rng.normal(size=(40, 30)), rng.normal(size=40), rng.normal(size=40), np.zeros(30), 0.0, np.zeros(30), 0.1
    )
    whole = solve(layers)
    monkeypatch.setattr(gradient, "ALL_PAIRS", 10)
    part = solve(layers)
    assert part.value == pytest.approx(whole.value, rel=1e-2)
    assert part.value < layers.bound(np.abs(layers.form).sum(axis=1))


def test_a_limit_of_time_is_obeyed() -> None:
    rng = np.random.default_rng(0)
    layers = TwoLayers(
        rng.normal(size=(60, 50)), rng.normal(size=60), rng.normal(size=60), np.zeros(50), 0.0, np.zeros(50), 0.1
    )
    assert solve(layers, seconds=0.3, steps=10**6).seconds < 1.5


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(8))
def test_descent_reaches_what_a_general_solver_finds(seed: int) -> None:
    pytest.importorskip("cvxpy")
    _, layers = two_layers(seed)
    best = optimum(layers)
    size = 1 + abs(best)
    assert -1e-6 * size <= solve(layers).value - best <= 2e-3 * size


def test_shor_is_tighter_on_average() -> None:
    """It knows the ranges, which the gradient bound does not."""
    gained = []
    for seed in range(12):
        query, layers = two_layers(seed)
        gained.append(solve(layers).value - Shor(query).solve().value)
    assert np.mean(gained) > 0.01


def test_other_networks_are_declined() -> None:
    deep = random_query(3, layers=3)
    while len(deep.network.layers) == 1:
        deep = random_query(5, layers=3)
    assert "one hidden layer" in declines(deep)
    with pytest.raises(ValueError, match="one hidden layer"):
        TwoLayers.of(deep)
    one = Layer(((0, np.ones((1, 1))),), np.zeros(1), sign=True)
    network = ReluNetwork(1, (one,), Layer(((1, np.ones((1, 1))),), np.zeros(1)))
    signs = replace(two_layers(0)[0], network=network, rows=Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1)))
    assert "signs" in declines(signs)


def test_a_box_that_is_no_ball_counts_as_one_around_it() -> None:
    query, layers = two_layers(4)
    upper = query.upper.copy()
    upper[0] = (query.lower[0] + query.upper[0]) / 2
    cut = Query.over_box(query.network, query.rows, query.lower, upper)
    assert is_ball(cut) == (len(upper) == 1)
    assert solve(TwoLayers.of(cut)).value >= float(exact_optimum(cut)) - ROUNDING
    assert TwoLayers.of(cut).radius <= layers.radius
