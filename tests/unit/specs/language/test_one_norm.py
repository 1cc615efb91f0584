"""Balls of the norm 1 in spec.yaml and VNN-LIB: what they compile to, the way to the checker's reader, refusals."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib
from specs.language.vnnlib.writer import write_vnnlib
from specs.problem import Ball, Box, Case, Problem, Row
from tests.unit.specs.language.networks import network
from tests.unit.specs.language.test_balls import BOX, HEAD, only, random_ball, read
from verifier.attack.witness import inside
from verifier.checker.vnnlib import read_query
from verifier.report.words import set_in_words

HALF = Fraction(1, 2)
ONES = (Fraction(1), Fraction(1))


@pytest.mark.parametrize("norm", ["1", "'1'", "1.0"])
def test_a_ball_and_the_box_around_it(tmp_path: Path, norm: str) -> None:
    case = only(read(tmp_path, f"ball: {{norm: {norm}, eps: 0.5, center: [1, -2]}}"))
    assert case.ball == Ball((Fraction(1), Fraction(-2)), ONES, HALF, 1)
    assert case.box == Box((HALF, Fraction(-5, 2)), (Fraction(3, 2), Fraction(-3, 2)))


def test_a_box_beside_it_cuts_only_the_box(tmp_path: Path) -> None:
    case = only(read(tmp_path, "box: {lo: 0, hi: 1}\n    ball: {norm: 1, eps: 1/3, center: [0.9, 0.1]}"))
    assert case.ball == Ball((Fraction(9, 10), Fraction(1, 10)), ONES, Fraction(1, 3), 1)
    assert case.box == Box((Fraction(9, 10) - Fraction(1, 3), Fraction(0)), (Fraction(1), Fraction(13, 30)))


def test_scaling_weighs_the_differences(tmp_path: Path) -> None:
    """A point of the raw ball is one of the model's, whatever mean and range are."""
    spec = read(
        tmp_path, "normalize: {mean: [0.5, 1], range: [3, 0.2]}\n    ball: {norm: 1, eps: 0.7, center: [1, -2]}"
    )
    case, inputs = only(spec), spec.inputs[0]
    assert inputs is not None
    assert case.ball is not None
    assert case.ball.weights == (Fraction(3), Fraction(1, 5))
    rng, seen = random.Random(1), set()
    for _ in range(300):
        raw = [Fraction(1) + Fraction(rng.randint(-70, 70), 100), Fraction(-2) + Fraction(rng.randint(-70, 70), 100)]
        held = abs(raw[0] - 1) + abs(raw[1] + 2) <= Fraction(7, 10)
        x = inputs.to_model(raw)
        assert case.ball.holds(x) is held
        assert inputs.contains(x) is held
        assert spec.requirements[0].is_violated_at(x, [Fraction(-1)]) is held
        seen.add(held)
    assert seen == {True, False}


