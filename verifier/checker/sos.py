"""The verdict on evidence about polynomials: an identity recomputed in rationals, squares proved to be squares.

For a case with conditions p > 0, g >= 0, h = 0 on a box, a proof names

    R = sum of weight (product of some p) + sum of (z^T Q z) (product of some p, g and sides of the box) + sum of q h

with weights >= 0, at least one > 0, and every Q positive semidefinite. At a point of the case the first sum is
positive, the second not negative and the third 0, so R > 0 there. The case is empty if R <= 0 on the box. That is
read off its coefficients: a monomial with even exponents lies in [0, T], any other in [-T, T], T from the box.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from verifier.checker.check import Verdict
from verifier.checker.errors import CheckError
from verifier.checker.sos_format import Case, CaseProof, Evidence, Problem
from verifier.checker.sos_polynomial import (
    CALL,
    MOST_TERMS,
    ONE,
    Polynomial,
    Work,
    exponents,
    is_semidefinite,
    line,
    product,
    quadratic_form,
    substituted,
    total,
)


def verdict_on_polynomials(evidence: Evidence, work: Work | None = None) -> Verdict:
    """Accepted only if every case is refuted, or if a witness's point is in its case. Exact arithmetic throughout."""
    problem, work = evidence.problem, Work() if work is None else work
    if evidence.proofs is None:
        return _witness(problem, evidence, work)
    for number, (case, proof) in enumerate(zip(problem.cases, evidence.proofs, strict=True)):
        wrong = _refuted(problem, case, proof, work)
        if wrong:
            return Verdict(False, f"case {number}: {wrong}", (), 0, 0.0)
    cases = len(problem.cases)
    return Verdict(True, f"every point of the box is outside all {cases} case(s)", (), cases, math.inf)


def _refuted(problem: Problem, case: Case, proof: CaseProof, work: Work) -> str:
    """What is wrong with the proof, or nothing."""
    if any(weight < 0 for weight, _ in proof.positive) or not any(weight > 0 for weight, _ in proof.positive):
        return "the positive part has to have weights of at least 0, one of them above"
    for number, square in enumerate(proof.squares):
        if not is_semidefinite(square.gram, work):
            return f"the Gram matrix of square {number} is not positive semidefinite"
    highest = _largest(total(_parts(problem, case, proof, work), work), problem, proof, work)
    if highest <= 0:
        return ""
    shown = f"{float(highest):.6g}" if highest < 10**300 else "more than 1e300"
    return f"the identity leaves a rest of up to {shown} on the box, not at most 0"


def _parts(problem: Problem, case: Case, proof: CaseProof, work: Work) -> Iterable[Polynomial]:
    """What R is the sum of, one at a time: all at once would need more memory than the file and the sum."""
    strict, weak, zero = _conditions(case, proof, work)
    for weight, factors in proof.positive:
        yield _scaled(_product((strict[k] for k in factors), work), weight, work)
    named = {"strict": strict, "weak": weak}
    for square in proof.squares:
        form = quadratic_form(square.basis, square.gram, square.degree, work)
        conditions = (
            named[kind][k] if kind in named else _side(kind, k, problem, proof, work) for kind, k in square.factors
        )
        part = product(form, _product(conditions, work), work)
        yield Polynomial(part.numerators, part.denominator * square.denominator, part.degree)
    for k, q in proof.multipliers:
        yield product(q, zero[k], work)


def _conditions(
    case: Case, proof: CaseProof, work: Work
) -> tuple[list[Polynomial], list[Polynomial], list[Polynomial]]:
    """The strict, weak and zero conditions in t."""
    found: tuple[list[Polynomial], list[Polynomial], list[Polynomial]] = ([], [], [])
    kept = 0
    for conditions, part in zip(found, (case.strict, case.weak, case.zero)):
        for p in part:
            conditions.append(substituted(p, proof.centre, proof.scale, work))
            kept += len(conditions[-1].numerators)
            if kept > MOST_TERMS:
                raise CheckError(f"a case of more than {MOST_TERMS} terms")
    return found


