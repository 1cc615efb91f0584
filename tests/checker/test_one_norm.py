"""Balls of the norm 1: least values known by hand just above and just below, and no point of the ball below a bound."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.judging import HERE, LEAF, SMALL, Judge
from tests.checker.phase_words import (
    END,
    SYMBOLS,
    Refined,
    certificate,
    chunk,
    frame,
    multiplied,
    proof,
    random_tree,
    zonotope,
)
from tests.checker.test_rounding import dot, exact, hostile_box, hostile_network, hostile_rows
from tests.checker.test_rounding_phases import arguments
from verifier.checker.ball import Ball, ExactBall
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes
from verifier.checker.check import Checker, question
from verifier.checker.container import Witness
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation, evaluate, lower_bounds
from verifier.checker.exact_tree import audit
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.vnnlib import QueryCase, QueryRow, read_query
from verifier.checker.witness import refute

Sides = tuple[Sequence[Fraction | int], Sequence[Fraction | int]]


def layers(inputs: int, relus: bool = False) -> Network:
    """y = x, or y = max(x, 0)."""
    nodes = (Input(inputs), Affine(((0, Dense(np.eye(inputs))),), np.zeros(inputs)), *([Relu(1)] if relus else []))
    return Network(nodes, (inputs,) * len(nodes))


def cross(radius: Fraction | int, *center: Fraction | int, weights: Sequence[Fraction | int] = ()) -> ExactBall:
    given = tuple(map(Fraction, weights or (1,) * len(center)))
    return ExactBall(tuple(map(Fraction, center)), given, Fraction(radius), 1)


def around(ball: ExactBall, share: Fraction | int = 1) -> Sides:
    """A box that holds the ball, or reaches only a share of its radii."""
    reach = [share * ball.bound / weight for weight in ball.weights]
    lower = tuple(c - r for c, r in zip(ball.center, reach, strict=True))
    return lower, tuple(c + r for c, r in zip(ball.center, reach, strict=True))


def asked(coefficients: Sequence[int], least: Fraction, ball: ExactBall, sides: Sides, relus: bool = False) -> Checker:
    """Is ``coefficients . y`` above ``least`` for all inputs of box and ball?"""
    lower, upper = (tuple(map(Fraction, side)) for side in sides)
    row = QueryRow({}, {i: Fraction(c) for i, c in enumerate(coefficients) if c}, -Fraction(least), True)
    case = QueryCase(lower, upper, not ball.meets(lower, upper), (row,), ball)
    return Checker(layers(len(coefficients), relus), (case,))


BY_HAND = {
    # min 3 x - 4 y over |x - 1| + |y + 2| <= 5: all of the radius on y
    "one input": ((3, -4), cross(5, 1, -2), around(cross(5, 1, -2)), 11 - 20),
    # the box lets y move by 2, so that 3 are left for x; box alone: 11 - 15 - 8, ball alone: 11 - 20
    "cut": ((3, -4), cross(5, 1, -2), ((-4, -4), (6, 0)), 11 - 8 - 9),
    # 2 |x| + |y| <= 6: x gains 3/2 for a unit of it and can spend 4, y gains 1 and gets the 2 that are left
    "weights": ((3, 1), cross(6, 0, 0, weights=(2, 1)), ((-2, -3), (9, 9)), -6 - 2),
    # the box begins 1 right of the center: 4 of 5 are left; x may fall by 0, so y has them
    "center outside": ((3, -4), cross(5, 0, 0), ((1, -9), (9, 9)), 3 - 16),
    # the box allows what is dear in one direction only
    "one-sided": ((5, 1, 1), cross(4, 0, 0, 0), ((0, -1, -9), (9, 1, 9)), -4),
    "all of the box": ((1, 1), cross(100, 0, 0), ((-1, -1), (1, 1)), -2),
    "a point": ((3, -4), cross(0, 1, -2), ((-9, -9), (9, 9)), 11),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_linear_functions_are_certified_just_above_their_least_value(judge: Judge, name: str) -> None:
    coefficients, ball, sides, least = BY_HAND[name]
    assert judge(asked(coefficients, least - SMALL, ball, sides), LEAF).accepted
    assert not judge(asked(coefficients, least + SMALL, ball, sides), LEAF).accepted


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("how", ["proof", "zonotope"])
def test_so_they_are_in_phase_trees(judge: Judge, how: str, name: str) -> None:
    coefficients, ball, sides, least = BY_HAND[name]
    item = {"proof": proof(0, [1], []), "zonotope": zonotope(0, [1], [], 0)}[how]
    inputs = len(coefficients)
    first = Affine(((0, Dense(np.eye(inputs))),), np.full(inputs, 100.0))
    network = Network((Input(inputs), first, Relu(1)), (inputs,) * 3)
    for slack in (SMALL, -SMALL):
        checker = asked(coefficients, least - slack + 100 * sum(coefficients), ball, sides)
        active = Checker(network, checker.cases)
        assert judge(active, certificate(1, chunk([0], item, [END]))).accepted is (slack > 0)


def test_a_sum_of_relus_is_largest_at_a_vertex(judge: Judge) -> None:
    """With both units active max(x, 0) + max(y, 0) is at most 14 + 5 around (7, 7)."""
    ball = cross(5, 7, 7)
    assert judge(asked((-1, -1), -19 - SMALL, ball, around(ball), relus=True), LEAF).accepted
    assert not judge(asked((-1, -1), -19 + SMALL, ball, around(ball), relus=True), LEAF).accepted


def test_ranges_of_the_first_layer_use_the_ball(judge: Judge) -> None:
    """z = 3 x - 4 y + 9.1 is positive in |x - 1| + |y + 2| <= 5, where 3 x - 4 y >= -9; in the box it is not."""
    ball = cross(5, 1, -2)
    lower, upper = (tuple(map(Fraction, side)) for side in around(ball))
    for constant, holds in ((9.1, True), (8.9, False)):
        first = Affine(((0, Dense(np.array([[3.0, -4.0]]))),), np.array([constant]))
        network = Network((Input(2), first, Relu(1)), (2, 1, 1))
        row = QueryRow({0: Fraction(3), 1: Fraction(-4)}, {0: Fraction(-1)}, Fraction(constant) + SMALL, True)
        checker = Checker(network, (QueryCase(lower, upper, False, (row,), ball),))
        assert judge(checker, LEAF).accepted is holds
        refined = Refined(0, [0], False, [[], []], [[], []])
        by_symbols = certificate(1, chunk([0], [SYMBOLS], proof(0, [1], []), [END]))
        by_frame = certificate(1, chunk([0], frame([], refined), proof(0, [1], []), [END]))
        for tree in (by_symbols, by_frame):
            assert judge(checker, tree).accepted is holds


def test_the_wrong_ball_is_refused(judge: Judge) -> None:
    """A proof about one ball is none about a larger, a shifted, or a differently weighted one, or of the norm 2."""
    coefficients, ball, sides, least = BY_HAND["cut"]
    checker = asked(coefficients, least - SMALL, ball, sides)
    assert judge(checker, LEAF).accepted
    for other in (
        replace(ball, bound=ball.bound + 3 * SMALL),
        replace(ball, center=(ball.center[0] - SMALL, ball.center[1])),
        replace(ball, weights=(1 - SMALL, Fraction(1))),
        replace(ball, bound=ball.bound**2, norm=2),
        None,
    ):
        changed = Checker(layers(2), (replace(checker.cases[0], ball=other),))
        assert not judge(changed, LEAF).accepted


def test_a_box_that_the_ball_does_not_reach_is_proved(judge: Judge) -> None:
    ball = cross(1, 0, 0)
    for low, holds in ((Fraction(51, 100), True), (Fraction(1, 2), False)):  # what touches the ball is not missed
        assert not Ball.of(ball).misses(np.array([[0.5, 0.5]]), np.ones((1, 2)))[0]  # type: ignore[union-attr]
        checker = asked((0, 0), Fraction(1), ball, ((low, low), (1, 1)))
        case = replace(checker.cases[0], empty=False)
        assert judge(Checker(layers(2), (case,)), LEAF).accepted is holds


def test_a_phase_tree_of_a_box_that_the_ball_misses_knows_the_ball(judge: Judge) -> None:
    """3 x - 4 y is -13 at a corner of the box; no point of it lies in the ball, where it would be -20 at least."""
    ball = cross(5, 0, 0)
    checker = asked((3, -4), Fraction(-12), ball, ((9, 9), (10, 10)))
    case = replace(checker.cases[0], empty=False)
    for item in (proof(0, [1], []), zonotope(0, [1], [], 0)):
        assert judge(Checker(layers(2), (case,)), certificate(1, chunk([0], item, [END]))).accepted


def test_a_witness_has_to_lie_in_the_ball() -> None:
    ball = cross(5, 0, 0)
    checker = asked((0, 0), Fraction(1), ball, around(ball))
    for x, accepted in (((3, 2), True), ((3, 2 + SMALL), False), ((-5, 0), True), ((3, -3), False)):
        point = tuple(map(Fraction, x))
        for in_rationals in (False, True):
            assert refute(checker, Witness(HERE, HERE, 0, point, "c"), in_rationals).accepted is accepted


@pytest.mark.parametrize("slack", [-1, -Fraction(1, 2), -Fraction(1, 100), Fraction(1, 10)])
def test_multipliers_are_those_of_the_euclidean_ball_around_it(judge: Judge, slack: Fraction) -> None:
    """|x|_1 <= 5 lies in the disc of radius 5: 3 x - 4 y >= -25 by kappa = 25 / 2, which is not what is true, -20."""
    ball = cross(5, 0, 0)
    item = multiplied(0, [1], [], ([], [], []), ([], [], [-5e-3, 1e-9, 1e-9]), ball=12.5)
    checker = asked((3, -4), -25 + slack, ball, around(ball))
    assert judge(checker, certificate(1, chunk([0], item, [END]))).accepted is (slack < 0)


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 1.0, 12.5, 1e6, 1e29])
def test_no_multiplier_proves_what_is_false(judge: Judge, kappa: float) -> None:
    for ball, least in ((cross(5, 0, 0), -20), (cross(0, 0, 0), 0)):
        checker = asked((3, -4), least + SMALL, ball, around(cross(5, 0, 0)))
        item = multiplied(0, [1], [], ([], [], []), ([], [], [-5e-5, 1e-9, 1e-9]), ball=kappa)
        assert not judge(checker, certificate(1, chunk([0], item, [END]))).accepted


def points_of(
    rng: random.Random, ball: ExactBall, lower: Sequence[Fraction], upper: Sequence[Fraction], count: int = 24
) -> list[list[Fraction]]:
    """Rational points of box and ball, most of them at the surface: few inputs or all move away from the nearest."""
    nearest = [min(max(c, low), up) for c, low, up in zip(ball.center, lower, upper, strict=True)]
    found = [nearest] if ball.contains(nearest) else []
    for _ in range(count if found else 0):
        left = ball.bound - sum((w * abs(q - c) for w, q, c in zip(ball.weights, nearest, ball.center)), Fraction(0))
        x, order = list(nearest), list(range(len(nearest)))
        rng.shuffle(order)
        part = rng.choice([1, 1, Fraction(1, 2), Fraction(1, 7)])
        for i in order:
            end = rng.choice((lower[i], upper[i]))
            spent = min(left * part, ball.weights[i] * abs(end - x[i]))
            x[i] += spent / ball.weights[i] * (1 if end > x[i] else -1)
            left -= spent
        assert ball.contains(x)
        found.append(x)
    return found


def hostile_cross(rng: random.Random, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> ExactBall:
    """Around any point in or near the box, of any weights, so large that it reaches the box's middle."""
    width = [up - low or abs(low) / 2**20 or Fraction(1) for low, up in zip(lower, upper, strict=True)]
    center = tuple(
        low + w * Fraction(rng.choice([0.0, 0.5, 1.0, rng.uniform(-1, 2)])) for low, w in zip(lower, width, strict=True)
    )
    weights = tuple(Fraction(rng.uniform(0.1, 3)) / w for w in width)
    middle = [(low + up) / 2 for low, up in zip(lower, upper, strict=True)]
    far = sum((w * abs(m - c) for w, m, c in zip(weights, middle, center, strict=True)), Fraction(0))
    bound = far * Fraction(rng.choice([1.0, 1.5, 4.0])) or Fraction(rng.random())
    return ExactBall(center, weights, bound, 1)


