"""Polynomial questions with known answers, and the checker's word on proofs of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

from relaxations.sos.lasserre import Bounded
from relaxations.sos.proving import CaseProof
from specs.polynomial import Polynomial
from specs.polynomial_problem import PolynomialCase, PolynomialProblem
from verifier.checker.check import Verdict
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import read_evidence
from verifier.polynomials.evidence import Refutation

x, y = Polynomial.variable(0), Polynomial.variable(1)


def number(value: Fraction | int | str) -> Polynomial:
    return Polynomial.constant(Fraction(value))


def motzkin() -> Polynomial:
    """Not negative, 0 where |x| = |y| = 1, and no sum of squares (Motzkin 1967)."""
    return x**4 * y**2 + x**2 * y**4 - x**2 * y**2 * number(3) + number(1)


def goldstein_price() -> Polynomial:
    """Least value 3 at (0, -1) (Goldstein and Price 1971)."""
    a = number(19) - number(14) * x + number(3) * x**2 - number(14) * y + number(6) * x * y + number(3) * y**2
    b = number(18) - number(32) * x + number(12) * x**2 + number(48) * y - number(36) * x * y + number(27) * y**2
    return (number(1) + (x + y + number(1)) ** 2 * a) * (number(30) + (number(2) * x - number(3) * y) ** 2 * b)


def van_der_pol(rho: Fraction) -> PolynomialCase:
    """Where V > 0, V < rho and dV >= 0, for the time-reversed Van der Pol oscillator."""
    v = number("3/2") * x**2 - x * y + y**2
    flow = (-y, x + y * (x**2 - number(1)))
    derivative = (number(3) * x - y) * flow[0] + (number(2) * y - x) * flow[1]
    return PolynomialCase((v, number(rho) - v), (derivative,))


def cubic(rho: Fraction) -> PolynomialCase:
    """The same for x' = -x + x^3 and V = x^2: empty exactly for rho <= 1."""
    return PolynomialCase((x**2, number(rho) - x**2), (number(2) * x * (x**3 - x),))


def square_box(half: Fraction | int, size: int = 2) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    return (Fraction(-half),) * size, (Fraction(half),) * size


def bounded(p: Polynomial, half: Fraction | int, size: int = 2) -> Bounded:
    return Bounded((p,), *square_box(half, size))


def problem(case: PolynomialCase, half: Fraction | int, size: int = 2) -> PolynomialProblem:
    return PolynomialProblem(tuple(f"x[{k}]" for k in range(size)), *square_box(half, size), (case,))


def written(question: PolynomialProblem, proofs: Sequence[CaseProof]) -> bytes:
    """A certificate file."""
    out = io.BytesIO()
    about = {"requirement": "test", "parameters": {}}
    Refutation(question, proofs, "a claim", {"test": "1"}, about).write(out)
    return out.getvalue()


def judged(data: bytes) -> Verdict:
    """The checker's verdict on the bytes of a file."""
    return verdict_on_polynomials(read_evidence(data))
