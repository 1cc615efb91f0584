"""The hierarchy on tiny networks: the contract of relaxations, and exact optima."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("cvxpy")

from relaxations.base import Query
from relaxations.bounds.balls import Ball
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from relaxations.registry import relaxations
from relaxations.sdp.shor import Shor
from relaxations.sos.networks import network_problem
from relaxations.sos.proving import prove_rows
from relaxations.sos.relaxed import Lasserre
from specs.polynomial_problem import PolynomialProblem
from tests.oracle import Network, Row, minimum_of_max
from tests.polynomials import judged, written
from tests.relaxations.queries import ball_query, inputs_of

SOLVED = 1e-5
"""What an interior-point method leaves of the optimum of such a small problem, and its rounding to any dual."""

SHAPES = [(2, 3, 1), (2, 3, 2), (1, 4, 1), (2, 2, 2, 2), (3, 3, 1)]


def made(seed: int) -> tuple[Query, Network, list[Row]]:
    """A network with multiples of 1/8 as weights: floats and rationals are the same numbers."""
    rng = np.random.default_rng(seed)
    sizes = SHAPES[seed % len(SHAPES)]
    weights = [rng.integers(-12, 13, (b, a)) / 8 for a, b in pairwise(sizes)]
    biases = [rng.integers(-4, 5, b) / 8 for b in sizes[1:]]
    layers = [Layer(((k, w),), b) for k, (w, b) in enumerate(zip(weights, biases))]
    network = ReluNetwork(sizes[0], tuple(layers[:-1]), layers[-1])
    count = sizes[-1]
    rows = Rows(np.zeros((count, sizes[0])), np.eye(count), np.full(count, 0.25))
    query = Query.over_box(network, rows, -np.ones(sizes[0]), np.ones(sizes[0]))
    exact = Network.dense([(w.tolist(), b.tolist()) for w, b in zip(weights, biases)])
    return query, exact, [Row((), ((r, Fraction(1)),), Fraction(1, 4), True) for r in range(count)]


def truth(seed: int) -> float:
    """The adversary's best score, from the exact least value of the largest row."""
    query, exact, rows = made(seed)
    size = query.network.input_size
    return -float(minimum_of_max(exact, [-1] * size, [1] * size, rows)[0])


@pytest.mark.parametrize("seed", range(10))
def test_inputs_are_actions_that_score_what_they_gain(seed):
    query, _, _ = made(seed)
    relaxation = Lasserre(query)
    rng = np.random.default_rng(seed)
    for x in rng.uniform(query.lower, query.upper, (20, query.network.input_size)):
        action = relaxation.embed(x)
        assert relaxation.outside(action) <= 1e-12
        assert relaxation.score(action) == pytest.approx(query.score(x[None])[0], abs=1e-12)
        np.testing.assert_allclose(relaxation.input_of(action), x, atol=1e-12)
        np.testing.assert_allclose(relaxation.round(action, rng)[0], x, atol=1e-12)
        assert relaxation.tighten(action) == []


@pytest.mark.parametrize("seed", range(10))
def test_any_dual_bounds_every_action(seed):
    query, _, _ = made(seed)
    relaxation = Lasserre(query, order=1 + seed % 2)
    rng = np.random.default_rng(seed)
    best = relaxation.solve().action
    actions = [relaxation.embed(x) for x in rng.uniform(query.lower, query.upper, (10, query.network.input_size))]
    scores = [relaxation.score(action) for action in [*actions, best]]
    for _ in range(10):
        dual = relaxation.some_dual(rng)
        assert relaxation.bound(dual) >= max(scores) - 1e-9


@pytest.mark.parametrize("seed", range(15))
def test_higher_orders_are_tighter_and_never_below_the_truth(seed):
    query, _, _ = made(seed)
    first, second = (Lasserre(query, order).solve() for order in (1, 2))
    exact = truth(seed)
    assert first.value >= exact - 1e-9
    assert second.value >= exact - 1e-9
    assert second.value <= first.value + SOLVED * (1 + abs(first.value))
    for solution in (first, second):
        assert -1e-9 <= solution.gap + 1e-6 <= SOLVED * 10 * (1 + abs(solution.value)) + 1e-6
        assert solution.action is not None


def test_order_2_is_exact_where_the_adversary_has_a_single_input():
    """With one input and one row, order 2 reaches the optimum on these networks."""
    for seed in (2, 7, 12):
        query, _, _ = made(seed)
        assert Lasserre(query).solve().value == pytest.approx(truth(seed), abs=1e-4)


def test_order_1_is_not_exact_and_order_2_closes_most_of_the_gap():
    """|x1 + x2| - |x1 - x2| and its like need products of neurons."""
    weights = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    network = ReluNetwork(
        2, (Layer(((0, weights),), np.zeros(4)),), Layer(((1, np.array([[-1.0, -1.0, 1.0, 1.0]])),), np.zeros(1))
    )
    query = Query.over_box(network, Rows(np.zeros((1, 2)), np.eye(1), np.zeros(1)), -np.ones(2), np.ones(2))
    first, second = (Lasserre(query, order).solve().value for order in (1, 2))
    assert second >= 2 - 1e-9, "the truth: |x1 + x2| - |x1 - x2| is at most 2"
    assert second <= first + 1e-6


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_proof_about_a_network_is_accepted_by_the_checker(seed):
    query, _, _ = made(seed)
    lift = round(8 * truth(seed)) / 8 + 0.25  # the adversary now falls short by about 1/4
    query = replace(query, rows=replace(query.rows, constant=query.rows.constant + lift))
    least = lift - truth(seed)
    question = network_problem(query).bounded
    proved = prove_rows(question, 2, question.cliques())
    assert least - 1e-2 <= proved.level <= least
    names = tuple(f"v{k}" for k in range(len(question.lower)))
    problem = PolynomialProblem(names, question.lower, question.upper, (proved.case,))
    assert judged(written(problem, [proved.proof])).accepted


