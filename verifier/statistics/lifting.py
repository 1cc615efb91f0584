"""A rate of differences from a surrogate, with a proof about the surrogate, is a rate of the overseer's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from specs.joint import JointSet
from specs.language.gates import exactly
from specs.language.rates.question import Lift, StatisticalQuestion
from verifier.report.report import Answer
from verifier.statistics.report import StatisticalAnswer, rate_text


@dataclass(frozen=True)
class Lifted:
    """What follows, or ``why`` nothing does."""

    claim: str
    sentence: str
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"claim": self.claim or None, "sentence": self.sentence, "why": self.why}


def lifted(question: StatisticalQuestion, rate: StatisticalAnswer, answers: Sequence[Answer]) -> Lifted | None:
    """What the two claims give together; None where nothing was asked for."""
    lift = question.lift
    if lift is None or question.program is None:
        return None
    proof = next((one for one in answers if one.id == lift.requirement), None)
    proved = None if proof is None else _proved(lift, proof)
    if rate.rate is None or proof is None or proved is None:
        missing = "no rate is bounded" if rate.rate is None else f"{lift.requirement} is not certified"
        return _nothing(f"{missing}, so nothing follows about answers below 0")
    if proved <= lift.gap:
        told = f"{lift.requirement} proves {lift.call} >= {exactly(proved)}, which has to be above {exactly(lift.gap)}"
        return _nothing(f"{told}: nothing follows about answers below 0")
    outside = _outside(question, proof)
    if outside:
        return _nothing(f"{outside}: nothing follows about answers below 0")
    shown = lift.call[lift.call.index("(") :]
    claim = f"Pr[{question.program.name}{shown} < 0] <= {rate_text(rate.rate.upper)}"
    sentence = (
        f"COMPOSED, CLASS {rate.claim_class}: {claim}, BECAUSE {lift.call} >= {exactly(proved)} FOR ALL INPUTS BY "
        f"{lift.requirement} (CLASS {proof.claim_class}), SO THAT AN ANSWER BELOW 0 IS ONE OF THE EVENT. "
        f"RESTS ON: what both claims rest on, and (declared) float64 computes {lift.call} at the draws with an error "
        f"of less than {exactly(proved - lift.gap)}, and sides of boxes are as they are when rounded to float64."
    )
    return Lifted(claim, sentence)


def _outside(question: StatisticalQuestion, proof: Answer) -> str:
    """Why the proof may be silent about something that is drawn, "" where it is not."""
    (drawn,), rows, stated = question.inputs.sets, question.rows, proof.requirement.stated
    sets = stated.inputs.sets if isinstance(stated.inputs, JointSet) else (stated.inputs,)
    if stated.where:
        return f"{proof.id} holds under a condition, which draws may not meet"
    if sets != (drawn,):
        return f"{proof.id} is about other inputs as well, or about {drawn.name} in another set, than what is drawn"
    if rows is None:
        return ""
    if drawn.linear or not all(drawn.contains(drawn.to_model(row)) for row in rows.tolist()):
        return f"examples that are drawn may be outside the set of {proof.id}"
    return ""


def _nothing(why: str) -> Lifted:
    return Lifted("", f"NOT COMPOSED: {why}.", why)


def _proved(lift: Lift, proof: Answer) -> Fraction | None:
    """The least value that is certified."""
    if proof.verdict != "certified":
        return None
    if lift.value is not None:
        return lift.value
    if proof.solution is not None:
        return proof.solution.proved
    solved = proof.requirement.stated.solved
    return None if solved is None else solved.value
