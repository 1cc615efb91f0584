"""Polynomials in several variables with rational coefficients, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

Monomial: TypeAlias = tuple[tuple[int, int], ...]
"""A product of powers: pairs of a variable's number and its exponent (at least 1), the variables ascending."""

ONE: Monomial = ()


def multiply(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials."""
    if not a or not b:
        return a or b
    powers = dict(a)
    for variable, power in b:
        powers[variable] = powers.get(variable, 0) + power
    return tuple(sorted(powers.items()))


def degree_of(monomial: Monomial) -> int:
    """The sum of the exponents."""
    return sum(power for _, power in monomial)


def is_square(monomial: Monomial) -> bool:
    """Whether every exponent is even: then the monomial is nowhere negative."""
    return all(power % 2 == 0 for _, power in monomial)


@dataclass(frozen=True)
class Polynomial:
    """A sum of coefficients times monomials; no coefficient is 0."""

    terms: Mapping[Monomial, Fraction]

    @staticmethod
    def of(terms: Mapping[Monomial, Fraction]) -> Polynomial:
        """The same without the coefficients that are 0."""
        return Polynomial(MappingProxyType({m: c for m, c in terms.items() if c}))

    @staticmethod
    def constant(value: Fraction | int) -> Polynomial:
        return Polynomial.of({ONE: Fraction(value)})

    @staticmethod
    def variable(number: int) -> Polynomial:
        return Polynomial.of({((number, 1),): Fraction(1)})

    @staticmethod
    def affine(coefficients: Mapping[int, Fraction], constant: Fraction) -> Polynomial:
        """``constant + sum of coefficients[k] x_k``."""
        return Polynomial.of({ONE: constant, **{((k, 1),): c for k, c in coefficients.items()}})

    @staticmethod
    def total(parts: Iterable[Polynomial]) -> Polynomial:
        """The sum of many, in one pass."""
        terms: dict[Monomial, Fraction] = {}
        for part in parts:
            for monomial, value in part.terms.items():
                terms[monomial] = terms.get(monomial, Fraction(0)) + value
        return Polynomial.of(terms)

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial.total((self, other))

    def __neg__(self) -> Polynomial:
        return self.scaled(Fraction(-1))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[Monomial, Fraction] = {}
        for a, x in self.terms.items():
            for b, y in other.terms.items():
                product = multiply(a, b)
                terms[product] = terms.get(product, Fraction(0)) + x * y
        return Polynomial.of(terms)

    def __pow__(self, exponent: int) -> Polynomial:
        result = Polynomial.constant(1)
        for _ in range(exponent):
            result = result * self
        return result

    def scaled(self, factor: Fraction) -> Polynomial:
        return Polynomial.of({m: c * factor for m, c in self.terms.items()})

    def coefficient(self, monomial: Monomial) -> Fraction:
        return self.terms.get(monomial, Fraction(0))

    @property
    def degree(self) -> int:
        """The largest degree of a monomial; 0 for the polynomial 0."""
        return max((degree_of(m) for m in self.terms), default=0)

    @property
    def lowest_degree(self) -> int:
        """The least degree of a monomial; 0 for the polynomial 0."""
        return min((degree_of(m) for m in self.terms), default=0)

    @property
    def variables(self) -> frozenset[int]:
        """The variables that occur."""
        return frozenset(variable for monomial in self.terms for variable, _ in monomial)

    @property
    def is_constant(self) -> bool:
        return not self.variables

    @property
    def norm(self) -> Fraction:
        """The sum of the absolute values of all coefficients."""
        return sum((abs(c) for c in self.terms.values()), Fraction(0))

    def at(self, point: Sequence[Fraction]) -> Fraction:
        """The exact value at a point."""
        total = Fraction(0)
        for monomial, value in self.terms.items():
            for variable, power in monomial:
                value *= point[variable] ** power
            total += value
        return total

    def substituted(self, values: Mapping[int, Polynomial]) -> Polynomial:
        """The polynomial with polynomials in the place of some variables."""
        powers: dict[tuple[int, int], Polynomial] = {}
        parts = []
        for monomial, value in self.terms.items():
            part = Polynomial.constant(value)
            for variable, power in monomial:
                if (variable, power) not in powers:
                    powers[variable, power] = values.get(variable, Polynomial.variable(variable)) ** power
                part = part * powers[variable, power]
            parts.append(part)
        return Polynomial.total(parts)

    def rescaled(self, centre: Sequence[Fraction], scale: Sequence[Fraction]) -> Polynomial:
        """The same function of ``t`` where ``x = centre + scale t``."""
        return self.substituted(
            {k: Polynomial.affine({k: scale[k]}, centre[k]) for k in self.variables if centre[k] or scale[k] != 1}
        )

    def written(self, names: Sequence[str]) -> str:
        """The polynomial in words, the highest powers first."""
        order = sorted(self.terms, key=lambda m: (-degree_of(m), m))
        parts = []
        for monomial in order:
            value = self.terms[monomial]
            factors = [names[k] if power == 1 else f"{names[k]}**{power}" for k, power in monomial]
            if abs(value) != 1 or not factors:
                factors.insert(0, str(abs(value)))
            parts.append(("-" if value < 0 else "+", "*".join(factors)))
        if not parts:
            return "0"
        first = ("-" if parts[0][0] == "-" else "") + parts[0][1]
        return " ".join([first, *(f"{sign} {text}" for sign, text in parts[1:])])