@pytest.mark.parametrize("seed", range(5))
def test_the_polynomial_problem_has_the_networks_points_and_no_others(seed):
    query, exact, _ = made(seed)
    problem = network_problem(query)
    rng = np.random.default_rng(seed)
    for x in rng.integers(-8, 9, (20, query.network.input_size)) / 8:
        point = [Fraction(v) for v in problem.point(query, x)]
        bounded = problem.bounded
        assert all(p.at(point) >= 0 for p in bounded.weak)
        assert all(p.at(point) == 0 for p in bounded.zero)
        outputs = exact.evaluate([Fraction(v) for v in x])
        assert [p.at(point) for p in bounded.objectives] == [y + Fraction(1, 4) for y in outputs]
        for k in range(len(x), len(point)):
            moved = [*point[:k], point[k] + Fraction(1, 100), *point[k + 1 :]]
            assert any(p.at(moved) != 0 for p in bounded.zero), "a neuron's output is not free"


def test_rounding_finds_the_attack_that_the_moments_describe():
    query, _, _ = made(0)
    relaxation = Lasserre(query)
    solution = relaxation.solve()
    inputs = relaxation.round(solution.action, np.random.default_rng(0), 16)
    assert inputs.shape == (16, 2)
    assert (inputs >= query.lower).all()
    assert (inputs <= query.upper).all()
    assert query.score(inputs).max() == pytest.approx(truth(0), abs=1e-3)


def test_it_is_registered_and_declines_what_is_too_large():
    assert relaxations.get("sos") is Lasserre
    rng = np.random.default_rng(0)
    layers = (
        Layer(((0, rng.normal(size=(20, 5))),), np.zeros(20)),
        Layer(((1, rng.normal(size=(10, 20))),), np.zeros(10)),
    )
    network = ReluNetwork(5, layers, Layer(((2, rng.normal(size=(1, 10))),), np.zeros(1)))
    query = Query.over_box(network, Rows(np.zeros((1, 5)), np.eye(1), np.zeros(1)), -np.ones(5), np.ones(5))
    assert "monomials" in Lasserre.declines(query)
    assert Lasserre.declines(made(0)[0]) == ""


@pytest.mark.parametrize("seed", range(8))
def test_a_ball_is_a_condition_like_any_other(seed):
    """Of order 1 it is Shor's constraint, so that order 2 is no worse; points of box and ball bound both."""
    query = ball_query(seed, inputs=2, neurons=3, layers=2, rows=2)
    second, box = Lasserre(query).solve(), Lasserre(replace(query, ball=None)).solve()
    shor, size = Shor(query).solve(), 1 + abs(second.value)
    rng = np.random.default_rng(seed)
    best = query.score(inputs_of(query, rng, 20_000)).max()
    assert second.value >= best - 1e-9 * size
    assert second.value <= box.value + SOLVED * size
    assert second.value <= shor.value + 1e-3 * size
    (ball,) = [
        p
        for p in network_problem(query).bounded.weak
        if p not in network_problem(replace(query, ball=None)).bounded.weak
    ]
    for x in rng.uniform(query.lower, query.upper, (20, query.network.input_size)):
        point = [Fraction(v) for v in network_problem(query).point(query, x)]
        assert float(ball.at(point)) == pytest.approx(1 - float(query.ball.lengths(x)) ** 2, abs=1e-9)


def test_a_linear_row_over_a_ball_is_exact():
    network = ReluNetwork(2, (), Layer(((0, np.array([[3.0, -4.0]])),), np.zeros(1)))
    rows = Rows(np.zeros((1, 2)), np.eye(1), np.zeros(1))
    query = Query.over_box(network, rows, -2 * np.ones(2), 2 * np.ones(2), Ball(np.zeros(2), np.ones(2)))
    assert Lasserre(query, 1).solve().value == pytest.approx(5, abs=1e-4)
    assert Lasserre(replace(query, ball=None), 1).solve().value == pytest.approx(14, abs=1e-4)


def test_a_fixed_input_is_no_variable():
    query, _, _ = made(0)
    narrow = Query.over_box(query.network, query.rows, np.array([-1.0, 0.5]), np.array([1.0, 0.5]))
    relaxation = Lasserre(narrow)
    solution = relaxation.solve()
    axis = np.stack([np.linspace(-1, 1, 2001), np.full(2001, 0.5)], axis=1)
    best = narrow.score(axis).max()
    assert solution.value >= best - 1e-9
    assert solution.value == pytest.approx(best, abs=1e-2)
    assert relaxation.outside(relaxation.embed(np.array([0.3, 0.5]))) <= 1e-12
