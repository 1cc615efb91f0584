"""What is said about a chain as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from specs.language.chains.spec import WHOLE, ChainSpec, Outside
from specs.language.text.decimals import exact
from specs.property import Severity
from verifier.chain.table import Row, assumptions
from verifier.engine.outcome import Proof, Verdict


@dataclass(frozen=True)
class EndToEnd:
    """The claim about the last model, as requirements have an id and a severity."""

    id: str = WHOLE
    severity: Severity = "malign"


@dataclass(frozen=True, repr=False)
class ChainAnswer:
    """Composed from the answers to its parts.

    ``joint`` is a bound proved at once, ``sampled`` the largest error seen. ``outside`` is a sub-question that is none
    its model is for.
    """

    chain: ChainSpec
    verdict: Verdict
    reason: str
    rows: tuple[Row, ...]
    joint: Fraction | None
    sampled: float | None
    certificate: Proof | None
    seconds: float
    hashes: Mapping[str, str]
    version: str
    outside: Outside | None = None
    requirement: EndToEnd = EndToEnd()

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def parameter(self) -> tuple[str, Fraction | None]:
        """The error of the whole, which is wanted as small as it can be shown to be."""
        return "error", self.error

    @property
    def claim_class(self) -> Literal["exact", "sound", "heuristic"]:
        return {"certified": "sound", "violated": "exact"}.get(self.verdict, "heuristic")  # type: ignore[return-value]

    @property
    def error(self) -> Fraction | None:
        """How far the last model is from what the core says, at most; None where a step is open."""
        if self.verdict != "certified":
            return None
        composed = self.rows[-1].error
        return composed if self.joint is None else min(composed, self.joint)

    @property
    def claim(self) -> str:
        """The property in words."""
        bound = "" if self.error is None else f" <= {exact(self.error)}"
        return f"{self.question}{bound}"

    @property
    def question(self) -> str:
        """The claim without what the run found."""
        name, q = self.chain.steps[-1].id, self.chain.variable
        return f"FOR ALL {q} IN THE QUESTIONS OF {name}: |{name}({q}) - what {self.chain.core.name} says, unrolled|"

    @property
    def sentence(self) -> str:
        severity = f"SEVERITY {self.requirement.severity}, CLASS {self.claim_class}"
        if self.verdict == "certified" and self.certificate is not None:
            files = ", ".join(f"{name} = sha256:{value}" for name, value in self.hashes.items())
            return (
                f"{self.claim}, {severity} (outward-rounded float64), CHECKED BY certify-check {self.version} IN "
                f"{self.certificate.check_seconds:.2f} s, {len(self.rows)} STEPS. RESTS ON: A1 (declared) trust in the "
                f"core {self.chain.core.name}, A2 (declared) {files}, A3 (binding recompiled) the parts were "
                f"translated by the loader; certify check --spec translates again. DOES NOT SAY: that the core is "
                f"right; anything about questions outside the boxes of the steps."
            )
        if self.verdict == "violated":
            return (
                f"NOT A CHAIN, {severity} (rational arithmetic): {self.reason}. DOES NOT SAY: anything else about it."
            )
        return f"UNDECIDED WHETHER {self.claim} IS BOUNDED, {severity}: {self.reason}."

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}{f' ({self.reason})' if self.reason else ''}>"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        found = [(row.id, row.words()) for row in self.rows]
        if self.verdict == "certified":
            joint = "" if self.joint is None else f", {exact(self.joint)} proved at once"
            found.append(("end to end", f"{exact(self.rows[-1].error)} composed{joint}, {self.sampled or 0:.6g} seen"))
        if self.certificate is not None:
            kept = str(self.certificate.path) if self.certificate.path.name else "not kept"
            found.append(("certificate", kept))
        return [*found, ("reason", self.reason)]

    def to_json(self) -> dict[str, Any]:
        proof = self.certificate
        return {
            "id": self.id,
            "severity": self.requirement.severity,
            "line": None,
            "verdict": self.verdict,
            "class": self.claim_class,
            "reason": self.reason,
            "claim": self.claim,
            "question": self.question,
            "parameter": {"name": "error", "proved": None if self.error is None else str(self.error)},
            "sentence": self.sentence,
            "core": {"name": self.chain.core.name, "listing": self.chain.core.listing},
            "steps": [
                {
                    "id": row.id,
                    "tolerance": str(row.tolerance),
                    "attained": row.attained,
                    "growth": str(row.growth),
                    "error": str(row.error) if self.verdict == "certified" else None,
                }
                for row in self.rows
            ],
            "joint": None if self.joint is None else str(self.joint),
            "sampled": self.sampled,
            "error": None if self.error is None else str(self.error),
            "assumptions": assumptions(self.chain),
            "certificate": None
            if proof is None
            else {"path": str(proof.path) if proof.path.name else None, "checked": True, "bytes": proof.bytes},
            "attack": None if self.outside is None else {"input": [float(v) for v in self.outside.question]},
            "relaxed_attack": None,
            "stats": {},
            "seconds": self.seconds,
        }