def _side(kind: str, k: int, problem: Problem, proof: CaseProof, work: Work) -> Polynomial:
    """``x - lower >= 0`` or ``upper - x >= 0`` for variable k, in t."""
    centre, scale = proof.centre[k], proof.scale[k]
    if kind == "lower":
        return line(k, centre - problem.lower[k], scale, work)
    return line(k, problem.upper[k] - centre, -scale, work)


def _product(factors: Iterable[Polynomial], work: Work) -> Polynomial:
    result = ONE
    for factor in factors:
        result = product(result, factor, work)
    return result


def _scaled(p: Polynomial, weight: Fraction, work: Work) -> Polynomial:
    work.charge(CALL + len(p.numerators), p.bits + weight.numerator.bit_length())
    numerators = {m: value * weight.numerator for m, value in p.numerators.items()}
    return Polynomial(numerators, p.denominator * weight.denominator, p.degree)


def _largest(rest: Polynomial, problem: Problem, proof: CaseProof, work: Work) -> Fraction:
    """A number that the rest does not exceed on the box."""
    reach: dict[int, Fraction] = {}
    whole, bound = 0, Fraction(0)  # what is over the common denominator, and without a division: most of it is
    for monomial, value in rest.numerators.items():
        powers = exponents(monomial, work)
        even = all(power % 2 == 0 for _, power in powers)
        if value == 0 or (even and value < 0 and powers):
            continue
        work.charge(CALL // 2, _length(value) + _length(whole))
        size = Fraction(1)
        for variable, power in powers:
            if variable not in reach:
                reach[variable] = _reach(variable, problem, proof, work)
            if reach[variable] != 1:
                work.charge_fraction(power * _bits(reach[variable]) + _bits(size))
                size *= reach[variable] ** power
        value = value if even else abs(value)
        if size == 1:
            whole += value
        else:
            work.charge_fraction(_length(value) + _bits(size) + _bits(bound))
            bound += value * size
    work.charge_fraction(_bits(bound) + _length(whole) + _length(rest.denominator))
    return (bound + whole) / rest.denominator


def _reach(k: int, problem: Problem, proof: CaseProof, work: Work) -> Fraction:
    """How large the variable t gets on the box."""
    low, up, centre, scale = problem.lower[k], problem.upper[k], proof.centre[k], proof.scale[k]
    work.charge_fraction(_bits(low) + _bits(up) + _bits(centre) + _bits(scale))
    return max(abs(low - centre), abs(up - centre)) / scale


def _length(value: int) -> int:
    return abs(value).bit_length()


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _witness(problem: Problem, evidence: Evidence, work: Work) -> Verdict:
    """Whether the point is in the box and in its case."""
    point, case = evidence.point, problem.cases[evidence.case]
    if not all(low <= x <= up for low, x, up in zip(problem.lower, point, problem.upper)):
        return Verdict(False, "the point is outside the box", (), 0, 0.0)
    inside = (
        all(_multiple(p, point, work) > 0 for p in case.strict)
        and all(_multiple(p, point, work) >= 0 for p in case.weak)
        and all(_multiple(p, point, work) == 0 for p in case.zero)
    )
    if not inside:
        return Verdict(False, f"the point is not in case {evidence.case}", (), 0, 0.0)
    return Verdict(True, f"the point is in case {evidence.case}", (), 1, math.inf)


def _multiple(p: Polynomial, point: tuple[Fraction, ...], work: Work) -> Fraction:
    """A positive multiple of the value at a point: the value times the common denominator of the coefficients."""
    result = Fraction(0)
    for monomial, value in p.numerators.items():
        term = Fraction(value)
        for variable, power in exponents(monomial, work):
            work.charge_fraction(power * _bits(point[variable]) + _bits(term))
            term *= point[variable] ** power
        work.charge_fraction(_bits(term) + _bits(result))
        result += term
    return result
