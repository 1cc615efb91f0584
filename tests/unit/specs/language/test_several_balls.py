"""Cases with balls of their own: written as alternatives, and read by the checker as what they are."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from specs.errors import SpecError
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib
from specs.language.vnnlib.writer import write_vnnlib
from specs.problem import Ball, Box, Case, Problem, Row
from tests.unit.specs.language.networks import network
from verifier.checker.errors import CheckError
from verifier.checker.vnnlib import read_query

HALF, ONE = Fraction(1, 2), Fraction(1)


def numbers(rng: random.Random, count: int, least: int = -9) -> tuple[Fraction, ...]:
    return tuple(Fraction(rng.randint(least, 9), rng.choice([1, 3, 8, 10])) for _ in range(count))


def random_case(rng: random.Random) -> list[Case]:
    """A few cases of the same inputs."""
    center = numbers(rng, 2)
    low = tuple(c - Fraction(k, 8) for c, k in zip(center, (1, rng.randint(0, 3))))
    up = tuple(c + Fraction(1, 4) for c in center)
    ball = Ball(center, numbers(rng, 2, 1), Fraction(rng.randint(1, 9), 7)) if rng.random() < 0.8 else None
    return [
        Case(
            Box(low, up),
            tuple(
                Row(((rng.randint(0, 1), v),), ((0, w),), c, rng.random() < 0.5)
                for v, w, c in [tuple(value or ONE for value in numbers(rng, 3))] * rng.randint(1, 2)
            ),
            ball,
        )
        for _ in range(rng.randint(1, 3))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_the_checker_reads_the_same_cases(seed: int) -> None:
    """Rows are positive multiples, and box bounds without a finite expansion are a little outside."""
    rng = random.Random(seed)
    cases = [case for _ in range(rng.randint(2, 4)) for case in random_case(rng)]
    problem = Problem(network(2, 1), tuple(cases))
    found = read_query(write_vnnlib(problem), 2, 1)
    assert len(found) == len(cases)
    for case, read in zip(cases, found):
        assert all(a <= b for a, b in zip(read.lower, case.box.lower))
        assert all(0 <= float(a - b) < 1e-15 for a, b in zip(read.upper, case.box.upper))
        assert (read.ball is None) == (case.ball is None)
        assert len(read.rows) == len(case.any_of)
        for mine, row in zip(read.rows, case.any_of):
            ((_, factor),) = row.y
            times = mine.y[0] / factor
            assert times > 0
            assert (mine.x, mine.constant) == ({i: times * v for i, v in row.x}, times * row.constant)
            assert mine.strict == row.strict
        for _ in range(20):
            x = [Fraction(rng.randint(-30, 30), 8) for _ in range(2)]
            if case.ball is not None:
                assert read.ball is not None
                assert read.ball.contains(x) == case.ball.holds(x)


@pytest.mark.parametrize("seed", range(60))
def test_both_readers_read_the_same(seed: int) -> None:
    rng = random.Random(seed)
    cases = [case for _ in range(rng.randint(2, 4)) for case in random_case(rng)]
    text = write_vnnlib(Problem(network(2, 1), tuple(cases)))
    ours, theirs = compile_vnnlib(parse_vnnlib(text), network(2, 1)).cases, read_query(text, 2, 1)
    assert len(ours) == len(theirs) - sum(case.empty for case in theirs)
    for case, read in zip(ours, (case for case in theirs if not case.empty)):
        assert (case.box.lower, case.box.upper) == (read.lower, read.upper)
        kept = list({(tuple(r.x.items()), tuple(r.y.items()), r.constant, r.strict): r for r in read.rows}.values())
        assert [(dict(row.x), dict(row.y), row.constant, row.strict) for row in case.any_of] == [
            (row.x, row.y, row.constant, row.strict) for row in kept
        ]
        assert (case.ball is None) == (read.ball is None)
        if case.ball is not None and read.ball is not None:
            assert (case.ball.center, case.ball.weights, case.ball.bound) == (
                read.ball.center, read.ball.weights, read.ball.bound
            )  # fmt: skip


DECLARED = "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n"
BOUNDS, CIRCLE, OTHER = "(>= X_0 0) (<= X_0 9)", "(<= (* X_0 X_0) 4)", "(<= (* (- X_0 1) (- X_0 1)) 4)"


@pytest.mark.parametrize(
    ("assertions", "told"),
    [
        (f"(assert (and {BOUNDS} {CIRCLE} {OTHER}))", "3:55: an alternative with two balls: one is supported"),
        (f"(assert {OTHER})\n(assert (or (and {BOUNDS} {CIRCLE})))", "4:40: a second ball, beside that of all"),
        (f"(assert {OTHER})\n(assert {CIRCLE})", "4:1: a second ball; at most one is supported"),
        (f"(declare-const X_1 Real)\n(assert (or (and {BOUNDS} {CIRCLE})))", "4:40: a ball needs a square of every"),
        (f"(assert (or (and {BOUNDS} {CIRCLE})))\n(declare-const X_1 Real)", "3:40: a ball needs a square of every"),
        (f"(assert (or (and {BOUNDS} (<= (* X_0 X_0) -1))))", "3:40: the ball has no point"),
        (f"(assert (or (and {BOUNDS} (>= (* X_0 X_0) 4))))", "squares"),
        (f"(assert (and (>= X_0 5) (<= X_0 9) {CIRCLE}))", "the ball has no point within these bounds"),
    ],
)
def test_balls_that_are_refused(assertions: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_vnnlib(parse_vnnlib(f"{DECLARED}{assertions}\n"), network(1, 1))
    where = ":".join(str(part) for part in (caught.value.line, caught.value.column) if part)
    assert told in f"{where}: {caught.value.message}", f"{where}: {caught.value.message}"


def test_equal_balls_are_one_and_a_ball_of_all_cases_goes_with_no_other() -> None:
    declared = "(declare-const X_0 Real) (declare-const Y_0 Real)"
    circle, other = "(<= (* X_0 X_0) 4)", "(<= (* (- X_0 1) (- X_0 1)) 4)"
    bounds = "(>= X_0 0) (<= X_0 9)"
    text = f"{declared} (assert (or (and {bounds} {circle} (<= Y_0 0)) (and {bounds} {circle} (<= Y_0 1)) " + (
        f"(and {bounds} {other}) (and {bounds} (<= Y_0 2))))"
    )
    cases = read_query(text, 1, 1)
    assert cases[0].ball is cases[1].ball is not None
    assert cases[2].ball is not None
    assert cases[2].ball.center == (1,)
    assert cases[3].ball is None
    with pytest.raises(CheckError, match="a case with two balls"):
        read_query(f"{text} (assert {circle})", 1, 1)
    with pytest.raises(CheckError, match="a case with two balls"):
        read_query(f"{declared} (assert (and {bounds} {circle} {other}))", 1, 1)
    missed = f"{declared} (assert (or (and (>= X_0 5) (<= X_0 9) {circle}) (and (>= X_0 2) (<= X_0 9) {circle})))"
    assert [case.empty for case in read_query(missed, 1, 1)] == [True, False]
    for outside in (f"(and {bounds} (>= (* X_0 X_0) 4))", f"(and {bounds} (< (* X_0 X_0) 4))"):
        with pytest.raises(CheckError, match="a query is linear"):
            read_query(f"{declared} (assert {outside})", 1, 1)
