"""One representative of all problems that differ in the order of cases and rows only."""

from __future__ import annotations

from fractions import Fraction

from specs.problem import Case, Problem, Row


def canonical(problem: Problem) -> Problem:
    """``problem`` with rows sorted within cases, cases sorted, and repetitions of both removed: the same question."""
    cases = {Case(case.box, tuple(sorted(set(case.any_of), key=_row_key))) for case in problem.cases}
    return Problem(problem.graph, tuple(sorted(cases, key=_case_key)))


_RowKey = tuple[tuple[tuple[int, Fraction], ...], tuple[tuple[int, Fraction], ...], Fraction, bool]


def _row_key(row: Row) -> _RowKey:
    return (row.y, row.x, row.constant, row.strict)


def _case_key(case: Case) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...], list[_RowKey]]:
    return (case.box.lower, case.box.upper, [_row_key(row) for row in case.any_of])
