"""Requirements about what an abstraction makes of inputs: what proofs and violations there mean for the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from specs.problem import Row
from specs.property import Requirement as Stated
from verifier.attack.witness import inside
from verifier.engine.outcome import Outcome, RelaxedAttack
from verifier.question import Question, Requirement
from verifier.report.report import Answer
from verifier.report.sentence import down
from verifier.solving.meant import value_at

if TYPE_CHECKING:
    from verifier.answer import Settings

SHARE = 0.5  # of the time that is left, for a real input behind a relaxed attack
MOST_SECONDS = 20.0
SAMPLES = 256
TOO_COARSE = "relaxed: the violation found is of what the abstraction might give, and no input was found that causes it"

Decide = Callable[[Question, Requirement, "Settings", float], tuple[Outcome, str]]


def on_inputs(
    question: Question, requirement: Requirement, outcome: Outcome, settings: Settings, seconds: float, decide: Decide
) -> tuple[Requirement, Outcome]:
    """What became of the requirement, and the one that this is about.

    A violation of what an abstraction may give is none of the inputs: the network with the abstraction in front is
    attacked, and a violation is one of that. Otherwise it is a relaxed attack. What a certified outcome attains is
    what inputs do, so that it can be compared with what is proved.
    """
    concrete = requirement.stated.concrete
    assert concrete is not None
    attained = sampled(concrete, settings.seed)
    if outcome.verdict == "certified":
        return requirement, replace(outcome, attained=attained)
    if outcome.verdict != "violated" or outcome.attack is None:
        return requirement, replace(outcome, attained=attained)
    meant = of_inputs(requirement)
    found, _ = decide(question, meant, settings, min(SHARE * seconds, MOST_SECONDS))
    attack = outcome.attack
    if found.verdict == "violated":
        return meant, found
    for part in (found.proof and found.proof.path, attack.path, found.relaxed and found.relaxed.path):
        if part is not None and part.name:
            part.unlink(missing_ok=True)  # evidence of other questions than the one asked
    least = min(attained, found.attained)
    more = "; without the abstraction it was proved" if found.verdict == "certified" else ""
    point = [float(value) for value in attack.point]
    relaxed = RelaxedAttack(attack.case, point, attack.value, least, [])
    return requirement, replace(
        outcome, verdict="unknown", reason=TOO_COARSE + more, attained=least, proved=-math.inf, attack=None,
        relaxed=relaxed,
    )  # fmt: skip


def of_inputs(requirement: Requirement) -> Requirement:
    """The requirement that this one is there for, about inputs."""
    concrete = requirement.stated.concrete
    assert concrete is not None
    assert concrete.inputs is not None
    region = "{" + " and ".join([concrete.inputs.describe(), *(f"({text})" for text in concrete.where)]) + "}"
    return replace(requirement, stated=concrete, region=region)


def sampled(stated: Stated, seed: int) -> float:
    """The least value of the best row at inputs of the set: those in it of a uniform draw from its boxes."""
    rng, least = np.random.default_rng(seed), math.inf
    for case in stated.problem.cases[:SAMPLES]:
        low, up = (np.array([float(v) for v in side]) for side in (case.box.lower, case.box.upper))
        for share in rng.random((max(1, SAMPLES // len(stated.problem.cases)), len(low))):
            point = inside(case, low + share * (up - low))
            if not any(_holds(row, point) for row in case.any_of if not row.y):  # else it is not in the set
                least = min(least, value_at(stated.problem, point))
    return least


def _holds(row: Row, point: Sequence[Fraction]) -> bool:
    value = row.constant + sum(c * point[i] for i, c in row.x)
    return value > 0 or (value == 0 and not row.strict)


def carried(answer: Answer, known: Mapping[str, Answer]) -> Answer:
    """The answer as one about inputs: unless the bounds of the abstraction are proved it is not certified.

    It is of no stronger class than the proof of these is.
    """
    stated, proof = answer.requirement.stated, answer.outcome.proof
    if stated.concrete is None or answer.verdict != "certified":
        return answer
    support = known.get(stated.covered_by)
    if support is None or support.verdict != "certified":
        why = "is written into as well" if support is None else f"leaves the bounds ({support.id} is {support.verdict})"
        reason = f"abstraction: proved of everything within the bounds, but what the abstraction gives {why}"
    elif stated.accept_class == "exact" and support.claim_class != "exact":
        reason = f"class: proved of everything within the bounds, but {support.id} is {support.claim_class}, not exact"
    elif proof is None or support.claim_class == "exact":
        return answer
    else:
        return replace(answer, outcome=replace(answer.outcome, proof=replace(proof, exact=False)))
    return replace(answer, outcome=replace(answer.outcome, verdict="unknown", reason=reason), solution=None)


def of_inputs_in_words(answer: Answer, known: Mapping[str, Answer]) -> str:
    """What a certified answer about an abstraction says of inputs."""
    if answer.verdict != "certified":
        return ""
    support = known[answer.requirement.stated.covered_by]
    attained, proved = answer.bracket
    region = of_inputs(answer.requirement).region
    return (
        f"SO THE SAME HOLDS FOR ALL {support.requirement.inputs.name if support.requirement.inputs else 'x'} IN "
        f"{region}, as requirement {support.id} is certified ({support.claim_class}): the abstraction gives nothing "
        f"else. THE ABSTRACTION COSTS AT MOST {_up(attained - proved)}: at least {down(proved)} is proved, and an "
        f"input attains {attained:.6g}."
    )


def _up(value: float) -> str:
    return str(-float(down(-value))) if math.isfinite(value) else "?"
