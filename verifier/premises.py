"""What a verdict rests on beside files and arithmetic: the assumptions of a specification, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import Any

from specs.assumption import Assumption
from specs.language.decimals import exact
from verifier.engine.outcome import Outcome, Verdict
from verifier.question import Requirement
from verifier.report.sentence import down


@dataclass(frozen=True)
class Premise:
    """An assumption, and what is known of it after a run."""

    assumption: Assumption
    status: str

    @property
    def words(self) -> str:
        """For the sentence."""
        one = self.assumption
        allowed = f" (an error of {one.overseer} of up to {exact(one.error)})" if one.overseer else ""
        return f"{one.id} ({one.kind}, {self.status}) {one.text}{allowed}"

    def to_json(self) -> dict[str, Any]:
        one = self.assumption
        error = {"overseer": one.overseer, "at_most": str(one.error)} if one.overseer else None
        plain = {"id": one.id, "kind": one.kind, "text": one.text, "status": self.status, "of": list(one.of)}
        return {**plain, "requirement": one.requirement or None, "error": error}


def premises(assumptions: Sequence[Assumption], verdicts: Mapping[str, Verdict]) -> tuple[Premise, ...]:
    """Every assumption with what is known of it; ``verdicts`` are those of this run."""
    return tuple(Premise(one, _status(one, verdicts)) for one in assumptions)


def _status(one: Assumption, verdicts: Mapping[str, Verdict]) -> str:
    if one.kind != "checked":
        return "not checked here"
    match verdicts.get(one.requirement):
        case "certified":
            return f"holds: {one.requirement} is certified"
        case "violated":
            return f"DOES NOT HOLD: {one.requirement} is violated"
    return f"NOT ESTABLISHED: {one.requirement} is unknown"


def survives(requirement: Requirement, outcome: Outcome, overseer: str) -> Fraction | None:
    """Errors of an overseer below this leave a certified claim true; None where nothing is known.

    Every row that holds by a margin still holds where each answer of the overseer changes by less than the margin over
    what the row makes of it.
    """
    factor = requirement.stated.sensitivity.get(overseer)
    if outcome.verdict != "certified" or factor is None or not isfinite(outcome.proved):
        return None
    return (Fraction(max(outcome.proved, 0.0)) + requirement.stated.slack) / factor


def survival_in_words(requirement: Requirement, outcome: Outcome) -> str:
    """By how much each overseer may be wrong, "" where there is none."""
    found = []
    for overseer in requirement.stated.sensitivity:
        limit = survives(requirement, outcome, overseer)
        if limit:
            found.append(f"STILL TRUE WHERE EACH ANSWER OF {overseer} IS WRONG BY LESS THAN {down(float(limit))}")
    return "; ".join(found)


def withdrawn(requirement: Requirement, outcome: Outcome, assumptions: Sequence[Assumption]) -> Outcome:
    """A certified outcome, or unknown where an assumption allows for a larger error of an overseer than it survives."""
    if outcome.verdict != "certified":
        return outcome
    for one in assumptions:
        if one.overseer and one.concerns(requirement.id) and requirement.stated.sensitivity.get(one.overseer):
            limit = survives(requirement, outcome, one.overseer)
            if limit is None or limit <= one.error:
                told = down(float(limit)) if limit else "none"
                reason = (
                    f"assumption: {one.id} allows for an error of {one.overseer} of {exact(one.error)}; with it, "
                    f"what is proved of the overseer as it is does not carry over (errors below {told} would)"
                )
                return replace(outcome, verdict="unknown", reason=reason)
    return outcome