@pytest.mark.parametrize("seed", range(40))
def test_no_point_of_box_and_ball_is_below_a_bound(seed: int) -> None:
    network, rng = hostile_network(seed), random.Random(seed)
    low, up = hostile_box(seed, network.sizes[0])
    lower, upper = exact(low), exact(up)
    ball = hostile_cross(rng, lower, upper)
    rows, bounder = hostile_rows(seed, network), Bounder(network)
    boxes = Boxes.of(low[None], up[None], Ball.of(ball))
    xs = points_of(rng, ball, lower, upper)
    assert xs, "the ball should meet the box"
    for refine in (True, False):
        bound = bounder.lower(boxes, rows, refine).lower[0]
        for x in xs:
            y = evaluate(network, x)
            for r, least in enumerate(bound.tolist()):
                value = dot(rows.x[r], x) + dot(rows.y[r], y) + Fraction(float(rows.constant[r]))
                assert least == -np.inf or Fraction(least) <= value
    found = [
        bounder.relax(boxes, symbols=True).ranges,
        bounder.relax(boxes).ranges,
        ExactRelaxation(network, lower, upper, ball=ball).ranges,
        ExactRelaxation(network, lower, upper, symbols=True, ball=ball).ranges,
    ]
    for x in xs:
        for k, z in zip(network.layers, arguments(network, x), strict=True):
            for ranges in found:
                l, u = (np.ravel(side).tolist() for side in ranges[k])
                assert all(
                    (a == -np.inf or Fraction(a) <= v) and (b == np.inf or v <= Fraction(b)) for a, v, b in zip(l, z, u)
                )


