"""Whether a proof about what an adversary writes into a layer is one about every failure that some input causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from verifier.report.report import Answer

if TYPE_CHECKING:
    from specs.language.inputs.natural import NaturalSet

LEVEL = Fraction(1, 100)
"""Of the interval of the share of states that are natural: it misses with at most this probability."""


def naturalness_in_words(answer: Answer, naturals: Sequence[NaturalSet]) -> Iterator[str]:
    """How much of held-out data is in the hulls that the requirement is about, where that is measured."""
    inputs = answer.requirement.inputs
    about = {one.name for one in getattr(inputs, "sets", (inputs,))} if inputs is not None else set()
    for one in naturals:
        held, name = one.held_out, f"{one.injection.layer} of {one.injection.model}"
        if held is None or one.input.name not in about:
            continue
        told = f"ON {held.inside} OF {held.examples} EXAMPLES OF {held.file.name} what {name} holds is natural"
        if held.built_on:
            yield f"{told}: the hull was built on these, so that this says nothing about others."
            continue
        from verifier.statistics.clopper_pearson import interval

        bounds = interval(held.inside, held.examples, LEVEL)
        yield (
            f"{told}: the share is in [{float(bounds.lower):.6g}, {float(bounds.upper):.6g}] with confidence "
            f"{float(1 - LEVEL):g}, if they are independent draws that the hull was not built on (Clopper and Pearson)."
        )


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
