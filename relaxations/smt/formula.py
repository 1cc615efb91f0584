"""Formulas of linear real arithmetic, positive: constraints, conjunctions and disjunctions. No solver's own terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relaxations.smt.bounds import Ranges
from relaxations.smt.encode import Affine, Question
from relaxations.smt.farkas import Constraint

Values = Mapping[str, Fraction]


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Formula, ...]


Formula = Constraint | All | Some
Assertions = Mapping[str, Formula]  # by name; all of them hold


def at_least(terms: Values, constant: Fraction | int = 0) -> Constraint:
    """``terms + constant >= 0``."""
    return Constraint({v: c for v, c in terms.items() if c}, Fraction(constant))


def at_most(terms: Values, constant: Fraction | int = 0) -> Constraint:
    """``terms + constant <= 0``."""
    return at_least({v: -c for v, c in terms.items()}, -Fraction(constant))


def below_zero(terms: Values, constant: Fraction | int = 0) -> Constraint:
    """``terms + constant < 0``."""
    return Constraint({v: -c for v, c in terms.items() if c}, -Fraction(constant), strict=True)


def equal(terms: Values, constant: Fraction | int = 0) -> All:
    """``terms + constant == 0``."""
    return All((at_least(terms, constant), at_most(terms, constant)))


def within(variable: str, lower: Fraction, upper: Fraction) -> All:
    """``lower <= variable <= upper``."""
    return All((at_least({variable: Fraction(1)}, -lower), at_most({variable: Fraction(1)}, -upper)))


def true_at(formula: Formula, values: Values) -> bool:
    """Whether the formula holds at exact values of its variables."""
    match formula:
        case All(parts):
            return all(true_at(part, values) for part in parts)
        case Some(parts):
            return any(true_at(part, values) for part in parts)
    total = formula.constant + sum(c * values[str(variable)] for variable, c in formula.terms.items())
    return total > 0 if formula.strict else total >= 0


def network(question: Question, ranges: Ranges, forgotten: frozenset[int] = frozenset()) -> dict[str, Formula]:
    """The box, the layers and the failing rows of a question; satisfiable exactly if the question has a model.

    Variables: ``x0`` ... the inputs, ``z1.0`` ... the pre-activations and ``a1.0`` ... the outputs of layer 1.
    ``ranges`` that hold on the box decide which ReLUs are written as a choice of two phases. Of a layer in
    ``forgotten`` (counted from 0) only the ranges are said, not the weights: then the formulas are about every network
    with such a layer, and a model is of one of them.
    """
    found: dict[str, Formula] = {
        f"input {i}": within(f"x{i}", l, u) for i, (l, u) in enumerate(zip(question.lower, question.upper))
    }
    for k, (layer, (l, u)) in enumerate(zip(question.layers, ranges)):
        for i in range(len(l)):
            z, a = f"z{k + 1}.{i}", f"a{k + 1}.{i}"
            parts: list[Formula] = [within(z, l[i], u[i]), _relu(z, a, l[i], u[i])]
            if k not in forgotten:
                parts.append(equal({**_terms(layer, i), z: Fraction(-1)}, layer.bias[i]))
            found[f"layer {k + 1} neuron {i}"] = All(tuple(parts))
    for r, strict in enumerate(question.strict):
        kind = below_zero if strict else at_most
        found[f"row {r}"] = kind(_terms(question.rows, r), question.rows.bias[r])
    return found


def row_terms(question: Question, row: int) -> dict[str, Fraction]:
    """A row of the question over the variables of ``network``, without its constant."""
    return _terms(question.rows, row)


def inputs(values: Values, count: int) -> list[Fraction]:
    """The inputs in a model of ``network``."""
    return [values.get(f"x{i}", Fraction(0)) for i in range(count)]


def _relu(z: str, a: str, l: Fraction, u: Fraction) -> Formula:
    one = Fraction(1)
    active = All((at_least({z: one}), equal({a: one, z: -one})))
    inactive = All((at_most({z: one}), equal({a: one})))
    if l >= 0:
        return active
    return inactive if u <= 0 else Some((inactive, active))


def _terms(affine: Affine, row: int) -> dict[str, Fraction]:
    terms: dict[str, Fraction] = {}
    for source, matrix in affine.terms:
        for j in np.flatnonzero(matrix[row]):
            terms[f"a{source}.{j}" if source else f"x{j}"] = matrix[row, j]
    return terms


def names(assertions: Sequence[Formula]) -> list[str]:
    """All variables, in the order in which they appear."""
    found: dict[str, None] = {}
    stack = list(reversed(assertions))
    while stack:
        formula = stack.pop()
        if isinstance(formula, All | Some):
            stack += reversed(formula.parts)
        else:
            found.update(dict.fromkeys(map(str, formula.terms)))
    return list(found)
