"""Balls: closed forms just above and just below, points of the ball never below a bound, forged proofs, the reader."""

from __future__ import annotations

import random
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
from verifier.checker.ball import Ball, ExactBall, root_above
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes
from verifier.checker.check import Checker, question
from verifier.checker.container import Witness
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation, evaluate, lower_bounds, prove_violation
from verifier.checker.exact_tree import audit
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.vnnlib import QueryCase, QueryRow, read_query
from verifier.checker.witness import refute

IDENTITY = Network((Input(2), Affine(((0, Dense(np.eye(2))),), np.zeros(2))), (2, 2))
RELUS = Network((Input(2), Affine(((0, Dense(np.eye(2))),), np.zeros(2)), Relu(1)), (2, 2, 2))  # y = max(x, 0)


def around(ball: ExactBall) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """A box that holds the ball."""
    reach = [root_above(ball.bound / weight) for weight in ball.weights]
    lower = tuple(c - r for c, r in zip(ball.center, reach, strict=True))
    return lower, tuple(c + r for c, r in zip(ball.center, reach, strict=True))


def asked(network: Network, row: QueryRow, ball: ExactBall) -> Checker:
    lower, upper = around(ball)
    return Checker(network, (QueryCase(lower, upper, not ball.meets(lower, upper), (row,), ball),))


def circle(radius: Fraction = Fraction(5), x: Fraction = Fraction(1), y: Fraction = Fraction(-2)) -> ExactBall:
    return ExactBall((x, y), (Fraction(1), Fraction(1)), radius**2)


def linear(x: int, y: int, constant: Fraction) -> QueryRow:
    return QueryRow({}, {0: Fraction(x), 1: Fraction(y)}, constant, True)


def test_a_linear_function_is_certified_just_above_its_least_value(judge: Judge) -> None:
    """3 x - 4 y over |x - (1, -2)| <= 5 is least at 11 - 25 = -14; over the box it is -24."""
    assert judge(asked(IDENTITY, linear(3, -4, 14 + SMALL), circle()), LEAF).accepted
    assert not judge(asked(IDENTITY, linear(3, -4, 14 - SMALL), circle()), LEAF).accepted


def test_an_ellipsoid(judge: Judge) -> None:
    """9 x^2 + 16 y^2 <= 144 has the half axes 4 and 3: 3 x + 4 y is least at -12 sqrt(2) = -16.9706."""
    ball = ExactBall((Fraction(0), Fraction(0)), (Fraction(9), Fraction(16)), Fraction(144))
    assert judge(asked(IDENTITY, linear(3, 4, Fraction("16.97057")), ball), LEAF).accepted
    assert not judge(asked(IDENTITY, linear(3, 4, Fraction("16.97056")), ball), LEAF).accepted


def test_a_sum_of_relus_is_largest_at_the_diagonal(judge: Judge) -> None:
    """With both units active, max(x, 0) + max(y, 0) <= 14 + 5 sqrt(2) around (7, 7): 21.0711."""
    ball = circle(Fraction(5), Fraction(7), Fraction(7))
    assert judge(asked(RELUS, linear(-1, -1, Fraction("21.0711")), ball), LEAF).accepted
    assert not judge(asked(RELUS, linear(-1, -1, Fraction("21.0710")), ball), LEAF).accepted


