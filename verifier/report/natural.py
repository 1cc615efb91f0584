"""Whether a proof about what an adversary writes into a layer is one about every failure that some input causes."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.report.report import Answer


def covers_natural(answer: Answer, known: Mapping[str, Answer]) -> str:
    """In words; empty where the specification asks for no such thing, or where nothing is proved.

    It does only where the claim that the layer by itself never leaves the adversary's states has a proof of its own,
    accepted by the checker.
    """
    other = answer.requirement.stated.covered_by
    if not other or answer.verdict != "certified":
        return ""
    support = known[other]
    if support.verdict != "certified":
        return (
            f"DOES NOT COVER EVERY NATURAL FAILURE: requirement {other} is {support.verdict}, so what the layer holds "
            "by itself may not be among the states the adversary may write."
        )
    return (
        f"COVERS EVERY NATURAL FAILURE: with nothing written into it, too, the model does this FOR ALL "
        f"{support.requirement.inputs.name if support.requirement.inputs else 'x'} IN "
        f"{support.requirement.region} (by requirement {other}, {support.claim_class}: what the layer holds is among "
        "the states the adversary may write)."
    )
