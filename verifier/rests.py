"""What answers rest on where an overseer is an answer table, or the last network of a chain of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from specs.assumption import Assumption
from specs.errors import CertificateError
from specs.hashes import sha256_of
from specs.language.text.decimals import exact
from verifier.question import Question
from verifier.report.report import Answer

if TYPE_CHECKING:
    from verifier.chain.premise import Rechecked


def rechecked(assumptions: Sequence[Assumption], deadline: float | None = None) -> Mapping[str, Rechecked]:
    """The chains, their statements checked again, by the ids of the assumptions. Raises ``SpecError``."""
    if not any(one.chain is not None for one in assumptions):
        return {}
    from verifier.chain.premise import recheck

    return recheck(assumptions, deadline)


def judged_again(question: Question, record: Mapping[str, Any]) -> list[str]:
    """What evidence about a question rests on beside networks and query, judged again, in words.

    Answer tables have to be the very files that ``record`` names by their hashes, and the statements of chains to be
    accepted. Raises ``CertificateError`` or ``SpecError``.
    """
    for name in question.tables:
        file, wanted = question.files[name], record.get(f"sha256 of {name}")
        if sha256_of(file) != wanted:
            raise CertificateError(f"{file}: this is not the table the certificate is about (SHA-256 differs)")
    accepted = rechecked(question.assumptions)
    claims = [one for one in question.assumptions if one.id in accepted and one.chain is not None]
    return [
        f"it is about {one.overseer} as it is, within {exact(one.error)} of its core: its chain was accepted again"
        for one in claims
    ]


def resting_on_chains(answer: Answer, chains: Mapping[str, Rechecked]) -> Answer:
    """The answer with the chains that it rests on, each with all that is behind it, and without the others.

    It rests on one where it reads what its overseer computes. What is certified is so no more where a chain's statement
    was not checked to the end.
    """
    if not chains:
        return answer
    from verifier.chain.premise import graph

    outcome, kept = answer.outcome, []
    for premise in answer.premises:
        one = premise.assumption
        if one.chain is None:
            kept.append(premise)
        elif one.overseer in answer.requirement.stated.sensitivity:
            found = chains[one.id]
            behind = graph(one.chain, one.overseer, f"requirement {answer.id}")
            kept.append(replace(premise, status=found.status, rests_on=tuple(behind)))
            if not found.accepted and outcome.verdict == "certified":
                reason = f"timeout: the statement of {one.chain.file.name} was not checked in time"
                outcome = replace(outcome, verdict="unknown", reason=reason)
    return replace(answer, outcome=outcome, premises=tuple(kept))
