"""Euclidean balls in spec.yaml and VNN-LIB: what they compile to, the way to the checker's own reader, refusals."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib
from specs.language.vnnlib.writer import write_vnnlib
from specs.problem import Ball, Box, Case, Problem, Row
from tests.unit.specs.language.networks import network
from verifier.attack.witness import inside
from verifier.checker.vnnlib import read_query
from verifier.report.words import set_in_words

HALF = Fraction(1, 2)


def read(folder: Path, sets: str) -> Spec:
    path = folder / "s.yaml"
    path.write_text(
        f"""certify: "1.0"
name: test
models:
  target: {{path: "$MODEL"}}
inputs:
  x:
    shape: [2]
    {sets}
require:
  - id: r
    assert: "target(x)[0] >= 0"
""",
        encoding="utf-8",
    )
    return load_spec(path, Path("net.onnx"), {}, lambda file, **options: network(2, 1))


def only(spec: Spec) -> Case:
    (case,) = spec.requirements[0].problem.cases
    return case


def test_a_ball_and_the_box_around_it(tmp_path: Path) -> None:
    case = only(read(tmp_path, "ball: {norm: 2, eps: 0.5, center: [1, -2]}"))
    assert case.ball == Ball((Fraction(1), Fraction(-2)), (Fraction(1), Fraction(1)), Fraction(1, 4))
    assert case.box == Box((HALF, Fraction(-5, 2)), (Fraction(3, 2), Fraction(-3, 2)))


def test_a_box_beside_it_cuts_only_the_box(tmp_path: Path) -> None:
    case = only(read(tmp_path, "box: {lo: 0, hi: 1}\n    ball: {norm: 2, eps: 1/3, center: [0.9, 0.1]}"))
    assert case.ball == Ball((Fraction(9, 10), Fraction(1, 10)), (Fraction(1), Fraction(1)), Fraction(1, 9))
    assert case.box == Box((Fraction(9, 10) - Fraction(1, 3), Fraction(0)), (Fraction(1), Fraction(13, 30)))


def test_scaling_makes_an_ellipsoid_of_it(tmp_path: Path) -> None:
    """A point of the raw ball is one of the model's, whatever mean and range are."""
    spec = read(
        tmp_path, "normalize: {mean: [0.5, 1], range: [3, 0.2]}\n    ball: {norm: 2, eps: 0.7, center: [1, -2]}"
    )
    case, inputs = only(spec), spec.inputs[0]
    assert inputs is not None
    assert case.ball is not None
    rng = random.Random(1)
    for _ in range(200):
        raw = [Fraction(1) + Fraction(rng.randint(-70, 70), 100), Fraction(-2) + Fraction(rng.randint(-70, 70), 100)]
        held = (raw[0] - 1) ** 2 + (raw[1] + 2) ** 2 <= Fraction(49, 100)
        x = inputs.to_model(raw)
        assert case.ball.holds(x) is held
        assert inputs.contains(x) is held
        assert spec.requirements[0].is_violated_at(x, [Fraction(-1)]) is held