def test_ranges_of_the_first_layer_use_the_ball(judge: Judge) -> None:
    """z = 3 x - 4 y + 13.9 can be negative in the ball, + 14.1 cannot, and then max(z, 0) is z; in the box both can."""
    for constant, holds in ((14.1, True), (13.9, False)):
        first = Affine(((0, Dense(np.array([[3.0, -4.0]]))),), np.array([constant]))
        network = Network((Input(2), first, Relu(1)), (2, 1, 1))
        # y - z >= 0 always; y - z <= 0 only where z >= 0. So 0.01 - (y - z) > 0 is about the range of z.
        row = QueryRow({0: Fraction(3), 1: Fraction(-4)}, {0: Fraction(-1)}, Fraction(constant) + SMALL, True)
        assert judge(asked(network, row, circle()), LEAF).accepted is holds


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("how", ["proof", "zonotope", "multipliers"])
def test_phase_trees_use_the_ball(judge: Judge, how: str, holds: bool) -> None:
    """The same minimum of 3 x - 4 y, through ReLUs that are active throughout: of x + 100 and of y + 100."""
    first = Affine(((0, Dense(np.eye(2))),), np.full(2, 100.0))
    network = Network((Input(2), first, Relu(1)), (2, 2, 2))
    slack = Fraction(1, 10**4) if how == "multipliers" else SMALL  # float32 squares pay for the rest
    item = {
        "proof": proof(0, [1], []),
        "zonotope": zonotope(0, [1], [], 0),
        "multipliers": multiplied_ball(12.5),
    }[how]
    row = linear(3, -4, 114 + (slack if holds else -slack))
    assert judge(asked(network, row, circle()), certificate(1, chunk([0], item, [END]))).accepted is holds


def multiplied_ball(kappa: float) -> list[int]:
    """A form in the inputs alone: 25 + s + 15 e - 20 f - kappa (1 - e^2 - f^2) >= s for kappa = 25 / 2."""
    return multiplied(0, [1], [], ([], [], []), ([], [], [-5e-5, 1e-9, 1e-9]), ball=kappa)


@pytest.mark.parametrize("kappa", [-1.0, float("nan"), float("inf"), 1e31])
def test_a_multiplier_of_the_ball_out_of_range_is_refused(kappa: float) -> None:
    checker = asked(RELUS, linear(1, 1, Fraction(100)), circle())
    evidence = certificate(1, chunk([0], multiplied_ball(kappa), [END]))
    with pytest.raises(CheckError, match="multiplier"):
        checker.check(evidence, None)


def test_there_has_to_be_a_ball_to_multiply(judge: Judge) -> None:
    checker = asked(RELUS, linear(1, 1, Fraction(100)), circle())
    with_ball = certificate(1, chunk([0], multiplied_ball(1e-3), [END]))
    without = Checker(RELUS, (replace(checker.cases[0], ball=None),))
    assert not judge(without, with_ball).accepted


@pytest.mark.parametrize("kappa", [0.0, 1.0, 12.5, 13.0, 1e6, 1e29])
def test_no_multiplier_proves_what_is_false(judge: Judge, kappa: float) -> None:
    checker = asked(IDENTITY, linear(3, -4, 14 - SMALL), circle())
    relus = asked(RELUS, linear(-1, -1, Fraction("21.07")), circle(Fraction(5), Fraction(7), Fraction(7)))
    for each in (checker, relus):
        assert not judge(each, certificate(1, chunk([0], multiplied_ball(kappa), [END]))).accepted


def test_the_wrong_ball_is_refused(judge: Judge) -> None:
    """A proof for one ball is none for a larger or a shifted one: the checker takes its own."""
    row = linear(3, -4, 14 + SMALL)
    assert not judge(asked(IDENTITY, row, circle(Fraction(5) + SMALL)), LEAF).accepted
    assert not judge(asked(IDENTITY, row, circle(x=1 - SMALL)), LEAF).accepted


def test_a_box_that_the_ball_does_not_reach_is_proved(judge: Judge) -> None:
    """Corners of the box hold no point of the ball; the case as a whole would be false in the box."""
    row, ball = linear(0, 0, Fraction(-1)), circle(Fraction(1), Fraction(0), Fraction(0))
    low = (Fraction(3, 4),) * 2
    case = QueryCase(low, (Fraction(1),) * 2, False, (row,), ball)
    assert judge(Checker(IDENTITY, (case,)), LEAF).accepted
    nearer = replace(case, lower=(Fraction(7, 10),) * 2)
    assert not judge(Checker(IDENTITY, (nearer,)), LEAF).accepted


