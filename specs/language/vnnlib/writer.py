"""A problem as a VNN-LIB 1.0 query."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, groupby

from specs.language.text.decimals import format_decimal
from specs.problem import Ball, Box, Problem, Row


def write_vnnlib(problem: Problem) -> str:
    """A query that is satisfiable wherever ``problem`` is violated, and nowhere else unless a comment line says so.

    Numbers with a finite decimal expansion are written exactly, and a problem made of those and read back from such a
    query is the same problem. A row with other coefficients is multiplied by a whole number that makes them finite.
    A box bound without a finite expansion is rounded outward to a float64: the query then covers a little more, so
    a proof for it is a proof for ``problem``.

    A ball that not all cases have stands in the alternatives of those that have it.

    A problem without cases, which nothing can violate, becomes a query whose bounds contradict each other. The checker
    reads it, and other readers here refuse it as one that is hardly meant.
    """
    graph = problem.graph
    lines = ["; VNN-LIB 1.0: satisfiable exactly where the property fails"]
    if not all(_is_finite(bound) for case in problem.cases for bound in case.box.lower + case.box.upper):
        lines.append("; some bounds of inputs are not finite decimals: they are rounded outward, so the box is larger")
    lines += [f"(declare-const X_{i} Real)" for i in range(graph.input_size)]
    lines += [f"(declare-const Y_{i} Real)" for i in range(graph.output_size)]
    if not problem.cases:
        lines += ["; no input at all violates the property: the bounds of X_0 contradict each other"]
        lines += ["(assert (>= X_0 1))", *(f"(assert (>= X_{i} 0))" for i in range(1, graph.input_size))]
        return "\n".join([*lines, *(f"(assert (<= X_{i} 0))" for i in range(graph.input_size))]) + "\n"
    first, *others = problem.cases
    if any(case.ball != first.ball for case in others):
        return "\n".join([*lines, "(assert (or", *_sets_with_balls(problem), "))"]) + "\n"
    if first.ball is not None:
        lines.append(f"(assert {_sum_of_powers(first.ball)})")
    if all(case.box == first.box for case in others):
        lines += [f"(assert {bound})" for bound in _bounds(first.box)]
        alternatives = [list(map(_negated, case.any_of)) for case in problem.cases]
    else:
        alternatives = [[*_bounds(case.box), *map(_negated, case.any_of)] for case in problem.cases]
    if others:
        lines.append("(assert (or")
        lines += [f"  (and {' '.join(constraints)})" if constraints else "  true" for constraints in alternatives]
        lines.append("))")
    else:
        lines += [f"(assert {constraint})" for constraint in alternatives[0]]
    return "\n".join(lines) + "\n"


def largest_factor(problem: Problem) -> int:
    """What the rows of ``problem`` are multiplied by in its query, at most: as often are margins there too large."""
    return max((_factor(row) for case in problem.cases for row in case.any_of), default=1)


def _sets_with_balls(problem: Problem) -> Iterator[str]:
    """One alternative for cases of the same inputs that follow each other."""
    for (box, ball), cases in groupby(problem.cases, key=lambda case: (case.box, case.ball)):
        inputs = [*_bounds(box), *([] if ball is None else [_sum_of_powers(ball)])]
        rows = [" ".join(map(_negated, case.any_of)) for case in cases]
        if len(rows) > 1 and all(rows):
            yield f"  (and {' '.join(inputs)} (or {' '.join(f'(and {row})' for row in rows)}))"
        else:
            yield from (f"  (and {' '.join([*inputs, row]).rstrip()})" for row in rows)


def _bounds(box: Box) -> Iterator[str]:
    for i, (lower, upper) in enumerate(zip(box.lower, box.upper)):
        yield f"(>= X_{i} {_rounded(lower, -math.inf)})"
        yield f"(<= X_{i} {_rounded(upper, math.inf)})"


def _sum_of_powers(ball: Ball) -> str:
    """The ball, exactly: inputs and weights are multiplied by whole numbers where decimals would not end.

    An absolute value is written as a choice, which SMT-LIB has for real numbers and VNN-LIB has not: what reads
    VNN-LIB alone stops there.
    """
    roots = [_without_twos_and_fives(c.denominator) for c in ball.center]
    weights = [weight / root**ball.norm for weight, root in zip(ball.weights, roots)]
    common = math.lcm(*(_without_twos_and_fives(number.denominator) for number in (*weights, ball.bound)))
    terms = []
    for i, (c, root, weight) in enumerate(zip(ball.center, roots, weights)):
        scaled = f"X_{i}" if root == 1 else f"(* {_decimal(Fraction(root))} X_{i})"
        base = f"(- {scaled} {_decimal(root * c)})" if c else scaled
        power = f"(* {base} {base})" if ball.norm == 2 else f"(ite (>= {base} 0.0) {base} (- {base}))"
        terms.append(power if common * weight == 1 else f"(* {_decimal(common * weight)} {power})")
    return f"(<= (+ {' '.join(terms)}) {_decimal(common * ball.bound)})"


def _negated(row: Row) -> str:
    """The constraint that is true where ``row`` is false."""
    row = _with_finite_decimals(row)
    less, greater = ("<=", ">=") if row.strict else ("<", ">")
    terms = [*((f"X_{i}", coefficient) for i, coefficient in row.x), *((f"Y_{i}", value) for i, value in row.y)]
    if len(terms) == 1 and abs(terms[0][1]) == 1:
        ((name, sign),) = terms
        return f"({less if sign > 0 else greater} {name} {_decimal(-sign * row.constant)})"
    if not row.constant and sorted(coefficient for _, coefficient in terms) == [-1, 1]:
        (positive,), (negative,) = ([name for name, coefficient in terms if coefficient == sign] for sign in (1, -1))
        return f"({less} {positive} {negative})"
    parts = [name if coefficient == 1 else f"(* {_decimal(coefficient)} {name})" for name, coefficient in terms]
    total = f"(+ {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "0.0"
    return f"({less} {total} {_decimal(-row.constant)})"


def _with_finite_decimals(row: Row) -> Row:
    factor = _factor(row)
    if factor == 1:
        return row
    x, y = (tuple((index, factor * coefficient) for index, coefficient in terms) for terms in (row.x, row.y))
    return Row(x, y, factor * row.constant, row.strict)


def _factor(row: Row) -> int:
    """The whole number that makes the decimals of a row end."""
    numbers = [row.constant, *(coefficient for _, coefficient in chain(row.x, row.y))]
    return math.lcm(*(_without_twos_and_fives(number.denominator) for number in numbers))


def _without_twos_and_fives(number: int) -> int:
    for prime in (2, 5):
        while number % prime == 0:
            number //= prime
    return number


def _is_finite(value: Fraction) -> bool:
    return _without_twos_and_fives(value.denominator) == 1


def _rounded(value: Fraction, direction: float) -> str:
    """``value`` exactly when it is a finite decimal, else the nearest float64 in ``direction``."""
    if _is_finite(value):
        return _decimal(value)
    nearest = float(value)
    beyond = Fraction(nearest) < value if direction > 0 else Fraction(nearest) > value
    return _decimal(Fraction(math.nextafter(nearest, direction) if beyond else nearest))


def _decimal(value: Fraction) -> str:
    text = format_decimal(value)
    if text is None:
        raise ValueError(f"{value} has no finite decimal expansion")
    return text