def test_the_set_in_words(tmp_path: Path) -> None:
    spec = read(tmp_path, "ball: {norm: 2, eps: 0.5, center: [1, -2]}")
    assert "squared Euclidean distance of at most 0.25 from (1, -2)" in spec.describe()
    assert "the Euclidean ball of the radius 0.5 around (1, -2)" in set_in_words(spec.requirements[0].problem)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("ball: {norm: 3, eps: 0.5, center: 0}", "norm"),
        ("ball: {norm: 2, eps: -1, center: 0}", "at least 0"),
        ("box: {lo: 0.9, hi: 1}\n    ball: {norm: 2, eps: 1, center: 0}", "the ball has no point"),
    ],
)
def test_refusals_in_yaml(tmp_path: Path, sets: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(tmp_path, sets)


def random_ball(rng: random.Random, below: list[int]) -> Ball:
    def number(least: int) -> Fraction:
        return Fraction(rng.randint(least, 60), rng.choice(below))

    center = number(-60), number(-60)
    return Ball(center, (number(1), number(1)), number(0))


@pytest.mark.parametrize("seed", range(60))
def test_written_and_read_back_by_both_readers(seed: int) -> None:
    """The same ball where decimals are finite, else the same up to a factor of weights and bound; the box holds it."""
    rng = random.Random(seed)
    finite = seed % 2 == 0
    ball = random_ball(rng, [1, 2, 5, 8, 1000] if finite else [1, 3, 7, 30, 255])
    box = Box(tuple(c - 100 for c in ball.center), tuple(c + 100 for c in ball.center))
    row = Row((), ((0, Fraction(1)),), Fraction(0))
    problem = Problem(network(2, 1), (Case(box, (row,), ball), Case(box, (Row((), ((0, HALF),), HALF),), ball)))
    text = write_vnnlib(problem)
    (back, *_), (theirs, *_) = compile_vnnlib(parse_vnnlib(text), problem.graph).cases, read_query(text, 2, 1)
    for found in (back.ball, theirs.ball):
        assert found is not None
        assert found.center == ball.center
        factor = found.weights[0] / ball.weights[0]
        assert found.weights == tuple(factor * weight for weight in ball.weights)
        assert found.bound == factor * ball.bound
        assert factor == 1 or not finite


HEAD = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0")) + "(assert (<= Y_0 0))\n"
BOX = "".join(f"(assert (>= X_{i} -1))(assert (<= X_{i} 1))" for i in range(2)) + "\n"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("(<= (+ (* X_0 X_0)) 1)", "1 lack one: X_1"),
        ("(<= (+ (* X_0 X_1) (* X_1 X_1)) 1)", "a product of variables is nonlinear"),
        ("(<= (+ (* X_0 X_0) (* Y_0 Y_0)) 1)", "a product of variables is nonlinear"),
        ("(<= (+ (* X_0 X_0) (* X_0 X_0) (* X_1 X_1)) 1)", "two squares"),
        ("(<= (+ (* -1 (* X_0 X_0)) (* X_1 X_1)) 1)", "by a number above 0"),
        ("(<= (+ (* X_0 X_0) (* X_1 X_1)) X_0)", "has to be a number"),
        ("(<= (+ (* X_0 X_0) (* X_1 X_1) X_0) 1)", "squares and other terms"),
        ("(>= (+ (* X_0 X_0) (* X_1 X_1)) 1)", "nonlinear"),
        ("(< (+ (* X_0 X_0) (* X_1 X_1)) 1)", "nonlinear"),
        ("(= (+ (* X_0 X_0) (* X_1 X_1)) 1)", "nonlinear"),
        ("(or (>= (+ (* X_0 X_0) (* X_1 X_1)) 1) (<= Y_0 1))", "nonlinear"),
        ("(<= (+ (* (+ X_0 X_1) (+ X_0 X_1)) (* X_1 X_1)) 1)", "nonlinear"),
        ("(<= (+ (* X_0 X_0) (* X_1 X_1)) -1)", "the ball has no point"),
    ],
)
def test_other_quadratic_forms_are_refused_where_they_stand(formula: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse_vnnlib(f"{HEAD}{BOX}\n(assert {formula})")
    assert "7:" in str(caught.value) or "line 7" in str(caught.value)


def test_one_ball_at_most_and_one_that_meets_the_box() -> None:
    ball = "(assert (<= (+ (* X_0 X_0) (* X_1 X_1)) 1))"
    with pytest.raises(SpecError, match="a second ball"):
        parse_vnnlib(HEAD + BOX + ball + ball)
    away = "(assert (<= (+ (* (- X_0 9) (- X_0 9)) (* X_1 X_1)) 1))"
    with pytest.raises(SpecError, match="describes no point at all"):
        compile_vnnlib(parse_vnnlib(HEAD + BOX + away), network(2, 1))


@pytest.mark.parametrize("seed", range(100))
def test_points_are_moved_into_box_and_ball(seed: int) -> None:
    """Exactly inside, for any point; where a point is inside already it stays, up to rounding to float32."""
    rng = random.Random(seed)
    ball = random_ball(rng, [1, 3, 8, 1000])
    size = [float(ball.bound / weight) ** 0.5 for weight in ball.weights]
    lower = tuple(c - Fraction(rng.uniform(-0.5, 1) * r) for c, r in zip(ball.center, size))
    box = Box(lower, tuple(low + Fraction(rng.uniform(0, 2) * r) for low, r in zip(lower, size)))
    if not ball.meets(box):
        box = Box(ball.center, tuple(c + 1 for c in ball.center))
    case = Case(box, (), ball)
    point = np.array([float(c) + rng.uniform(-3, 3) * r for c, r in zip(ball.center, size)])
    found = inside(case, point)
    assert ball.holds(found)
    assert all(low <= value <= up for low, value, up in zip(box.lower, found, box.upper))
    again = inside(case, np.array([float(value) for value in found]))
    assert max(abs(float(a - b)) for a, b in zip(found, again)) <= 1e-2 * (1 + max(size))


def test_a_point_on_the_way_keeps_its_direction() -> None:
    """(6, 8) comes to (3, 4) at the surface of the ball of radius 5, up to what rounding costs."""
    ball = Ball((Fraction(0), Fraction(0)), (Fraction(1), Fraction(1)), Fraction(25))
    found = inside(Case(Box((Fraction(-9),) * 2, (Fraction(9),) * 2), (), ball), np.array([6.0, 8.0]))
    assert ball.holds(found)
    assert float(found[0] ** 2 + found[1] ** 2) > 25 * (1 - 1e-5)
    assert abs(float(found[1] / found[0]) - 4 / 3) < 1e-5