def in_ball(rng: random.Random, ball: ExactBall, lower: list[Fraction], upper: list[Fraction]) -> list[list[Fraction]]:
    """Rational points of box and ball: on the surface nearly, where forms are least, and inside."""
    found = []
    for _ in range(24):
        direction = [Fraction(rng.choice([0.0, 1.0, rng.gauss(0, 1)])) for _ in ball.center]
        size = sum((d * d * w for d, w in zip(direction, ball.weights, strict=True)), Fraction(0))
        share = rng.choice([Fraction(1), Fraction(1), Fraction(1, 2)]) / (
            root_above(size / ball.bound) if size and ball.bound else 1
        )
        x = [c + rng.choice((-1, 1)) * d * share for c, d in zip(ball.center, direction, strict=True)]
        x = [min(max(v, low), up) for v, low, up in zip(x, lower, upper, strict=True)]
        if ball.contains(x):
            found.append(x)
    return found


def hostile_ball(rng: random.Random, lower: list[Fraction], upper: list[Fraction]) -> ExactBall:
    """Around any point near the box, of any weights, so large that it meets the box's middle."""
    width = [up - low or abs(low) / 2**20 or Fraction(1) for low, up in zip(lower, upper, strict=True)]
    center = tuple(low + w * Fraction(rng.uniform(-0.5, 1.5)) for low, w in zip(lower, width, strict=True))
    weights = tuple(Fraction(rng.uniform(0.1, 3)) / w**2 for w in width)
    middle = [(low + up) / 2 for low, up in zip(lower, upper, strict=True)]
    far = sum((w * (m - c) ** 2 for w, m, c in zip(weights, middle, center, strict=True)), Fraction(0))
    return ExactBall(center, weights, far * Fraction(rng.choice([1.0, 1.5, 4.0])))


@pytest.mark.parametrize("seed", range(30))
def test_no_point_of_box_and_ball_is_below_a_bound(seed: int) -> None:
    network, rng = hostile_network(seed), random.Random(seed)
    low, up = hostile_box(seed, network.sizes[0])
    lower, upper = exact(low), exact(up)
    ball = hostile_ball(rng, lower, upper)
    rows, bounder = hostile_rows(seed, network), Bounder(network)
    boxes = Boxes.of(low[None], up[None], Ball.of(ball))
    xs = in_ball(rng, ball, lower, upper)
    assert xs, "the ball should meet the box"
    for refine in (True, False):
        bound = bounder.lower(boxes, rows, refine).lower[0]
        for x in xs:
            y = evaluate(network, x)
            for r, least in enumerate(bound.tolist()):
                value = dot(rows.x[r], x) + dot(rows.y[r], y) + Fraction(float(rows.constant[r]))
                assert least == -np.inf or Fraction(least) <= value
    ranges = bounder.relax(boxes, symbols=True).ranges
    of_exact = ExactRelaxation(network, lower, upper, ball=ball).ranges
    for k, node in enumerate(network.nodes):
        if isinstance(node, Relu):
            for x in xs:
                z = values_at(network, node.parent, x)
                for n, v in enumerate(z):
                    assert Fraction(float(ranges[k][0][0, n])) <= v <= Fraction(float(ranges[k][1][0, n]))
                    assert of_exact[k][0][n] <= v <= of_exact[k][1][n]


def values_at(network: Network, node: int, x: list[Fraction]) -> list[Fraction]:
    return evaluate(Network(network.nodes[: node + 1], network.sizes[: node + 1]), x)


@pytest.mark.parametrize("seed", range(30))
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
    ball = hostile_ball(rng, lower, upper)
    row = QueryRow({0: Fraction(1, 3)}, {0: Fraction(1), 1: Fraction(-2)}, Fraction(1, 7), True)
    case = QueryCase(tuple(lower), tuple(upper), False, (row,), ball)
    boxes = Boxes.of(np.array([[float(v) for v in lower]]), np.array([[float(v) for v in upper]]), Ball.of(ball))
    found = Bounder(network).lower(boxes, question(case, network).rows).lower[0, 0]
    (expected,) = lower_bounds(network, lower, upper, [row], ball)
    assert float(expected) - found < 1e-9  # rounding, at numbers of about 1
    assert found <= float(expected) + 1e-12