@pytest.mark.parametrize("seed", range(40))
def test_float_and_exact_bounds_agree(seed: int) -> None:
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    nodes = (
        Input(3),
        Affine(((0, Dense(numbers.normal(size=(4, 3)))),), numbers.normal(size=4)),
        Relu(1),
        Affine(((2, Dense(numbers.normal(size=(2, 4)))),), np.zeros(2)),
    )
    network = Network(nodes, (3, 4, 4, 2))
    lower = [Fraction(rng.uniform(-1, 0)) for _ in range(3)]
    upper = [Fraction(rng.uniform(0, 1)) for _ in range(3)]
    ball = hostile_cross(rng, lower, upper)
    row = QueryRow({0: Fraction(1, 3)}, {0: Fraction(1), 1: Fraction(-2)}, Fraction(1, 7), True)
    case = QueryCase(tuple(lower), tuple(upper), False, (row,), ball)
    boxes = Boxes.of(np.array([[float(v) for v in lower]]), np.array([[float(v) for v in upper]]), Ball.of(ball))
    found = Bounder(network).lower(boxes, question(case, network).rows).lower[0, 0]
    (expected,) = lower_bounds(network, lower, upper, [row], ball)
    assert float(expected) - found < 1e-9  # rounding, at numbers of about 1
    assert found <= float(expected) + 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_a_cross_lies_in_the_ball_and_this_in_the_box(judge: Judge, seed: int) -> None:
    """Of the same radius: the least values of a linear function are ordered so, and so is what is certified."""
    rng = random.Random(seed)
    coefficients = [rng.randint(-5, 5) for _ in range(4)]
    ball = cross(rng.randint(1, 9), *(rng.randint(-3, 3) for _ in range(4)))
    row = QueryRow({0: Fraction(1)}, dict(enumerate(map(Fraction, coefficients))), Fraction(0), True)
    sides = around(ball)
    euclidean = replace(ball, bound=ball.bound**2, norm=2)
    least = [lower_bounds(layers(4), *sides, [row], each)[0] for each in (ball, euclidean, None)]
    assert least == sorted(least, reverse=True)
    coefficients[0] += 1
    steepest = max(map(abs, coefficients))
    at_center = sum((a * c for a, c in zip(coefficients, ball.center, strict=True)), Fraction(0))
    assert least[0] == at_center - ball.bound * steepest
    case = QueryCase(*map(tuple, sides), False, (replace(row, constant=SMALL - least[0]),), ball)  # type: ignore[arg-type]
    for each, holds in ((ball, True), (euclidean, least[1] > least[0] - SMALL), (None, least[2] > least[0] - SMALL)):
        assert judge(Checker(layers(4), (replace(case, ball=each),)), LEAF).accepted is holds