def test_the_set_in_words(tmp_path: Path) -> None:
    spec = read(tmp_path, "ball: {norm: 1, eps: 0.5, center: [1, -2]}")
    assert "at a distance in the 1-norm of at most 0.5 from (1, -2)" in spec.describe()
    assert "the 1-norm ball of the radius 0.5 around (1, -2)" in set_in_words(spec.requirements[0].problem)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("ball: {norm: 3, eps: 0.5, center: 0}", "norm"),
        ("ball: {norm: true, eps: 0.5, center: 0}", "norm"),
        ("ball: {norm: 1, eps: -1, center: 0}", "at least 0"),
        ("box: {lo: 0.6, hi: 1}\n    ball: {norm: 1, eps: 1, center: 0}", "the ball has no point"),
    ],
)
def test_refusals_in_yaml(tmp_path: Path, sets: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(tmp_path, sets)


def test_points_of_a_list_are_those_in_the_ball(tmp_path: Path) -> None:
    near, far = "[0.2, 0.3]", "[0.3, 0.3]"
    spec = read(tmp_path, f"points: [{near}, {far}]\n    ball: {{norm: 1, eps: 0.5, center: 0}}")
    assert spec.inputs[0] is not None
    assert spec.inputs[0].points == ((Fraction(1, 5), Fraction(3, 10)),)


@pytest.mark.parametrize("seed", range(60))
def test_written_and_read_back_by_both_readers(seed: int) -> None:
    """The same ball where decimals are finite, else the same up to a factor of weights and bound."""
    rng = random.Random(seed)
    finite = seed % 2 == 0
    given = random_ball(rng, [1, 2, 5, 8, 1000] if finite else [1, 3, 7, 30, 255])
    ball = Ball(given.center, given.weights, given.bound, 1)
    box = Box(tuple(c - 100 for c in ball.center), tuple(c + 100 for c in ball.center))
    row = Row((), ((0, Fraction(1)),), Fraction(0))
    problem = Problem(network(2, 1), (Case(box, (row,), ball), Case(box, (Row((), ((0, HALF),), HALF),), ball)))
    text = write_vnnlib(problem)
    (back, *_), (theirs, *_) = compile_vnnlib(parse_vnnlib(text), problem.graph).cases, read_query(text, 2, 1)
    for found in (back.ball, theirs.ball):
        assert found is not None
        assert (found.norm, found.center) == (1, ball.center)
        factor = found.weights[0] / ball.weights[0]
        assert found.weights == tuple(factor * weight for weight in ball.weights)
        assert found.bound == factor * ball.bound
        assert factor == 1 or not finite
    several = Problem(problem.graph, (problem.cases[0], Case(box, (row,), given), Case(box, (row,))))
    balls = [case.ball for case in read_query(write_vnnlib(several), 2, 1)]
    assert [each and each.norm for each in balls] == [1, 2, None]


def size(term: str) -> str:
    return f"(ite (>= {term} 0.0) {term} (- {term}))"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (f"(<= {size('X_0')} 1)", "a ball needs an absolute value of every input; 1 lack one: X_1"),
        (f"(<= (+ {size('X_0')} {size('X_0')} {size('X_1')}) 1)", "two absolute values"),
        (f"(<= (+ {size('X_0')} (* X_1 X_1)) 1)", "squares and absolute values in one sum"),
        (f"(<= (+ {size('X_0')} X_1) 1)", "absolute values and other terms"),
        (f"(<= (+ X_1 {size('X_0')}) 1)", "absolute values and other terms"),
        (f"(<= (+ (* -1 {size('X_0')}) {size('X_1')}) 1)", "by a number above 0"),
        (f"(< (+ {size('X_0')} {size('X_1')}) 1)", "nonlinear"),
        (f"(>= (+ {size('X_0')} {size('X_1')}) 1)", "nonlinear"),
        (f"(<= (+ {size('X_0')} {size('X_1')}) Y_0)", "has to be a number"),
        (f"(<= (+ {size('X_0')} {size('Y_0')}) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} {size('(+ X_0 X_1)')}) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (>= X_1 1) X_1 (- X_1))) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (> X_1 0) X_1 (- X_1))) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (>= X_1 X_0) X_1 (- X_1))) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (<= X_1 0) X_1 (- X_1))) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1 X_1)) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1 (- X_0))) 1)", "an absolute value is written"),
        (f"(<= (+ {size('X_0')} (ite (>= X_1 0) X_1)) 1)", "a condition and two values"),
        (f"(<= (+ {size('X_0')} (ite X_1 X_1 (- X_1))) 1)", "expected a formula"),
        (f"(<= (+ {size('X_0')} {size('X_1')}) -1)", "the ball has no point"),
        (f"(<= {size('X_0')} {size('X_1')})", "nonlinear"),
    ],
)
def test_everything_else_with_a_choice_is_refused_where_it_stands(formula: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse_vnnlib(f"{HEAD}{BOX}\n(assert {formula})")
    assert "7:" in str(caught.value) or "line 7" in str(caught.value)


@pytest.mark.parametrize("seed", range(100))
def test_points_are_moved_into_box_and_ball(seed: int) -> None:
    """Exactly inside, for any point; where a point is inside already it stays, up to rounding to float32."""
    rng = random.Random(seed)
    given = random_ball(rng, [1, 3, 8, 1000])
    ball = Ball(given.center, given.weights, given.bound, 1)
    reach = [float(ball.bound / weight) for weight in ball.weights]
    lower = tuple(c - Fraction(rng.uniform(-0.5, 1) * r) for c, r in zip(ball.center, reach))
    box = Box(lower, tuple(low + Fraction(rng.uniform(0, 2) * r) for low, r in zip(lower, reach)))
    if not ball.meets(box):
        box = Box(ball.center, tuple(c + 1 for c in ball.center))
    case = Case(box, (), ball)
    found = inside(case, np.array([float(c) + rng.uniform(-3, 3) * r for c, r in zip(ball.center, reach)]))
    assert ball.holds(found)
    assert all(low <= value <= up for low, value, up in zip(box.lower, found, box.upper))
    again = inside(case, np.array([float(value) for value in found]))
    assert max(abs(float(a - b)) for a, b in zip(found, again)) <= 1e-2 * (1 + max(reach))


def test_a_point_on_the_way_keeps_its_direction() -> None:
    """(6, 8) comes to (15/7, 20/7) at the surface of the ball of radius 5, up to what rounding costs."""
    ball = Ball((Fraction(0), Fraction(0)), ONES, Fraction(5), 1)
    found = inside(Case(Box((Fraction(-9),) * 2, (Fraction(9),) * 2), (), ball), np.array([6.0, 8.0]))
    assert ball.holds(found)
    assert float(found[0] + found[1]) > 5 * (1 - 1e-5)
    assert abs(float(found[1] / found[0]) - 4 / 3) < 1e-5