@pytest.mark.parametrize("scale", [2.0**-60, 1.0, 2.0**60, 2.0**120])
@pytest.mark.parametrize("offset", [0, 1, 10**6])
def test_the_float_ball_contains_the_exact_one(scale: float, offset: int) -> None:
    rng = random.Random(7)
    for _ in range(20):
        radius = Fraction(rng.random()) * Fraction(scale) / 3 * rng.choice([0, 1, 1])
        center = tuple(Fraction(rng.random()) * Fraction(scale) / 7 * (1 + offset) for _ in range(3))
        ball = ExactBall(center, tuple(Fraction(rng.random() + 0.1) for _ in range(3)), radius**2)
        outer = Ball.of(ball)
        assert outer is not None
        d, r = exact(outer.center), exact(outer.radii)
        for x in [
            *in_ball(rng, ball, [c - 9 * Fraction(scale) for c in center], [c + 9 * Fraction(scale) for c in center])
        ]:
            assert sum(((v - c) / q) ** 2 for v, c, q in zip(x, d, r, strict=True)) <= 1


def test_what_does_not_fit_into_float64_is_no_ball() -> None:
    assert Ball.of(ExactBall((Fraction(0),), (Fraction(1),), Fraction(10) ** 400)) is None
    assert Ball.of(ExactBall((Fraction(10) ** 90,), (Fraction(1),), Fraction(1))) is None


def test_a_witness_has_to_lie_in_the_ball() -> None:
    checker = asked(IDENTITY, linear(0, 0, Fraction(-1)), circle(Fraction(5), Fraction(0), Fraction(0)))
    for x, accepted in (((3, 4), True), ((3, 4 + SMALL), False), ((5, 5), False)):
        point = tuple(map(Fraction, x))
        for in_rationals in (False, True):
            assert refute(checker, Witness(HERE, HERE, 0, point, "c"), in_rationals).accepted is accepted
        assert prove_violation(IDENTITY, checker.cases[0], point) is accepted


@pytest.mark.parametrize("seed", range(20))
def test_random_phase_trees_prove_nothing_false(seed: int) -> None:
    """Where some input of box and ball violates the case, no tree is accepted, whatever its hints say."""
    rng = random.Random(seed)
    ball = circle(Fraction(5), Fraction(rng.randint(-3, 3)), Fraction(rng.randint(-3, 3)))
    lower, upper = (list(side) for side in around(ball))
    row = linear(rng.choice((-3, 2)), rng.choice((-1, 4)), Fraction(0))
    least = min(
        row.y[0] * evaluate(RELUS, x)[0] + row.y[1] * evaluate(RELUS, x)[1] for x in in_ball(rng, ball, lower, upper)
    )
    for slack in (SMALL, Fraction(1)):
        checker = asked(RELUS, replace(row, constant=-least - slack), ball)
        for _ in range(20):
            tree = random_tree(rng, checker, 2)
            for found in (checker.check(certificate(1, tree), None), audit(checker, certificate(1, tree))):
                assert not found.accepted


def test_symbols_and_frames_know_the_ball(judge: Judge) -> None:
    """The range of z = 3 x - 4 y + 14.1 is positive in the ball only: by symbols, or by a frame."""
    first = Affine(((0, Dense(np.array([[3.0, -4.0]]))),), np.array([14.1]))
    network = Network((Input(2), first, Relu(1)), (2, 1, 1))
    row = QueryRow({0: Fraction(3), 1: Fraction(-4)}, {0: Fraction(-1)}, Fraction(14.1) + SMALL, True)
    checker = asked(network, row, circle())
    refined = frame([], Refined(0, [0], True, [[]], [[]]))
    assert judge(checker, certificate(1, chunk([0], [SYMBOLS], proof(0, [1], []), [END]))).accepted
    assert judge(checker, certificate(1, chunk([0], refined, proof(0, [1], []), [END]))).accepted
    assert not judge(checker, certificate(1, chunk([0], proof(0, [1], []), [END]))).accepted


