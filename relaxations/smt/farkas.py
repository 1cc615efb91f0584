"""Farkas' lemma as a check: linear constraints have no common point if some sum of them is impossible on the box.

This file believes nobody. It takes constraints and multipliers and computes, in rationals, the one number that decides.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

ZERO = Fraction(0)
Box = Mapping[Hashable, tuple[Fraction, Fraction]]


@dataclass(frozen=True)
class Constraint:
    """``sum of terms + constant >= 0``, or ``> 0`` if ``strict``; terms by variable."""

    terms: Mapping[Hashable, Fraction]
    constant: Fraction
    strict: bool = False
    name: str = ""


def greatest(constraints: Sequence[Constraint], multipliers: Sequence[Fraction], box: Box) -> Fraction | None:
    """The greatest value on the box of the constraints' sum; None if it has none, by a variable without bounds.

    Raises ValueError for a negative multiplier.
    """
    total: dict[Hashable, Fraction] = {}
    value = ZERO
    for constraint, multiplier in zip(constraints, multipliers, strict=True):
        if multiplier < 0:
            raise ValueError("a multiplier is negative")
        value += multiplier * constraint.constant
        for variable, c in constraint.terms.items():
            total[variable] = total.get(variable, ZERO) + multiplier * c
    for variable, c in total.items():
        if c:
            if variable not in box:
                return None
            value += max(c * end for end in box[variable])
    return value


def refutes(constraints: Sequence[Constraint], multipliers: Sequence[Fraction], box: Box) -> bool:
    """Whether the multipliers prove that no point of the box meets all constraints.

    Each constraint is at least 0 where it holds, so their sum is; a sum whose greatest value is negative contradicts
    that, and so does one of 0 in which a strict constraint takes part.
    """
    value = greatest(constraints, multipliers, box)
    if value is None:
        return False
    strictly = any(constraint.strict and multiplier for constraint, multiplier in zip(constraints, multipliers))
    return value < 0 or (value == 0 and strictly)
