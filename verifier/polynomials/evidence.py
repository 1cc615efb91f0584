"""Files of evidence about polynomials (docs/relaxations/sos.md): equal questions and proofs are equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any

from relaxations.sos.proving import CaseProof
from specs.polynomial import Monomial, Polynomial
from specs.polynomial_problem import PolynomialCase, PolynomialProblem
from verifier.archives import write_members

VERSION = 1


@dataclass(frozen=True)
class Refutation:
    """That a problem's property holds: a proof for each of its cases."""

    problem: PolynomialProblem
    proofs: Sequence[CaseProof]
    claim: str
    producer: Mapping[str, str]
    question: Mapping[str, object]

    def write(self, out: IO[bytes]) -> None:
        """Write the file to a stream that can seek."""
        proof = canonical({"cases": [_proof(one) for one in self.proofs]})
        about = {"proof": hashlib.sha256(proof).hexdigest()}
        _write(out, "nnsos", self, about, {"proof.json": proof})


@dataclass(frozen=True)
class Violation:
    """That a problem's property fails: a point in one of its cases."""

    problem: PolynomialProblem
    case: int
    point: tuple[Fraction, ...]
    claim: str
    producer: Mapping[str, str]
    question: Mapping[str, object]

    def write(self, out: IO[bytes]) -> None:
        """Write the file to a stream that can seek."""
        about = {"case": self.case, "x": [str(x) for x in self.point]}
        _write(out, "nnsoswitness", self, about, {})


def canonical_problem(problem: PolynomialProblem) -> bytes:
    """The bytes of ``problem.json``; equal for equal problems."""
    return canonical(
        {
            "variables": list(problem.variables),
            "box": [[str(low), str(up)] for low, up in zip(problem.lower, problem.upper)],
            "cases": [_case(case) for case in problem.cases],
        }
    )


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _write(
    out: IO[bytes],
    kind: str,
    evidence: Refutation | Violation,
    about: Mapping[str, Any],
    members: Mapping[str, bytes],
) -> None:
    text = canonical_problem(evidence.problem)
    manifest = {
        "format": kind,
        "version": VERSION,
        "semantics": "real",
        "problem": hashlib.sha256(text).hexdigest(),
        "question": dict(evidence.question),
        "claim": evidence.claim,
        "producer": dict(evidence.producer),
        **about,
    }
    everything = {"manifest.json": canonical(manifest), "problem.json": text, **members}
    write_members(out, {name: [data] for name, data in everything.items()})


def _case(case: PolynomialCase) -> dict[str, Any]:
    return {
        "strict": [_polynomial(p) for p in case.strict],
        "weak": [_polynomial(p) for p in case.weak],
        "zero": [_polynomial(p) for p in case.zero],
    }


def _proof(proof: CaseProof) -> dict[str, Any]:
    return {
        "centre": [str(c) for c in proof.scaling.centre],
        "scale": [str(s or 1) for s in proof.scaling.scale],
        "positive": [[str(weight), list(factors)] for weight, factors in proof.positive],
        "squares": [
            {
                "factors": [list(factor) for factor in square.square.factors],
                "basis": [_monomial(m) for m in square.square.basis],
                "gram": [list(row) for row in square.rows],
                "denominator": square.denominator,
            }
            for square in proof.squares
        ],
        "multipliers": [[number, _polynomial(q)] for number, q in proof.multipliers],
    }


def _polynomial(p: Polynomial) -> list[Any]:
    return [[str(p.terms[m]), _monomial(m)] for m in sorted(p.terms)]


def _monomial(monomial: Monomial) -> list[list[int]]:
    return [list(power) for power in monomial]