HEAD = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0")) + "(assert (<= Y_0 0))\n"
BOX = "".join(f"(assert (>= X_{i} -1))(assert (<= X_{i} 1))" for i in range(2)) + "\n"
SQUARES = "(* X_0 X_0) (* 2.5 (* (- X_1 0.5) (- X_1 0.5)))"


@pytest.mark.parametrize("text", [f"(<= (+ {SQUARES}) 4)", f"(>= 4 (+ {SQUARES}))"])
def test_reading_a_ball(text: str) -> None:
    (case,) = read_query(HEAD + BOX + f"(assert {text})", 2, 1)
    assert case.ball == ExactBall((Fraction(0), Fraction(1, 2)), (Fraction(1), Fraction(5, 2)), Fraction(4))
    assert not case.empty
    scaled = SQUARES.replace("(- X_1 0.5)", "(- (* 2 X_1) 1)")
    (same,) = read_query(HEAD + BOX + f"(assert (<= (+ {scaled}) 4))", 2, 1)
    assert same.ball == replace(case.ball, weights=(Fraction(1), Fraction(10)))


@pytest.mark.parametrize(("bound", "empty"), [("-1", True), ("0.9999", True), ("1", False)])
def test_empty_intersections_are_decided_exactly(bound: str, empty: bool) -> None:
    text = f"(assert (<= (+ (* (- X_0 2) (- X_0 2)) (* X_1 X_1)) {bound}))"
    (case,) = read_query(HEAD + BOX + text, 2, 1)
    assert case.empty is empty


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("(<= (+ (* X_0 X_0)) 1)", "lack one: X_1"),
        ("(<= (+ (* X_0 X_1) (* X_1 X_1)) 1)", "not a number times a square"),
        ("(<= (+ (* X_0 X_0) (* Y_0 Y_0)) 1)", "one input's square"),
        ("(<= (+ (* X_0 X_0) (* X_0 X_0) (* X_1 X_1)) 1)", "two squares"),
        ("(<= (+ (* -1 (* X_0 X_0)) (* X_1 X_1)) 1)", "positive multiple"),
        ("(<= (+ (* X_0 X_0) (* X_1 X_1)) X_0)", "has to be a number"),
        ("(<= (+ (* X_0 X_0) (* X_1 X_1) X_0) 1)", "not a number times a square"),
        ("(>= (+ (* X_0 X_0) (* X_1 X_1)) 1)", "not linear"),
        ("(< (+ (* X_0 X_0) (* X_1 X_1)) 1)", "not linear"),
        ("(or (>= (+ (* X_0 X_0) (* X_1 X_1)) 1) (<= Y_0 1))", "not linear"),
        ("(<= (+ (* (+ X_0 X_1) (+ X_0 X_1)) (* X_1 X_1)) 1)", "one input's square"),
    ],
)
def test_other_quadratic_forms_are_refused(formula: str, message: str) -> None:
    with pytest.raises(CheckError, match=f"line 7: .*{message}"):
        read_query(HEAD + BOX + f"\n(assert {formula})", 2, 1)


def test_one_ball_at_most() -> None:
    ball = f"(assert (<= (+ {SQUARES}) 4))"
    with pytest.raises(CheckError, match="a second ball"):
        read_query(HEAD + BOX + ball + ball, 2, 1)


def test_a_root_is_never_below() -> None:
    rng = random.Random(3)
    for _ in range(200):
        value = Fraction(rng.randint(0, 10**12), rng.randint(1, 10**6)) * Fraction(2) ** rng.randint(-300, 300)
        root = root_above(value)
        assert root**2 >= value
        assert (root - Fraction(1, 2**100) * root) ** 2 <= value
    assert root_above(Fraction(25, 4)) == Fraction(5, 2)