@pytest.mark.parametrize("seed", range(20))
def test_random_phase_trees_prove_nothing_false(seed: int) -> None:
    """Where some input of box and ball violates the case, no tree is accepted, whatever its hints say."""
    rng = random.Random(seed)
    ball = cross(5, rng.randint(-3, 3), rng.randint(-3, 3))
    sides = around(ball, rng.choice([1, Fraction(1, 2)]))
    coefficients = (rng.choice((-3, 2)), rng.choice((-1, 4)))
    network = layers(2, relus=True)
    values = [evaluate(network, x) for x in points_of(rng, ball, *sides, count=60)]
    least = min(coefficients[0] * y[0] + coefficients[1] * y[1] for y in values)
    for slack in (SMALL, Fraction(1)):
        checker = asked(coefficients, least + slack, ball, sides, relus=True)
        for _ in range(20):
            tree = random_tree(rng, checker, 2)
            for found in (checker.check(certificate(1, tree), None), audit(checker, certificate(1, tree))):
                assert not found.accepted


HEAD = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0")) + "(assert (<= Y_0 0))\n"
BOX = "".join(f"(assert (>= X_{i} -9))(assert (<= X_{i} 9))" for i in range(2)) + "\n"


def size(term: str) -> str:
    return f"(ite (>= {term} 0.0) {term} (- {term}))"


