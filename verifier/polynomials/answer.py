"""Answering a specification about polynomials: decided, written, and believed only once the checker accepts."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from specs.errors import CertifyError
from specs.hashes import sha256_of
from specs.language.polynomials.formula import cases_of
from specs.language.polynomials.spec import PolynomialQuestion, PolynomialSpec, read_polynomial_spec
from specs.language.schema.polynomials import Methods, Sample, SumOfSquares
from verifier.answer import versions
from verifier.certificate.write import save
from verifier.checking import CheckResult, run_checker
from verifier.engine.outcome import Proof, Verdict
from verifier.places import places
from verifier.polynomials.decide import Decision, decide
from verifier.polynomials.evidence import Refutation, Violation
from verifier.polynomials.report import Broken, PolynomialAnswer, claim_of
from verifier.report.report import Report

WITNESS_SUFFIX = ".nnwitness"
RESERVE = 1.0  # seconds kept for writing and checking the evidence


def answer_polynomials(
    file: Path,
    deadline: float,
    parameters: Mapping[str, str],
    methods: Sequence[str] = (),
    seed: int | None = None,
    certificate: Path | None = None,
    out: Path | None = None,
) -> Report:
    """Decide every requirement by ``deadline``, a reading of ``time.monotonic``. Raises ``CertifyError``."""
    started = time.monotonic()
    spec = _restricted(read_polynomial_spec(file, parameters), methods)
    read = time.monotonic() - started
    place = places(certificate, out, file, [question.id for question in spec.questions])
    spec_hash = sha256_of(file)
    answers = []
    for number, question in enumerate(spec.questions):
        now = time.monotonic()
        share = (deadline - now) / (len(spec.questions) - number)
        until = now + min(share, spec.seconds or math.inf)
        home = place(question.id) if place is not None else None
        answers.append(_answer(question, spec, until, seed if seed is not None else spec.seed or 0, home, spec_hash))
    seconds = {"read": read, "decide": sum(answer.seconds for answer in answers)}
    return Report(tuple(answers), "", seconds, versions(), {"spec": spec_hash}, spec.gates)


def _restricted(spec: PolynomialSpec, methods: Sequence[str]) -> PolynomialSpec:
    """The specification with only the methods named, if any are."""
    wrong = [name for name in methods if name not in ("sample", "sos")]
    if wrong:
        raise CertifyError(f"methods for polynomials are sample and sos, not {', '.join(wrong)}")
    if not methods:
        return spec
    sample = spec.methods.sample or Sample() if "sample" in methods else None
    sos = spec.methods.sos or SumOfSquares() if "sos" in methods else None
    return replace(spec, methods=Methods(sample=sample, sos=sos))


def _answer(
    question: PolynomialQuestion, spec: PolynomialSpec, until: float, seed: int, home: Path | None, spec_hash: str
) -> PolynomialAnswer:
    started = time.monotonic()
    decision = decide(question, spec, until - min(RESERVE, (until - started) / 10), seed)
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=home.parent if home else None) as folder:
        evidence = _Evidence(question, decision, Path(folder), home)
        proof, attack = evidence.proof(), evidence.attack()
    unknown = question.unknown
    verdict: Verdict = "certified" if proof is not None else "violated" if attack is not None else "unknown"
    if verdict == "violated" and unknown is not None and not _in_all_of_the_range(decision, question):
        verdict = "unknown"  # it fails for some values; whether for all of them is not known
    reason = decision.reason if verdict == "unknown" else ""
    if verdict == "unknown" and not reason:
        reason = evidence.complaint or "incomplete: no value of the parameter was proved, and not all are refuted"
    return PolynomialAnswer(
        question,
        verdict,
        reason,
        proof,
        attack,
        decision.relaxed,
        decision.proved.value if decision.proved is not None and proof is not None else None,
        decision.refuted.value if decision.refuted is not None and attack is not None else None,
        decision.stats,
        time.monotonic() - started,
        versions()["certify"],
        spec_hash,
    )


def _in_all_of_the_range(decision: Decision, question: PolynomialQuestion) -> bool:
    """Whether the point found breaks the property for every value of the parameter.

    It does if all conditions of a case are affine in the parameter there and hold at both ends of the range.
    """
    unknown, refuted = question.unknown, decision.refuted
    if unknown is None or refuted is None:
        return False
    variable = question.inputs.size
    ends = [(*refuted.found.point, end) for end in (unknown.lower, unknown.upper)]
    return any(
        all(dict(monomial).get(variable, 0) <= 1 for p in case.all for monomial in p.terms)
        and all(case.contains(end) for end in ends)
        for case in cases_of(question.unsafe)
    )


class _Evidence:
    """Files of what was decided, in a folder of their own until the checker has accepted them."""

    def __init__(self, question: PolynomialQuestion, decision: Decision, folder: Path, home: Path | None) -> None:
        self.question, self.decision, self.folder, self.home = question, decision, folder, home
        self.complaint = ""

    def proof(self) -> Proof | None:
        proved = self.decision.proved
        if proved is None:
            return None
        file = self.folder / "proof.nncert"
        about = question_of(self.question, proved.value)
        claim = claim_of(self.question, proved.value)
        size = save(Refutation(proved.problem, proved.proofs, claim, versions(), about), file)
        result = self._checked(file)
        if result is None:
            return None
        path = file.replace(self.home) if self.home is not None else Path()
        return Proof(path, size, result.leaves, result.seconds, "recompiled", exact=True)

    def attack(self) -> Broken | None:
        refuted = self.decision.refuted
        if refuted is None:
            return None
        file = self.folder / "attack.nnwitness"
        about = question_of(self.question, refuted.value)
        claim = f"NOT {claim_of(self.question, refuted.value)}"
        save(Violation(refuted.problem, refuted.found.case, refuted.found.point, claim, versions(), about), file)
        if self._checked(file) is None:
            return None
        path = file.replace(self.home.with_suffix(WITNESS_SUFFIX)) if self.home is not None else None
        return Broken(refuted.found.case, refuted.found.point, path)

    def _checked(self, file: Path) -> CheckResult | None:
        result = run_checker(file, None, None, True, {})
        if result.accepted:
            return result
        self.complaint = f"certificate: the checker refused it: {result.reason}"
        return None


def question_of(question: PolynomialQuestion, value: Fraction | None) -> dict[str, object]:
    """Which question a file answers, for whoever translates the specification again."""
    parameters = {} if question.unknown is None else {question.unknown.name: str(value)}
    return {"requirement": question.id, "parameters": parameters}
