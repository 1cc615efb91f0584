"""Polynomials with rational coefficients for the checker, and matrices proved positive semidefinite, exactly.

A monomial is one integer that holds eight bits for each variable's exponent, so that a product of monomials is a sum.
Nothing overflows into the next variable, as no polynomial made here has a degree above ``LARGEST_DEGREE``. All work
is charged before it is done, and sums are added up as they come: what a file asks for is bounded in time and memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isqrt, lcm

from verifier.checker.errors import CheckError

LARGEST_DEGREE = 255
BITS = 8  # of one exponent
WORK = 20_000_000  # about one per elementary operation on machine-sized numbers, 0.2 microseconds
CALL = 20  # operations that starting an operation on polynomials is worth
MOST_TERMS = 500_000  # of one polynomial; bounds memory
WIDEST_DENOMINATOR = 8192  # bits, of a polynomial in a file


class Work:
    """What is left of the work that a file may ask for."""

    def __init__(self, left: int = WORK) -> None:
        self.left = left

    def charge(self, operations: int, bits: int = 0) -> None:
        """Operations on integers of so many bits; raises CheckError when there have been too many."""
        words = bits // 64
        self._pay(operations * (1 + words * isqrt(words) // 4))

    def charge_reduction(self, bits: int, operations: int = 1) -> None:
        """Divisions or greatest common divisors of integers of so many bits, which take the square of their length."""
        self._pay(operations * (1 + (bits // 64) ** 2 // 16))

    def charge_fraction(self, bits: int) -> None:
        """One operation that makes a fraction of so many bits in lowest terms."""
        self.charge(CALL)
        self.charge_reduction(bits)

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

    @cached_property
    def bits(self) -> int:
        """Of the largest numerator."""
        return max((abs(value).bit_length() for value in self.numerators.values()), default=0)

    @cached_property
    def width(self) -> int:
        """How many operations on a monomial count as: those of many variables are long integers."""
        return 1 + max(self.numerators, default=0).bit_length() // 1024

    def coefficients(self) -> dict[int, Fraction]:
        """Those that are not 0."""
        return {m: Fraction(value, self.denominator) for m, value in self.numerators.items() if value}


ONE = Polynomial({0: 1}, 1, 0)


def product(a: Polynomial, b: Polynomial, work: Work) -> Polynomial:
    """Raises CheckError when the degree, the size or the work gets too large."""
    degree = a.degree + b.degree
    if degree > LARGEST_DEGREE:
        raise CheckError(f"a product has a degree above {LARGEST_DEGREE}")
    pairs = len(a.numerators) * len(b.numerators)
    work.charge(CALL + len(a.numerators) + len(b.numerators))  # reading them, also where one of them is empty
    work.charge(pairs * max(a.width, b.width), a.bits + b.bits)
    work.charge_reduction(a.denominator.bit_length() + b.denominator.bit_length())
    terms: dict[int, int] = {}
    for m, x in a.numerators.items():
        for k, y in b.numerators.items():
            terms[m + k] = terms.get(m + k, 0) + x * y
        _cap(terms)
    return Polynomial(terms, a.denominator * b.denominator, degree)


def total(parts: Iterable[Polynomial], work: Work) -> Polynomial:
    """The sum of polynomials, none of which is kept."""
    terms: dict[int, int] = {}
    denominator, degree = 1, 0
    for part in parts:
        work.charge_reduction(denominator.bit_length() + part.denominator.bit_length())
        common = lcm(denominator, part.denominator)
        bits = max(part.bits, common.bit_length())
        if common != denominator:
            factor = common // denominator
            work.charge(len(terms), bits + factor.bit_length())
            for m in terms:
                terms[m] *= factor
        work.charge(CALL + len(part.numerators) * part.width, bits)
        factor = common // part.denominator
        for m, value in part.numerators.items():
            terms[m] = terms.get(m, 0) + factor * value
        _cap(terms)
        denominator, degree = common, max(degree, part.degree)
    return Polynomial(terms, denominator, degree)


def _cap(terms: dict[int, int]) -> None:
    if len(terms) > MOST_TERMS:
        raise CheckError(f"a polynomial of more than {MOST_TERMS} terms")


def exponents(monomial: int, work: Work) -> list[tuple[int, int]]:
    """Pairs of a variable and its exponent, at least 1."""
    size = (monomial.bit_length() + BITS - 1) // BITS
    work.charge(3 + size // 4)
    return [(variable, power) for variable, power in enumerate(monomial.to_bytes(size, "little")) if power]


def substituted(p: Polynomial, centre: Sequence[Fraction], scale: Sequence[Fraction], work: Work) -> Polynomial:
    """``p`` as a polynomial in t, where ``x = centre + scale t``."""
    powers: dict[tuple[int, int], Polynomial] = {}

    def parts() -> Iterable[Polynomial]:
        for m, value in p.numerators.items():
            part = Polynomial({0: value}, p.denominator, 0)
            for variable, power in exponents(m, work):
                if (variable, power) not in powers:
                    powers[variable, power] = _power(variable, power, centre[variable], scale[variable], work)
                part = product(part, powers[variable, power], work)
            yield part

    result = total(parts(), work)
    return Polynomial(result.numerators, result.denominator, p.degree)


def line(variable: int, constant: Fraction, slope: Fraction, work: Work) -> Polynomial:
    """``constant + slope t`` for one variable t."""
    work.charge(CALL)
    work.charge_reduction(constant.denominator.bit_length() + slope.denominator.bit_length())
    terms = {0: constant, 1 << (BITS * variable): slope}
    return Polynomial.of({m: value for m, value in terms.items() if value}, 1)


def _power(variable: int, power: int, centre: Fraction, scale: Fraction, work: Work) -> Polynomial:
    base = line(variable, centre, scale, work)
    result = ONE
    for _ in range(power):
        result = product(result, base, work)
    return result


def quadratic_form(basis: Sequence[int], rows: Sequence[Sequence[int]], degree: int, work: Work) -> Polynomial:
    """``z^T Q z`` for monomials z of at most this degree and the symmetric Q whose lower triangle is given."""
    width = 1 + max(basis, default=0).bit_length() // 1024
    work.charge(CALL + len(basis) * (len(basis) + 1) // 2 * width)
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
    work.charge(CALL + size * size)
    matrix = [list(row) for row in rows]
    previous, pivots = 1, 0
    for k in range(size):
        pivot = matrix[k][k]
        below = [matrix[i][k] for i in range(k + 1, size)]
        if pivot < 0 or (pivot == 0 and any(below)):
            return False
        if pivot == 0:
            continue
        pivots += 1
        entries = (size - k) * (size - k - 1) // 2
        minors = pivots * (bits + pivots.bit_length())  # bits of a minor of so many rows, at most
        work.charge(CALL + 2 * entries, minors)
        work.charge_reduction(minors, entries)
        for i in range(k + 1, size):
            row, factor = matrix[i], below[i - k - 1]
            for j in range(k + 1, i + 1):
                row[j] = (pivot * row[j] - factor * below[j - k - 1]) // previous
        previous = pivot
    return True
