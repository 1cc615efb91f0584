"""The verdict on a catastrophe's probability by way of a relaxed checker: two statements, and how they hang together.

Pr[C] <= Pr[the state of x is flagged] + Pr[C, and the state of x is not flagged], under nature's law P of x. One
statement bounds the first from draws of a proposal, the other bounds the second from natural inputs. Here it is judged
that both are accepted, that they are about the same relaxed checker at the same level and the same P, and the sum.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from verifier.checker.check import Verdict
from verifier.checker.container import has_member
from verifier.checker.errors import CheckError
from verifier.checker.statement import known_format, read_exactly
from verifier.checker.statistics import StatisticalEvidence, law_of_draws, read_statement, verdict_on_statement
from verifier.checker.statistics_bounds import UP, shown
from verifier.checker.statistics_draws import read_kind
from verifier.checker.statistics_ledger import HASH, json_object, rational, text

COMPOSITION, FLAGGED, MISSED = "composition.json", "flagged.nnstat", "missed.nnstat"
KEYS = {"format", "version", "parts", "tau", "upper", "confidence", "claim"}
PARTS = {"relaxed_checker", "embedding", "overseer"}


@dataclass(frozen=True)
class RelaxedEvidence:
    """``parts`` are hashes of what the two statements are about; ``upper`` is what the file states, at ``tau``."""

    parts: dict[str, str]
    tau: Fraction
    upper: Fraction
    confidence: Fraction
    flagged: StatisticalEvidence
    missed: StatisticalEvidence
    sha256: str
    claim: str


def is_about_relaxed_checker(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, with a composition in it."""
    return has_member(source, COMPOSITION)


def read_relaxed(data: bytes) -> RelaxedEvidence:
    """Parse a file; raises CheckError for what is not exactly of the format."""
    members = read_exactly(data, {COMPOSITION, FLAGGED, MISSED})
    manifest = json_object(members[COMPOSITION], COMPOSITION)
    if set(manifest) != KEYS or not isinstance(manifest["parts"], dict) or set(manifest["parts"]) != PARTS:
        raise CheckError(f"{COMPOSITION} does not have exactly the keys {sorted(KEYS)}, with parts {sorted(PARTS)}")
    known_format(manifest, "nnrelaxed")
    parts = {name: text(value) for name, value in manifest["parts"].items()}
    if not all(HASH.fullmatch(value) for value in parts.values()):
        raise CheckError("a part is not named by its hash")
    tau = rational(manifest["tau"])
    if str(tau) != manifest["tau"]:
        raise CheckError("the level is not written in lowest terms")
    return RelaxedEvidence(
        parts,
        tau,
        rational(manifest["upper"]),
        rational(manifest["confidence"]),
        read_statement(members[FLAGGED]),
        read_statement(members[MISSED]),
        hashlib.sha256(members[COMPOSITION]).hexdigest(),
        text(manifest["claim"]),
    )


def verdict_on_relaxed(evidence: RelaxedEvidence) -> Verdict:
    """Accepted only if both statements are, fit together, and add up to no more than is stated."""
    flagged, missed = verdict_on_statement(evidence.flagged), verdict_on_statement(evidence.missed)
    lines = flagged.leaves + missed.leaves
    wrong = ""
    for verdict, what in ((flagged, "how often states are flagged"), (missed, "how often the checker is blind")):
        if not verdict.accepted and not wrong:
            wrong = f"the statement of {what} is refused: {verdict.reason}"
    wrong = wrong or _apart(evidence)
    if wrong:
        return Verdict(False, wrong, (), lines, math.nan)
    plan = _plan(evidence.flagged)
    parts, drawn = evidence.parts, _plan(evidence.missed)
    law = "a law of inputs" if read_kind(drawn["sampler"]) == "sample" else law_of_draws(drawn)
    reason = (
        f"Pr[the overseer objects] <= {shown(evidence.upper, UP)} under P = {text(plan['nature'])!r} at confidence "
        f"{evidence.confidence}: at most {shown(evidence.flagged.upper, UP)} of natural states are flagged above "
        f"{evidence.tau} by the relaxed checker sha256:{parts['relaxed_checker']}, and at most "
        f"{shown(evidence.missed.upper, UP)} are objections that it misses; rests on: P is {law}, and in the "
        f"statement of flags stands for its image under the embedding sha256:{parts['embedding']}; "
        f"of flags: {_rests(flagged)}; of misses: {_rests(missed)}"
    )
    return Verdict(True, reason, (), lines, math.inf)


def _apart(evidence: RelaxedEvidence) -> str:
    """Why the two statements do not give the third, or nothing."""
    flagged, missed = _plan(evidence.flagged), _plan(evidence.missed)
    parts = evidence.parts
    if not 0 <= evidence.tau < 1 or not 0 <= evidence.upper <= 1:
        return "a level or a bound is not between 0 and 1"
    if evidence.flagged.ledger.source != identity("relaxed-checker", parts["relaxed_checker"]):
        return "the statement of flags is not about this relaxed checker"
    whole = (str(evidence.tau), parts["relaxed_checker"], parts["embedding"], parts["overseer"])
    if evidence.missed.ledger.source != identity("calibration", *whole):
        return "the statement of misses is not about this relaxed checker, level, embedding and overseer"
    if flagged["method"] not in ("domination", "renyi") or read_kind(flagged["sampler"]) not in ("box", "mixture"):
        return "the statement of flags does not go from a proposal that is drawn to nature"
    if missed["method"] not in ("clopper-pearson", "betting"):
        return "the statement of misses is not about nature itself"
    if read_kind(missed["sampler"]) not in ("sample", "box", "mixture"):
        return "misses are counted on inputs that are no draws of nature's law"
    if rational(flagged["below"]) != -evidence.tau or rational(missed["below"]) != 0:
        return "a statement is of another event"
    if not text(flagged["nature"]) or flagged["nature"] != missed["nature"]:
        return "the two statements are under different laws"
    levels = [1 - rational(plan["confidence"]) for plan in (flagged, missed)]
    if not 0 < evidence.confidence <= 1 - sum(levels):
        return "the errors of the two statements add up to more than is stated"
    if evidence.upper < min(Fraction(1), evidence.flagged.upper + evidence.missed.upper):
        return "the two bounds add up to more than is stated"
    return ""


def identity(kind: str, *parts: str) -> str:
    """The hash of a thing made of parts: SHA-256 of the kind and the parts' hashes, one a line."""
    return hashlib.sha256("\n".join((kind, *parts)).encode()).hexdigest()


def _plan(evidence: StatisticalEvidence) -> dict[str, Any]:
    return evidence.ledger.plans[evidence.name].content


def _rests(verdict: Verdict) -> str:
    return verdict.reason.partition("; rests on: ")[2]
