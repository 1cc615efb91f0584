"""What a verdict rests on beside files and arithmetic: the assumptions of a specification, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import Any

from specs.assumption import Assumption
from specs.language.text.decimals import exact
from verifier.engine.outcome import Outcome, Verdict
from verifier.question import Requirement
from verifier.report.sentence import down


@dataclass(frozen=True)
class Premise:
    """An assumption, and what is known of it after a run; ``rests_on`` are premises of its own, where it has some."""

    assumption: Assumption
    status: str
    rests_on: tuple[Mapping[str, Any], ...] = ()

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
        graph = {"graph": [dict(statement) for statement in self.rests_on]} if self.rests_on else {}
        return {**plain, "requirement": one.requirement or None, "error": error, **graph}


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
    factor, margin = requirement.stated.sensitivity.get(overseer), _margin(requirement, outcome)
    return margin / factor if factor and margin is not None else None


def _margin(requirement: Requirement, outcome: Outcome) -> Fraction | None:
    """By how much the best row holds everywhere; None where that is not known.

    What a requirement is restricted to is not made any stricter by its slack.
    """
    if outcome.verdict != "certified" or not isfinite(outcome.proved):
        return None
    return Fraction(max(outcome.proved, 0.0)) + (Fraction(0) if requirement.stated.where else requirement.stated.slack)


def survival_in_words(requirement: Requirement, outcome: Outcome) -> str:
    """By how much each overseer alone may be wrong, "" where there is none."""
    found = []
    for overseer in requirement.stated.sensitivity:
        limit = survives(requirement, outcome, overseer)
        if limit:
            found.append(f"STILL TRUE WHERE EACH ANSWER OF {overseer} IS WRONG BY LESS THAN {down(float(limit))}")
    return "; OR, WITH ALL OTHERS RIGHT, ".join(found)


def withdrawn(requirement: Requirement, outcome: Outcome, assumptions: Sequence[Assumption]) -> Outcome:
    """A certified outcome, or unknown where errors of overseers that assumptions allow for are more than it survives.

    All of them at once: the margin has to be more than what they do to a row together.
    """
    sensitivity = requirement.stated.sensitivity
    allowed = [one for one in assumptions if one.overseer in sensitivity and one.concerns(requirement.id) and one.error]
    if outcome.verdict != "certified" or not allowed:
        return outcome
    errors = {one.overseer: max(o.error for o in allowed if o.overseer == one.overseer) for one in allowed}
    effects = {judge: _effect(sensitivity[judge], error) for judge, error in errors.items()}
    margin, total = _margin(requirement, outcome), Fraction(0)
    for one in allowed:
        effect, limit = effects.pop(one.overseer, Fraction(0)), survives(requirement, outcome, one.overseer)
        total = total + effect if effect is not None else total
        if effect is None or (effect and (margin is None or margin <= total)):
            told = down(float(limit)) if limit else "none"
            others = " together with those of others" if limit is not None and limit > errors[one.overseer] else ""
            reason = (
                f"assumption: {one.id} allows for an error of {one.overseer} of {exact(errors[one.overseer])}{others}; "
                f"with it, what is proved of the overseer as it is does not carry over (errors below {told} would)"
            )
            return replace(outcome, verdict="unknown", reason=reason)
    return outcome


def _effect(factor: Fraction | None, error: Fraction) -> Fraction | None:
    """What an error does to a row at most; None where nothing is known."""
    return None if factor is None else factor * error
