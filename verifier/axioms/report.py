"""What is said about an overseer known by axioms: the verdict, what was asked, the sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from specs.language.axioms.spec import AxiomQuestion, AxiomSpec
from specs.language.text.decimals import exact
from verifier.engine.outcome import Proof, Verdict


@dataclass(frozen=True, repr=False)
class AxiomAnswer:
    """What became of one requirement.

    ``point`` and ``value`` are where and how the overseer fails, or, undecided, where a function that fits would.
    ``model_input`` is the input of the network in front at such a point.
    """

    spec: AxiomSpec
    requirement: AxiomQuestion
    verdict: Verdict
    reason: str
    certificate: Proof | None
    point: tuple[float, ...]
    value: float | None
    model_input: tuple[float, ...]
    rests_on: tuple[str, ...]
    tight: str
    asked: int
    answers: int
    ledger: Path
    ledger_sha256: str
    seconds: float
    hashes: dict[str, str]
    version: str
    witness: Path | None = None
    stats: dict[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def parameter(self) -> None:
        """Nothing is solved for."""
        return None

    @property
    def claim_class(self) -> Literal["exact", "sound", "heuristic"]:
        """As strong as the proof, given the axioms; a failing answer is a fact, unless a runtime stands before it."""
        if self.verdict == "certified":
            return "sound" if self.requirement.through else "exact"
        return "exact" if self.verdict == "violated" and not self.requirement.through else "heuristic"

    @property
    def claim(self) -> str:
        """The property in words, with what is assumed of the overseer."""
        return f"{self.question} AND THE {self.answers} ANSWERS IN THE LEDGER sha256:{self.ledger_sha256}"

    @property
    def question(self) -> str:
        """The claim without what was asked in the run."""
        region = self.spec.inputs.describe().removeprefix(f"{self.spec.inputs.name}: ")
        axioms = " AND ".join(f"({text})" for text in self.spec.axioms.texts)
        return (
            f"FOR ALL {self.spec.inputs.name} IN {{{region}}}: {self.requirement.text}, FOR EVERY {self.spec.overseer} "
            f"WITH {axioms}"
        )

    @property
    def sentence(self) -> str:
        severity = f"SEVERITY {self.requirement.severity}"
        name = self.spec.overseer
        files = ", ".join(f"{what} = sha256:{value}" for what, value in self.hashes.items())
        rests = f"RESTS ON: A1 (declared) the axioms hold for {name}, A2 (declared) its answers, A3 (declared) {files}"
        if self.verdict == "certified" and self.certificate is not None:
            return (
                f"{self.claim}, {severity}, CLASS {self.claim_class} UNDER THE AXIOMS, CHECKED BY certify-check "
                f"{self.version} IN {self.certificate.check_seconds:.2f} s, AFTER {self.asked} QUERIES. {rests}. "
                f"DOES NOT SAY: that {name} has the axioms where it was not asked; that its answers are right"
                f"{'; ' + self.tight if self.tight else ''}."
            )
        if self.verdict == "violated":
            through = f", which {self.spec.target} gives in float64 at the input shown" if self.model_input else ""
            return (
                f"NOT FOR ALL {self.spec.inputs.name}: {self.requirement.text}, {severity}, CLASS {self.claim_class}: "
                f"{name} answered {self.value!r} at the point shown{through}. {rests}. "
                "DOES NOT SAY: whether other inputs fail."
            )
        return f"UNDECIDED WHETHER {self.claim}, {severity}, CLASS heuristic: {self.reason.partition(':')[0]}."

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}{f' ({self.reason})' if self.reason else ''}>"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        found = [("queries", f"{self.asked} now, {self.answers} answers in all, of {self.spec.queries} allowed")]
        if self.certificate is not None:
            proof = self.certificate
            kept = str(proof.path) if proof.path.name else "not kept"
            found += [
                ("proof", f"{proof.leaves} cells, {proof.bytes} bytes, checked in {proof.check_seconds:.2f} s"),
                ("rests on", ", ".join(self.rests_on[:8]) + (", ..." if len(self.rests_on) > 8 else "")),
                ("certificate", kept),
            ]
        if self.verdict == "violated":
            found.append(("fails at", ", ".join(map(repr, self.point))))
            found += [("input", ", ".join(map(repr, self.model_input)))] if self.model_input else []
            found.append(("witness", str(self.witness or "the ledger")))
        if self.verdict == "unknown":
            if self.value is not None:
                where = ", ".join(f"{v:.6g}" for v in self.point)
                found.append(("relaxed", f"a function that fits everything known is {self.value:.6g} at ({where})"))
            kind, _, detail = self.reason.partition(": ")
            found.append(("reason", detail or kind))
        return [*found, ("ledger", str(self.ledger) if self.ledger.name else "not kept")]

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
            "axioms": list(self.spec.axioms.texts),
            "rests_on": list(self.rests_on),
            "queries": {"asked": self.asked, "answers": self.answers, "budget": self.spec.queries},
            "ledger": {"path": str(self.ledger), "sha256": self.ledger_sha256},
            "certificate": proof and proof.to_json(),
            "attack": self._attack("violated"),
            "relaxed_attack": self._attack("unknown"),
            "stats": self.stats,
            "seconds": self.seconds,
        }

    def _attack(self, verdict: Verdict) -> dict[str, Any] | None:
        if self.verdict != verdict or self.value is None:
            return None
        return {
            "point": list(self.point),
            "value": self.value,
            "input": list(self.model_input) or None,
            "threshold": exact(self.requirement.threshold),
            "witness": str(self.witness) if self.witness else None,
        }
