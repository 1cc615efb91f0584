"""What is said about a polynomial question: the bracket, the evidence, the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from relaxations.sos.moments import Flatness
from specs.language.gates import exactly
from specs.language.polynomials.spec import PolynomialQuestion
from specs.language.text.decimals import exact
from verifier.engine.outcome import Proof, Verdict
from verifier.polynomials.decide import PseudoDistribution

SHOWN = 8  # atoms, and coordinates of one point


@dataclass(frozen=True)
class Broken:
    """A point that breaks the property, in exact rationals; ``path`` is its witness file, if it is kept."""

    case: int
    point: tuple[Fraction, ...]
    path: Path | None


@dataclass(frozen=True, repr=False)
class PolynomialAnswer:
    """What became of one requirement.

    ``proved`` and ``refuted`` are values of the parameter, None when there is no parameter or no such end.
    """

    requirement: PolynomialQuestion
    verdict: Verdict
    reason: str
    certificate: Proof | None
    attack: Broken | None
    relaxed_attack: PseudoDistribution | None
    proved: Fraction | None
    refuted: Fraction | None
    stats: dict[str, float]
    seconds: float
    version: str
    spec_hash: str

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def claim(self) -> str:
        """What is claimed, with the parameter's value in the proof."""
        return claim_of(self.requirement, self.proved)

    @property
    def question(self) -> str:
        """The claim without a value for its parameter."""
        return claim_of(self.requirement, None)

    @property
    def parameter(self) -> tuple[str, Fraction | None] | None:
        """The parameter that was to be found, and its best value."""
        unknown = self.requirement.unknown
        return None if unknown is None else (unknown.name, self.proved)

    @property
    def claim_class(self) -> Literal["exact", "heuristic"]:
        return "heuristic" if self.verdict == "unknown" else "exact"

    @property
    def sentence(self) -> str:
        severity = f"SEVERITY {self.requirement.severity}"
        rests = f"RESTS ON: A1 (declared) specification = sha256:{self.spec_hash}"
        if self.verdict == "certified" and self.certificate is not None:
            unknown = self.requirement.unknown
            silence = "anything about inputs outside the stated set"
            if unknown is not None:
                silence += f"; that {unknown.name} = {exactly(self.proved or Fraction(0))} is the best possible value"
            return (
                f"{self.claim}, {severity}, CLASS exact (rational arithmetic), CHECKED BY certify-check {self.version} "
                f"IN {self.certificate.check_seconds:.2f} s. {rests}, A2 (binding recompiled) the specification was "
                f"translated by its reader; certify check --spec translates again. DOES NOT SAY: {silence}."
            )
        if self.verdict == "violated":
            broken = claim_of(self.requirement, self.refuted)
            where = "it fails at the input given"
            if (unknown := self.requirement.unknown) is not None:
                where += f", there for every {unknown.name} in [{exact(unknown.lower)}, {exact(unknown.upper)}]"
            return (
                f"NOT {broken}, {severity}, CLASS exact (rational arithmetic): {where}. {rests}. "
                "DOES NOT SAY: whether other inputs fail."
            )
        kind = self.reason.partition(":")[0]
        return f"UNDECIDED WHETHER {claim_of(self.requirement, None)}, {severity}, CLASS heuristic: {kind}."

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}{f' ({self.reason})' if self.reason else ''}>"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        found: list[tuple[str, str]] = []
        unknown = self.requirement.unknown
        if unknown is not None:
            ends = [
                f"{exactly(end)} {word}"
                for end, word in ((self.proved, "proved"), (self.refuted, "refuted"))
                if end is not None
            ]
            found.append((unknown.name, ", ".join(ends) or "neither proved nor refuted anywhere"))
        if self.certificate is not None:
            proof = self.certificate
            found += [
                ("proof", f"{proof.leaves} case(s), {proof.bytes} bytes, checked in {proof.check_seconds:.2f} s"),
                ("certificate", str(proof.path) if proof.path.name else "not kept"),
            ]
        if self.attack is not None:
            found += [
                ("fails at", self._point([exact(x) for x in self.attack.point])),
                ("witness", str(self.attack.path or "not kept")),
            ]
        if self.verdict == "unknown":
            found += self._relaxed()
            kind, _, detail = self.reason.partition(": ")
            found += [("reason", detail or kind), ("try", ADVICE.get(kind, ""))]
        return found

    def _relaxed(self) -> list[tuple[str, str]]:
        relaxed = self.relaxed_attack
        if relaxed is None:
            return []
        found = [("relaxed", f"a pseudo-distribution of {len(relaxed.moments)} moments, {_told(relaxed.flat)}")]
        expected = [f"{value:.6g} (a violation has > 0)" for value in relaxed.strict]
        expected += [f"{value:.6g} (a violation has >= 0)" for value in relaxed.weak]
        found.append(("expects", ", ".join(expected[:SHOWN])))
        if relaxed.atoms is not None:
            points = "; ".join(self._point([repr(float(v)) for v in atom]) for atom in relaxed.atoms[:SHOWN])
            found.append(("atoms", points))
        return found

    def _point(self, point: Sequence[str]) -> str:
        inputs = self.requirement.inputs
        parts = [f"{inputs.element(i)} = {x}" for i, x in enumerate(point[:SHOWN])]
        return ", ".join(parts) + (f", ... ({len(point)} values)" if len(point) > SHOWN else "")

    def to_json(self) -> dict[str, Any]:
        proof = self.certificate
        return {
            "id": self.id,
            "severity": self.requirement.severity,
            "line": self.requirement.line or None,
            "verdict": self.verdict,
            "class": self.claim_class,
            "reason": self.reason,
            "claim": self.claim,
            "question": self.question,
            "sentence": self.sentence,
            "bracket": [None if end is None else float(end) for end in (self.proved, self.refuted)],
            "parameter": self._parameter(),
            "parameters": dict(self.requirement.parameters),
            "certificate": proof and proof.to_json(),
            "attack": self._attack(),
            "relaxed_attack": self._pseudo(),
            "stats": self.stats,
            "seconds": self.seconds,
        }

    def _parameter(self) -> dict[str, str | None] | None:
        unknown = self.requirement.unknown
        if unknown is None:
            return None
        ends = {"proved": self.proved, "refuted": self.refuted}
        return {"name": unknown.name, **{key: None if end is None else str(end) for key, end in ends.items()}}

    def _attack(self) -> dict[str, Any] | None:
        if self.attack is None:
            return None
        return {
            "case": self.attack.case,
            "input": [float(x) for x in self.attack.point],
            "input_exact": [str(x) for x in self.attack.point],
            "proved": "rational arithmetic",
            "witness": str(self.attack.path) if self.attack.path else None,
        }

    def _pseudo(self) -> dict[str, Any] | None:
        relaxed = self.relaxed_attack
        if relaxed is None or self.verdict != "unknown":
            return None
        return {
            "case": relaxed.case,
            "strict": list(relaxed.strict),
            "weak": list(relaxed.weak),
            "violation": relaxed.outside,
            "centre": [str(c) for c in relaxed.centre],
            "scale": [str(s) for s in relaxed.scale],
            "moments": [[[list(power) for power in monomial], value] for monomial, value in relaxed.moments.items()],
            "flat": None if relaxed.flat is None else relaxed.flat.flat,
            "ranks": None if relaxed.flat is None else [relaxed.flat.inner_rank, relaxed.flat.rank],
            "atoms": None if relaxed.atoms is None else relaxed.atoms.tolist(),
        }


ADVICE = {
    "timeout": "a longer --timeout or engine.budget.seconds",
    "incomplete": "a higher degree in engine.methods, or a smaller set",
    "certificate": "certify doctor; if all is well there, please report this",
}


def claim_of(question: PolynomialQuestion, value: Fraction | None) -> str:
    """The property in words, with what ``--set`` gave, for a value of the parameter if there is one."""
    claim = f"FOR ALL x IN {question.region}: {question.text}"
    if question.parameters:
        claim += " GIVEN " + ", ".join(f"${name} = {text}" for name, text in question.parameters)
    if question.unknown is None:
        return claim
    return f"{claim} WITH {question.unknown.name} = {exactly(value) if value is not None else '?'}"


def _told(flat: Flatness | None) -> str:
    if flat is None:
        return "without the lowest ones: no test of flatness"
    ranks = f"ranks {flat.inner_rank} and {flat.rank} at orders {flat.inner} and {flat.order}"
    return f"{'flat' if flat.flat else 'not flat'} ({ranks}, tolerance {flat.tolerance:g})"
