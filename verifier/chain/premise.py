"""Chains that overseers come from: their statements checked again, and what then rests on what."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specs.assumption import Assumption
from specs.chain_claim import ChainClaim
from specs.errors import CertificateError, SpecError
from specs.hashes import sha256_of
from specs.language.text.decimals import exact
from verifier.chain.check import check_chain
from verifier.chain.table import assumptions


@dataclass(frozen=True)
class Rechecked:
    """What became of a chain's statement; ``accepted`` or else not looked at to the end."""

    accepted: bool
    status: str


def recheck(taken: Sequence[Assumption], deadline: float | None = None) -> Mapping[str, Rechecked]:
    """Have the independent checker judge the statement of every chain, by ``deadline``; by the assumptions' ids.

    A statement that it refuses, or a file that has become another since it was read, is no overseer: ``SpecError``.
    """
    return {one.id: _rechecked(one.chain, one.overseer, deadline) for one in taken if one.chain is not None}


def _rechecked(claim: ChainClaim, overseer: str, deadline: float | None) -> Rechecked:
    try:
        result = check_chain(claim.file, None, None, False, deadline)
    except subprocess.TimeoutExpired:
        return Rechecked(False, "NOT ESTABLISHED: there was no time to check its statement")
    except CertificateError as error:
        raise SpecError(f"overseers.{overseer}.chain: {error}") from None
    if not result.accepted:
        raise SpecError(f"overseers.{overseer}.chain: the statement was refused: {result.reason}", claim.file)
    if sha256_of(claim.file) != claim.sha256:
        raise SpecError(f"overseers.{overseer}.chain: the file has changed since it was read", claim.file)
    return Rechecked(True, f"holds: the checker accepted its statement, {result.leaves} leaves")


def graph(claim: ChainClaim, overseer: str, requirement: str) -> list[dict[str, Any]]:
    """Every statement with its premises, from the trusted core to the requirement that the overseer judges for."""
    step, root = claim.chain.steps[-1].id, f"core {claim.core} says what is right"
    found = assumptions(claim.chain)
    composed = f"E({step})"
    if claim.joint is not None:
        joint = f"joint: {step} is within {exact(claim.joint)} of the core, unrolled"
        found.append({"statement": joint, "kind": "certified", "rests_on": ["files are the ones hashed", root]})
        composed = joint if claim.joint < claim.composed else composed
    whole = f"{overseer} is within {exact(claim.error)} of what {claim.core} says, unrolled"
    found.append({"statement": whole, "value": str(claim.error), "kind": "checked", "rests_on": [composed]})
    end = {"statement": requirement, "kind": "requirement", "rests_on": ["files are the ones hashed", whole]}
    return [*found, end]
