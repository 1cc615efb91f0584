"""Conditions on polynomials, and their disjunctive normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from specs.polynomial import Polynomial
from specs.polynomial_problem import PolynomialCase

MOST_CASES = 256
Kind = Literal["strict", "weak", "zero"]


@dataclass(frozen=True)
class Condition:
    """``polynomial > 0`` (strict), ``>= 0`` (weak) or ``= 0`` (zero)."""

    polynomial: Polynomial
    kind: Kind


@dataclass(frozen=True)
class All:
    """Every part holds; of no parts it is true."""

    parts: tuple[PolynomialFormula, ...]


@dataclass(frozen=True)
class Any:
    """Some part holds; of no parts it is false."""

    parts: tuple[PolynomialFormula, ...]


PolynomialFormula = Condition | All | Any


def size_of(formula: PolynomialFormula) -> int:
    """How many conditions are written in it."""
    return 1 if isinstance(formula, Condition) else 1 + sum(size_of(part) for part in formula.parts)


def negated(formula: PolynomialFormula) -> PolynomialFormula:
    """What holds exactly where ``formula`` does not."""
    if isinstance(formula, All):
        return Any(tuple(negated(part) for part in formula.parts))
    if isinstance(formula, Any):
        return All(tuple(negated(part) for part in formula.parts))
    minus = -formula.polynomial
    if formula.kind == "zero":
        return Any((Condition(formula.polynomial, "strict"), Condition(minus, "strict")))
    return Condition(minus, "weak" if formula.kind == "strict" else "strict")


def cases_of(formula: PolynomialFormula) -> tuple[PolynomialCase, ...]:
    """The formula as alternatives; constant conditions are decided. Raises OverflowError when there are too many."""
    return tuple(_case(parts) for parts in _expanded(formula))


def _expanded(formula: PolynomialFormula) -> list[tuple[Condition, ...]]:
    if isinstance(formula, Condition):
        decided = _decided(formula)
        return [(formula,)] if decided is None else [()] if decided else []
    found: list[tuple[Condition, ...]]
    if isinstance(formula, Any):
        found = [one for part in formula.parts for one in _expanded(part)]
    else:
        found = [()]
        for part in formula.parts:
            alternatives = _expanded(part)
            found = [(*left, *right) for left in found for right in alternatives]
            if len(found) > MOST_CASES:
                break
    if len(found) > MOST_CASES:
        raise OverflowError(f"has more than {MOST_CASES} alternatives")
    return found


def _decided(condition: Condition) -> bool | None:
    """Whether a condition on a constant holds; None if there are variables in it."""
    if not condition.polynomial.is_constant:
        return None
    value = condition.polynomial.coefficient(())
    return {"strict": value > 0, "weak": value >= 0, "zero": value == 0}[condition.kind]


def _case(conditions: tuple[Condition, ...]) -> PolynomialCase:
    def of(kind: Kind) -> tuple[Polynomial, ...]:
        found: list[Polynomial] = []
        for one in conditions:
            if one.kind == kind and one.polynomial not in found:
                found.append(one.polynomial)
        return tuple(found)

    return PolynomialCase(of("strict"), of("weak"), of("zero"))
