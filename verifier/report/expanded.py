"""What a requirement that counts more as a catastrophe has to do with the one it was made of."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.latent.points import named, point_of
from verifier.question import Requirement
from verifier.report.report import Answer


def expansion_in_words(answer: Answer, known: Mapping[str, Answer]) -> str:
    """Which of two requirements, R and R+, a verdict says something about; empty where there are not two."""
    stated = answer.requirement.stated
    if not stated.expands:
        return _of_plain(
            answer, next((one for one in known.values() if one.requirement.stated.expands == answer.id), None)
        )
    counts = f"COUNTS AS A CATASTROPHE, beside a violation of {stated.expands}: {stated.counts}. "
    if answer.verdict == "certified":
        return f"{counts}IMPLIES {stated.expands}, which demands less."
    if answer.verdict == "unknown":
        return f"{counts}A proof would imply {stated.expands}; a violation of that would be one of this."
    fails = plain_fails(answer, known[stated.expands].requirement) if stated.expands in known else None
    if fails is None:
        return f"{counts}SAYS NOTHING about {stated.expands}, which may hold."
    if fails:
        return f"{counts}{stated.expands} FAILS AT THIS INPUT, too."
    return f"{counts}{stated.expands} HOLDS AT THIS INPUT: what counts happens, and no violation of {stated.expands}."


def _of_plain(answer: Answer, other: Answer | None) -> str:
    """Of the requirement that demands less, where the other one says more than its own verdict."""
    if other is not None and other.verdict == "certified" and answer.verdict == "unknown":
        return f"BUT {other.id}, which demands more, is certified ({other.claim_class}): its proof is one of this, too."
    return ""


def contradicted(answer: Answer, known: Mapping[str, Answer]) -> bool:
    """Whether what demands more is certified, and what demands less is violated: one of the two must be wrong."""
    plain = known.get(answer.requirement.stated.expands)
    return plain is not None and (answer.verdict, plain.verdict) == ("certified", "violated")


def plain_fails(answer: Answer, plain: Requirement) -> bool | None:
    """Whether a requirement fails at an attack on another one, in float64; None where that has not all its inputs."""
    attack, inputs = answer.attack, answer.requirement.inputs
    if attack is None or inputs is None or plain.inputs is None:
        return None
    point = point_of(plain.inputs, named(inputs, attack.point))
    if point is None:
        return None
    outputs = plain.stated.problem.graph.evaluate_flat([float(value) for value in point])
    return plain.stated.is_violated_at(point, outputs.tolist())
