"""Exact proofs from floats: whatever the floats were, what comes out is true."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaxations.sos.lasserre import Refuted
from relaxations.sos.program import Scaling, Solved
from relaxations.sos.rounding import absorbed, guessed, is_semidefinite, projected, rounded
from specs.polynomial import Polynomial
from specs.polynomial_problem import PolynomialCase
from tests.polynomials import bounded, number, square_box, x, y

RATIONALS = st.fractions(min_value=-5, max_value=5, max_denominator=12)
MONOMIALS = st.dictionaries(st.integers(0, 2), st.integers(1, 4), max_size=3).map(lambda d: tuple(sorted(d.items())))
POLYNOMIALS = st.dictionaries(MONOMIALS, RATIONALS, max_size=6).map(Polynomial.of)
INSIDE = st.lists(st.fractions(min_value=-1, max_value=1, max_denominator=20), min_size=3, max_size=3)


@given(POLYNOMIALS, INSIDE)
def test_no_point_of_the_box_exceeds_what_is_absorbed(p, point):
    assert p.at(point) <= absorbed(p)


def test_absorbing_is_exact_for_a_sum_of_squares_at_a_corner():
    assert absorbed(x**2 + number(2) * y**4 - number(1)) == 2
    assert absorbed(-(x**2) + number(1)) == 1
    assert absorbed(number(-3) * x * y) == 3


def made_up(program, rng: np.random.Generator) -> Solved:
    """Numbers that no solver found."""
    grams = []
    for square in program.squares:
        values = rng.normal(size=(len(square.basis),) * 2)
        grams.append(values + values.T)
    multipliers = tuple(rng.normal(size=len(equation.basis)) for equation in program.equations)
    return Solved(1.0, rng.normal(size=len(program.objectives)), tuple(grams), multipliers, {}, False, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_any_floats_become_a_true_bound(seed):
    rng = np.random.default_rng(seed)
    question = replace(bounded(x**4 - x * y + y, 1), zero=(x - y**2,), weak=(number(1) - x * y,))
    program = question.program(2)
    identity = rounded(program, made_up(program, rng))
    assert all(is_semidefinite(square.rows) for square in identity.squares)
    assert sum(identity.weights) == 1
    level = -absorbed(identity.rest)
    for t in np.linspace(-1, 1, 21):  # on the curve x = y^2 the objective is at least the level
        point = (Fraction(float(t)) ** 2, Fraction(float(t)))
        assert question.objectives[0].at(point) >= level


@pytest.mark.parametrize("seed", range(5))
def test_the_rest_is_what_the_identity_leaves(seed):
    rng = np.random.default_rng(seed)
    program = bounded(x**4 - x * y + y, 1).program(2)
    identity = rounded(program, made_up(program, rng))
    for _ in range(5):
        point = [Fraction(int(v), 7) for v in rng.integers(-9, 10, 2)]
        total = -sum(w * p.at(point) for w, p in zip(identity.weights, program.objectives))
        for square in identity.squares:
            z = [Polynomial.of({m: Fraction(1)}).at(point) for m in square.square.basis]
            form = sum(
                (1 if i == j else 2) * value * z[i] * z[j]
                for i, row in enumerate(square.rows)
                for j, value in enumerate(row)
            )
            total += form / square.denominator * square.square.condition.at(point)
        assert total == identity.rest.at(point)


def test_projection_leaves_nothing_or_says_so():
    pytest.importorskip("cvxpy")
    from relaxations.sos.solve import solve

    case = PolynomialCase((-(x**2) - y**2 + x * y,))
    refuted = Refuted(case, *square_box(1), (1,), Scaling.about((Fraction(0),) * 2, *square_box(1)))
    program = refuted.program(2)
    solved = solve(program)
    found = projected(program, solved)
    assert found.rest.terms == {}
    assert is_semidefinite(found.squares[0].rows)
    false = replace(refuted, case=PolynomialCase((x * y,)))  # x y > 0 is not empty: no Gram matrix will do
    program = false.program(2)
    grams = tuple(np.eye(len(square.basis)) for square in program.squares)
    assert projected(program, replace(solved, grams=grams, value=1.0)) is None


def test_a_guess_is_checked_and_not_believed():
    case = PolynomialCase((x**2 - number(1),))
    refuted = Refuted(case, *square_box(1, 1), (1,), Scaling.to_unit(*square_box(1, 1)))
    program = refuted.program(2)
    sides = [k for k, square in enumerate(program.squares) if square.factors == (("lower", 0), ("upper", 0))]
    grams = [np.zeros((len(square.basis),) * 2) for square in program.squares]
    grams[sides[0]][0, 0] = 1 + 1e-9
    close = Solved(0.0, np.ones(1), tuple(grams), (), {}, True, 0.0)
    found = guessed(program, close)
    assert found is not None
    assert absorbed(found.rest) <= 0
    larger = replace(refuted, case=PolynomialCase((x**2 - number("1/2"),)))  # not empty on [-1, 1]
    for value in (0.0, 0.5, 1.0, 2.0):
        grams[sides[0]][0, 0] = value
        assert guessed(larger.program(2), replace(close, grams=tuple(grams))) is None


@given(st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=3, max_size=3))
@settings(max_examples=200)
def test_semidefinite_agrees_with_eigenvalues_where_these_are_clear(rows):
    full = np.array(rows)
    symmetric = full + full.T
    least = np.linalg.eigvalsh(symmetric)[0]
    lower = tuple(tuple(int(v) for v in row[: i + 1]) for i, row in enumerate(symmetric))
    if abs(least) > 1e-9:
        assert is_semidefinite(lower) == (least > 0)
    assert is_semidefinite(tuple(tuple(int(v) for v in row[: i + 1]) for i, row in enumerate(full @ full.T)))


@pytest.mark.parametrize("solver", ["clarabel", "scs"])
def test_both_solvers_find_the_same_optimum_with_duals_of_the_right_sign(solver):
    pytest.importorskip("cvxpy")
    from relaxations.sos.solve import solve

    question = replace(bounded(x + y, 1), zero=(x - y**2,))
    program = question.program(2)
    solved = solve(program, solver=solver, fallback=False)
    assert solved.value == pytest.approx(-0.25, abs=1e-5), "y^2 + y is least at -1/2"
    identity = rounded(program, solved)
    assert -0.25 - 1e-3 <= -absorbed(identity.rest) <= -0.25


def test_a_time_that_is_over_is_no_answer():
    pytest.importorskip("cvxpy")
    from relaxations.sos.solve import solve

    assert solve(bounded(x, 1).program(1), seconds=0.0) is None


def test_a_missing_solver_says_what_to_install(monkeypatch):
    cvxpy = pytest.importorskip("cvxpy")
    from relaxations.sos.solve import SolverError, solve

    monkeypatch.setattr(cvxpy, "installed_solvers", list)
    with pytest.raises(SolverError, match="pip install clarabel"):
        solve(bounded(x, 1).program(1))
