"""Formulas in negation normal form, and their disjunctive normal form."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction

from specs.language.expressions.dnf import FALSE, TRUE, Atom, Dnf, conjoin, disjoin
from specs.language.expressions.terms import Linear, Term, subtract


@dataclass(frozen=True)
class And:
    """All of ``parts``; without parts, true."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Or:
    """Any of ``parts``; without parts, false."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Either:
    """Two formulas that say the same: ``disjunctive`` multiplies out to few alternatives, and so does the opposite of
    ``conjunctive``."""

    conjunctive: Formula
    disjunctive: Formula


Formula = Atom | And | Or | Either


def at_most_zero(term: Term, strict: bool) -> Formula:
    """``term <= 0``, or ``term < 0`` when ``strict``: a max has to be small in all parts, a min in any."""
    if isinstance(term, Linear):
        x, y = (tuple(sorted(part.items())) for part in (term.x, term.y))
        return Atom(x, y, term.constant, strict, -1)
    parts = tuple(at_most_zero(part, strict) for part in term.parts)
    return And(parts) if term.kind == "max" else Or(parts)


def less(a: Term, b: Term) -> Formula:
    return at_most_zero(subtract(a, b), strict=True)


def at_most(a: Term, b: Term) -> Formula:
    return at_most_zero(subtract(a, b), strict=False)


def negate(formula: Formula) -> Formula:
    """The opposite: ``e <= 0`` becomes ``-e < 0``, strictness kept exactly."""
    if isinstance(formula, Atom):
        mirrored = formula.mirrored()
        return mirrored._replace(strict=not formula.strict)
    if isinstance(formula, Either):
        return Either(negate(formula.disjunctive), negate(formula.conjunctive))
    parts = tuple(negate(part) for part in formula.parts)
    return Or(parts) if isinstance(formula, And) else And(parts)


def tighten(formula: Formula, slack: Fraction, answers: Collection[int] = frozenset()) -> Formula:
    """``formula`` with every comparison that involves an output holding by at least ``slack``.

    ``answers`` are the inputs that count as outputs, being what tables say.
    """
    if isinstance(formula, Atom):
        involved = formula.y or any(i in answers for i, _ in formula.x)
        return formula._replace(constant=formula.constant + slack) if involved else formula
    if isinstance(formula, Either):
        conjunctive, disjunctive = (tighten(one, slack, answers) for one in (formula.conjunctive, formula.disjunctive))
        return Either(conjunctive, disjunctive)
    return type(formula)(tuple(tighten(part, slack, answers) for part in formula.parts))


def to_dnf(formula: Formula) -> Dnf:
    """Disjunctive normal form without repeated or constant atoms. Raises ``OverflowError`` when it gets too large."""
    if isinstance(formula, Atom):
        if formula.x or formula.y:
            return ((formula,),)
        return TRUE if formula.constant < 0 or (formula.constant == 0 and not formula.strict) else FALSE
    if isinstance(formula, Either):
        return to_dnf(formula.disjunctive)
    parts = [to_dnf(part) for part in formula.parts]
    if isinstance(formula, Or):
        return TRUE if TRUE in parts else _distinct(disjoin(parts))
    return FALSE if FALSE in parts else _distinct(conjoin(parts))


def _distinct(dnf: Iterable[tuple[Atom, ...]]) -> Dnf:
    return tuple(dict.fromkeys(tuple(dict.fromkeys(cube)) for cube in dnf))
