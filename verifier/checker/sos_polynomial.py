"""Polynomials with rational coefficients for the checker, and matrices proved positive semidefinite, exactly.

A monomial is one integer that holds eight bits for each variable's exponent, so that a product of monomials is a sum.
Nothing overflows into the next variable, as no polynomial made here has a degree above ``LARGEST_DEGREE``. All work
is charged before it is done: what a file asks for is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, lcm

from verifier.checker.errors import CheckError

LARGEST_DEGREE = 255
BITS = 8  # of one exponent
WORK = 400_000_000  # about one per elementary operation on machine-sized numbers
CALL = 20  # operations that starting an operation on polynomials is worth
MOST_PAIRS = 2_000_000  # of terms in one product; bounds memory
WIDEST_DENOMINATOR = 8192  # bits, of a polynomial in a file


class Work:
    """What is left of the work that a file may ask for."""

    def __init__(self, left: int = WORK) -> None:
        self.left = left

    def charge(self, operations: int, bits: int = 0) -> None:
        """Operations on integers of so many bits; raises CheckError when there have been too many."""
        words = bits // 64
        self._pay(operations * (1 + words * isqrt(words) // 8))

    def charge_reduction(self, bits: int) -> None:
        """One greatest common divisor of integers of so many bits, which takes the square of their length."""
        self._pay(1 + (bits // 64) ** 2 // 4)

    def _pay(self, price: int) -> None:
        self.left -= price
        if self.left < 0:
            raise CheckError("the proof asks for more arithmetic than this checker is ready to do")


@dataclass(frozen=True)
class Polynomial:
    """``sum of numerators[m] m / denominator`` over monomials m; ``degree`` is not below that of any of them."""

    numerators: dict[int, int]
    denominator: int
    degree: int

    @staticmethod
    def of(terms: dict[int, Fraction], degree: int) -> Polynomial:
        denominator = 1
        for value in terms.values():
            denominator = lcm(denominator, value.denominator)
            if denominator.bit_length() > WIDEST_DENOMINATOR:
                raise CheckError(f"a common denominator of more than {WIDEST_DENOMINATOR} bits")
        return Polynomial(
            {m: value.numerator * (denominator // value.denominator) for m, value in terms.items()}, denominator, degree
        )

    @property
    def bits(self) -> int:
        """Of the largest numerator."""
        return max((abs(value).bit_length() for value in self.numerators.values()), default=0)

    def coefficients(self) -> dict[int, Fraction]:
        """Those that are not 0."""
        return {m: Fraction(value, self.denominator) for m, value in self.numerators.items() if value}


ONE = Polynomial({0: 1}, 1, 0)


def product(a: Polynomial, b: Polynomial, work: Work) -> Polynomial:
    """Raises CheckError when the degree or the work gets too large."""
    degree = a.degree + b.degree
    if degree > LARGEST_DEGREE:
        raise CheckError(f"a product has a degree above {LARGEST_DEGREE}")
    if len(a.numerators) * len(b.numerators) > MOST_PAIRS:
        raise CheckError(f"a product of more than {MOST_PAIRS} pairs of terms")
    work.charge(CALL + len(a.numerators) * len(b.numerators), a.bits + b.bits)
    terms: dict[int, int] = {}
    for m, x in a.numerators.items():
        for k, y in b.numerators.items():
            terms[m + k] = terms.get(m + k, 0) + x * y
    return Polynomial(terms, a.denominator * b.denominator, degree)


def total(parts: Sequence[Polynomial], work: Work) -> Polynomial:
    """The sum of polynomials."""
    denominator = 1
    for part in parts:
        work.charge_reduction(denominator.bit_length() + part.denominator.bit_length())
        denominator = lcm(denominator, part.denominator)
    terms: dict[int, int] = {}
    for part in parts:
        work.charge(CALL + len(part.numerators), part.bits + denominator.bit_length())
        factor = denominator // part.denominator
        for m, value in part.numerators.items():
            terms[m] = terms.get(m, 0) + factor * value
    return Polynomial(terms, denominator, max((part.degree for part in parts), default=0))


def exponents(monomial: int) -> list[tuple[int, int]]:
    """Pairs of a variable and its exponent, at least 1."""
    found = []
    variable = 0
    while monomial:
        power = monomial & ((1 << BITS) - 1)
        if power:
            found.append((variable, power))
        monomial >>= BITS
        variable += 1
    return found


def substituted(p: Polynomial, centre: Sequence[Fraction], scale: Sequence[Fraction], work: Work) -> Polynomial:
    """``p`` as a polynomial in t, where ``x = centre + scale t``."""
    powers: dict[tuple[int, int], Polynomial] = {}
    parts = []
    for m, value in p.numerators.items():
        part = Polynomial({0: value}, p.denominator, 0)
        for variable, power in exponents(m):
            if (variable, power) not in powers:
                powers[variable, power] = _power(variable, power, centre[variable], scale[variable], work)
            part = product(part, powers[variable, power], work)
        parts.append(part)
    result = total(parts, work)
    return Polynomial(result.numerators, result.denominator, p.degree)


def _power(variable: int, power: int, centre: Fraction, scale: Fraction, work: Work) -> Polynomial:
    line = {0: centre, 1 << (BITS * variable): scale}
    base = Polynomial.of({m: value for m, value in line.items() if value}, 1)
    result = ONE
    for _ in range(power):
        result = product(result, base, work)
    return result


def quadratic_form(basis: Sequence[int], rows: Sequence[Sequence[int]], degree: int, work: Work) -> Polynomial:
    """``z^T Q z`` for monomials z of at most this degree and the symmetric Q whose lower triangle is given."""
    work.charge(len(basis) * (len(basis) + 1) // 2)
    terms: dict[int, int] = {}
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if value:
                m = basis[i] + basis[j]
                terms[m] = terms.get(m, 0) + (value if i == j else 2 * value)
    return Polynomial(terms, 1, 2 * degree)


def is_semidefinite(rows: Sequence[Sequence[int]], work: Work) -> bool:
    """Whether the symmetric integer matrix with this lower triangle is positive semidefinite, decided exactly.

    Fraction-free elimination (Bareiss 1968) on the diagonal. With I the pivots so far, the entry (i, j) is the minor
    of rows I + i and columns I + j, which is a positive number times the Schur complement's entry (Sylvester). A
    negative one on the diagonal refutes; a zero refutes unless its row is zero, which is then left out.
    """
    size = len(rows)
    bits = max((abs(value).bit_length() for row in rows for value in row), default=0)
    work.charge(size**3 // 3 + 1, 2 * bits * size)
    matrix = [list(row) for row in rows]
    previous = 1
    for k in range(size):
        pivot = matrix[k][k]
        below = [matrix[i][k] for i in range(k + 1, size)]
        if pivot < 0 or (pivot == 0 and any(below)):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, size):
            row, factor = matrix[i], below[i - k - 1]
            for j in range(k + 1, i + 1):
                row[j] = (pivot * row[j] - factor * below[j - k - 1]) // previous
        previous = pivot
    return True
