"""Polynomials against evaluation at points."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.polynomial import ONE, Polynomial, degree_of, is_square, multiply
from specs.polynomial_problem import PolynomialCase, PolynomialProblem

RATIONALS = st.fractions(min_value=-5, max_value=5, max_denominator=12)
MONOMIALS = st.dictionaries(st.integers(0, 2), st.integers(1, 3), max_size=3).map(lambda d: tuple(sorted(d.items())))
POLYNOMIALS = st.dictionaries(MONOMIALS, RATIONALS, max_size=5).map(Polynomial.of)
POINTS = st.lists(RATIONALS, min_size=3, max_size=3)


@given(POLYNOMIALS, POLYNOMIALS, POINTS, st.integers(0, 3))
def test_arithmetic_commutes_with_evaluation(p, q, point, power):
    a, b = p.at(point), q.at(point)
    assert (p + q).at(point) == a + b
    assert (p - q).at(point) == a - b
    assert (p * q).at(point) == a * b
    assert (p**power).at(point) == a**power
    assert p.scaled(Fraction(-3, 7)).at(point) == a * Fraction(-3, 7)


@given(POLYNOMIALS, POLYNOMIALS, POINTS)
def test_substitution_commutes_with_evaluation(p, q, point):
    inside = [point[0], q.at(point), point[2]]
    assert p.substituted({1: q}).at(point) == p.at(inside)


@given(POLYNOMIALS, POLYNOMIALS)
def test_no_zero_is_stored_so_equal_polynomials_are_equal_values(p, q):
    assert p + q - q == p
    assert (p - p).terms == {}
    assert all((p * q).terms.values())


@given(MONOMIALS, MONOMIALS)
def test_monomials(a, b):
    assert degree_of(multiply(a, b)) == degree_of(a) + degree_of(b)
    assert multiply(a, b) == multiply(b, a)
    assert is_square(multiply(a, a))
    assert multiply(a, ONE) == a


def test_what_is_written_reads_as_mathematics():
    x, y = Polynomial.variable(0), Polynomial.variable(1)
    p = x**2 * y - y.scaled(Fraction(3, 2)) - Polynomial.constant(1)
    assert p.written(["x", "y"]) == "x**2*y - 3/2*y - 1"
    assert Polynomial.of({}).written([]) == "0"


def test_a_problem_knows_its_points():
    x = Polynomial.variable(0)
    case = PolynomialCase((x,), (Polynomial.constant(1) - x,), (x - Polynomial.constant(1),))
    problem = PolynomialProblem(("x",), (Fraction(-1),), (Fraction(2),), (case,))
    assert problem.violated([Fraction(1)]) == 0
    assert problem.violated([Fraction(1, 2)]) is None
    assert problem.violated([Fraction(3)]) is None
    with pytest.raises(ValueError, match="box"):
        PolynomialProblem(("x",), (Fraction(1),), (Fraction(0),), ())
    with pytest.raises(ValueError, match="variable 1 of 1"):
        PolynomialProblem(("x",), (Fraction(0),), (Fraction(1),), (PolynomialCase((Polynomial.variable(1),)),))
