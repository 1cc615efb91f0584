"""The verdict on evidence about polynomials: an identity recomputed in rationals, squares proved to be squares.

For a case with conditions p > 0, g >= 0, h = 0 on a box, a proof names

    R = sum of weight (product of some p) + sum of (z^T Q z) (product of some p, g and sides of the box) + sum of q h

with weights >= 0, at least one > 0, and every Q positive semidefinite. At a point of the case the first sum is
positive, the second not negative and the third 0, so R > 0 there. The case is empty if R <= 0 on the box. That is
read off its coefficients: a monomial with even exponents lies in [0, T], any other in [-T, T], T from the box.
"""

from __future__ import annotations

import math
from fractions import Fraction

from verifier.checker.check import Verdict
from verifier.checker.sos_format import Case, CaseProof, Evidence, Problem
from verifier.checker.sos_polynomial import (
    BITS,
    ONE,
    Polynomial,
    Work,
    exponents,
    is_semidefinite,
    product,
    quadratic_form,
    substituted,
    total,
)


def verdict_on_polynomials(evidence: Evidence) -> Verdict:
    """Accepted only if every case is refuted, or if a witness's point is in its case. Exact arithmetic throughout."""
    problem, work = evidence.problem, Work()
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
    strict, weak, zero = (
        [substituted(p, proof.centre, proof.scale, work) for p in part] for part in (case.strict, case.weak, case.zero)
    )
    lower, upper = _sides(problem, proof)
    named = {"strict": strict, "weak": weak, "lower": lower, "upper": upper}
    parts = []
    for weight, factors in proof.positive:
        parts.append(_scaled(_product([strict[k] for k in factors], work), weight))
    for number, square in enumerate(proof.squares):
        if not is_semidefinite(square.gram, work):
            return f"the Gram matrix of square {number} is not positive semidefinite"
        form = quadratic_form(square.basis, square.gram, square.degree, work)
        condition = _product([named[kind][k] for kind, k in square.factors], work)
        part = product(form, condition, work)
        parts.append(Polynomial(part.numerators, part.denominator * square.denominator, part.degree))
    parts += [product(q, zero[k], work) for k, q in proof.multipliers]
    highest = _largest(total(parts, work), problem, proof, work)
    if highest <= 0:
        return ""
    shown = f"{float(highest):.6g}" if highest < 10**300 else "more than 1e300"
    return f"the identity leaves a rest of up to {shown} on the box, not at most 0"


def _sides(problem: Problem, proof: CaseProof) -> tuple[list[Polynomial], list[Polynomial]]:
    """``x - lower >= 0`` and ``upper - x >= 0`` in t, for each variable."""
    lower, upper = [], []
    for k, (low, up, centre, scale) in enumerate(zip(problem.lower, problem.upper, proof.centre, proof.scale)):
        lower.append(Polynomial.of({0: centre - low, 1 << (BITS * k): scale}, 1))
        upper.append(Polynomial.of({0: up - centre, 1 << (BITS * k): -scale}, 1))
    return lower, upper


def _product(factors: list[Polynomial], work: Work) -> Polynomial:
    result = ONE
    for factor in factors:
        result = product(result, factor, work)
    return result


def _scaled(p: Polynomial, weight: Fraction) -> Polynomial:
    numerators = {m: value * weight.numerator for m, value in p.numerators.items()}
    return Polynomial(numerators, p.denominator * weight.denominator, p.degree)


def _largest(rest: Polynomial, problem: Problem, proof: CaseProof, work: Work) -> Fraction:
    """A number that the rest does not exceed on the box."""
    reach = [
        max(abs(low - centre), abs(up - centre)) / scale
        for low, up, centre, scale in zip(problem.lower, problem.upper, proof.centre, proof.scale)
    ]
    bound = Fraction(0)
    for monomial, value in rest.coefficients().items():
        powers = exponents(monomial)
        even = all(power % 2 == 0 for _, power in powers)
        if even and value < 0 and powers:
            continue
        size = value if even else abs(value)
        for variable, power in powers:
            if reach[variable] != 1:
                work.charge_reduction(power * _bits(reach[variable]) + _bits(size))
                size *= reach[variable] ** power
        work.charge_reduction(_bits(size) + _bits(bound))
        bound += size
    return bound


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _witness(problem: Problem, evidence: Evidence, work: Work) -> Verdict:
    """Whether the point is in the box and in its case."""
    point, case = evidence.point, problem.cases[evidence.case]
    if not all(low <= x <= up for low, x, up in zip(problem.lower, point, problem.upper)):
        return Verdict(False, "the point is outside the box", (), 0, 0.0)
    values = {
        kind: [_value(p, point, work) for p in part]
        for kind, part in (("strict", case.strict), ("weak", case.weak), ("zero", case.zero))
    }
    inside = (
        all(v > 0 for v in values["strict"])
        and all(v >= 0 for v in values["weak"])
        and all(v == 0 for v in values["zero"])
    )
    if not inside:
        return Verdict(False, f"the point is not in case {evidence.case}", (), 0, 0.0)
    return Verdict(True, f"the point is in case {evidence.case}", (), 1, math.inf)


def _value(p: Polynomial, point: tuple[Fraction, ...], work: Work) -> Fraction:
    result = Fraction(0)
    for monomial, value in p.numerators.items():
        term = Fraction(value, p.denominator)
        for variable, power in exponents(monomial):
            work.charge_reduction(power * _bits(point[variable]) + _bits(term))
            term *= point[variable] ** power
        work.charge_reduction(_bits(term) + _bits(result))
        result += term
    return result
