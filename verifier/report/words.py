"""Sets and properties of a problem in words, short enough to be read."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import sqrt

from specs.problem import Ball, Box, Problem, Row, Terms

MANY_INPUTS, MANY_ROWS, MANY_TERMS = 8, 4, 6


def number(value: Fraction | float) -> str:
    """Shortest decimal that reads back as the same float64; whole numbers without a point."""
    real = float(value)
    return str(int(real)) if real.is_integer() and abs(real) < 1e15 else repr(real)


def set_in_words(problem: Problem) -> str:
    """The inputs that are quantified over."""
    boxes = list(dict.fromkeys(case.box for case in problem.cases))
    if not boxes:
        return "the empty set"
    words = _box(boxes[0]) if len(boxes) == 1 else f"{len(boxes)} boxes of {len(boxes[0].lower)} inputs"
    balls = list(dict.fromkeys(case.ball for case in problem.cases))
    if balls == [None]:
        return words
    return f"the points of {words} in {_ball(balls[0]) if len(balls) == 1 and balls[0] else 'their balls'}"


def property_in_words(problem: Problem) -> str:
    """The property as linear conditions; empty when it is too long to be read."""
    promises = dict.fromkeys(case.any_of for case in problem.cases)
    if len(promises) != 1:
        return ""
    rows = problem.cases[0].any_of
    if len(rows) > MANY_ROWS or any(len(row.x) + len(row.y) > MANY_TERMS for row in rows):
        return ""
    return " OR ".join(_row(row) for row in rows) or "false"


def _box(box: Box) -> str:
    sides = list(zip(box.lower, box.upper, strict=True))
    if len(set(sides)) == 1 and len(sides) > 1:
        return f"[{number(sides[0][0])}, {number(sides[0][1])}]^{len(sides)}"
    if len(sides) <= MANY_INPUTS:
        return " x ".join(f"[{number(low)}, {number(up)}]" for low, up in sides)
    free = sum(low < up for low, up in sides)
    return f"a box of {len(sides)} inputs, {free} of them free"


def _ball(ball: Ball) -> str:
    if len(set(ball.weights)) > 1:
        return f"{'an ellipsoid' if ball.norm == 2 else 'a cross-polytope'} of {len(ball.weights)} half axes"
    kind, power = "Euclidean ball" if ball.norm == 2 else "1-norm ball", ball.bound / ball.weights[0]
    radius = number(sqrt(power) if ball.norm == 2 else power)
    if len(ball.center) > MANY_INPUTS:
        return f"a {kind} of the radius {radius}"
    return f"the {kind} of the radius {radius} around ({', '.join(map(number, ball.center))})"


def _row(row: Row) -> str:
    return f"{_sum(row)} {'>' if row.strict else '>='} 0"


def _sum(row: Row) -> str:
    parts = [*_terms(row.x, "X_{}".format), *_terms(row.y, "Y_{}".format)]
    if row.constant or not parts:
        parts.append(("-" if row.constant < 0 else "+", number(abs(row.constant))))
    first = ("-" if parts[0][0] == "-" else "") + parts[0][1]
    return " ".join([first, *(f"{sign} {text}" for sign, text in parts[1:])])


def _terms(terms: Terms, name: Callable[[int], str]) -> list[tuple[str, str]]:
    return [("-" if c < 0 else "+", name(i) if abs(c) == 1 else f"{number(abs(c))}*{name(i)}") for i, c in terms]