def test_the_reader_knows_absolute_values_by_their_choice() -> None:
    """2 |3 x - 1| + |y| <= 7 is 6 |x - 1/3| + |y| <= 7."""
    total = f"(+ (* 2 {size('(- (* 3 X_0) 1)')}) {size('X_1')})"
    expected = ExactBall((Fraction(1, 3), Fraction(0)), (Fraction(6), Fraction(1)), Fraction(7), 1)
    for formula in (f"(<= {total} 7)", f"(>= 7 {total})"):
        (case,) = read_query(f"{HEAD}{BOX}(assert {formula})", 2, 1)
        assert case.ball == expected
    two = f"(assert (or (and (<= {total} 7) (<= Y_0 1)) (<= Y_0 2)))"
    assert [case.ball for case in read_query(HEAD + BOX + two, 2, 1)] == [expected, None]


@pytest.mark.parametrize(
    "formula",
    [
        f"(<= {size('X_0')} 1)",
        f"(<= (+ {size('X_0')} {size('X_0')} {size('X_1')}) 1)",
        f"(<= (+ {size('X_0')} (* X_1 X_1)) 1)",
        f"(<= (+ {size('X_0')} X_1) 1)",
        f"(<= (+ X_1 {size('X_0')}) 1)",
        f"(<= (+ (* -1 {size('X_0')}) {size('X_1')}) 1)",
        f"(<= (+ (* 0 {size('X_0')}) {size('X_1')}) 1)",
        f"(< (+ {size('X_0')} {size('X_1')}) 1)",
        f"(>= (+ {size('X_0')} {size('X_1')}) 1)",
        f"(<= (+ {size('X_0')} {size('X_1')}) Y_0)",
        f"(<= (+ {size('X_0')} {size('Y_0')}) 1)",
        f"(<= (+ {size('X_0')} {size('(+ X_0 X_1)')}) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 1) X_1 (- X_1))) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 X_0) X_1 (- X_1))) 1)",
        f"(<= (+ {size('X_0')} (ite (<= X_1 0) X_1 (- X_1))) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1 X_1)) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1 (- X_0))) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1)) 1)",
        f"(<= (+ {size('X_0')} (ite (>= X_1 0) (- X_1) X_1)) 1)",
        f"(<= (+ {size('X_0')} (* 2 3)) 1)",
        f"(<= (* {size('X_0')} {size('X_1')}) 1)",
    ],
)
def test_everything_else_with_a_choice_is_refused(formula: str) -> None:
    with pytest.raises(CheckError, match="line 6"):
        read_query(f"{HEAD}{BOX}(assert {formula})", 2, 1)
