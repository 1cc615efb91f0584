"""The sentence of a verdict: what is claimed, how strongly, what it rests on and what it does not say."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context
from typing import Literal

from verifier.engine.outcome import Outcome
from verifier.question import Requirement

ARITHMETIC = {"exact": "rational arithmetic", "sound": "outward-rounded float64", "heuristic": "no claim"}


DATA = "data "
"""Before the names of data files among the hashes."""


def claim_class(outcome: Outcome) -> Literal["exact", "sound", "heuristic"]:
    """Proofs and violations are as strong as the arithmetic that established them; unknown claims nothing."""
    if outcome.verdict == "certified":
        return "exact" if outcome.proof is not None and outcome.proof.exact else "sound"
    if outcome.verdict == "violated" and outcome.attack is not None and outcome.attack.proved:
        return "exact" if "rational" in outcome.attack.proved else "sound"
    return "heuristic"


def sentence(
    requirement: Requirement,
    outcome: Outcome,
    version: str,
    hashes: dict[str, str],
    premises: Sequence[str] = (),
    survival: str = "",
) -> str:
    """``premises`` are what is assumed, ``survival`` is what errors a certified claim survives; both in words."""
    strength = claim_class(outcome)
    severity = f"SEVERITY {requirement.severity}, CLASS {strength} ({ARITHMETIC[strength]})"
    silence = "; ".join((*requirement.silent_on, "anything about other weights, or a float runtime's own rounding"))
    rests = f"A1 (declared) {_weights(hashes)}, A2 (declared) specification = sha256:{hashes.get('spec', 'unknown')}"
    if requirement.data:
        files = ", ".join(f"{name} = sha256:{hashes.get(DATA + name, 'unknown')}" for name in requirement.data)
        rests += f", (declared) data {files}, (monitored) activations in the hull"
    rests += "".join(f", {premise}" for premise in premises)
    if outcome.verdict == "certified" and outcome.proof is not None:
        proof = outcome.proof
        slack = f"WITH SLACK >= {down(outcome.proved)}" if outcome.proved > 0 else "WITHOUT A STATED SLACK"
        return (
            f"{requirement.claim} {slack}, {severity}, CHECKED BY certify-check {version} IN "
            f"{proof.check_seconds:.2f} s. RESTS ON: {rests}, A3 (binding {proof.binding}) "
            f"{_binding(proof.binding)}. {f'{survival}. ' if survival else ''}DOES NOT SAY: {silence}."
        )
    if outcome.verdict == "violated":
        how = outcome.attack.proved if outcome.attack is not None else ""
        return (
            f"NOT {requirement.claim}, {severity}: at the input given, {how or 'the property fails'}. "
            f"RESTS ON: {rests}. DOES NOT SAY: whether other inputs fail; anything about other weights."
        )
    return f"UNDECIDED WHETHER {requirement.claim}, {severity}: {outcome.reason.partition(':')[0]}."


def _weights(hashes: dict[str, str]) -> str:
    networks = {name: value for name, value in hashes.items() if name != "spec" and not name.startswith(DATA)}
    if set(networks) <= {"model"}:
        return f"weights = sha256:{networks.get('model', 'unknown')}"
    return "weights of " + ", ".join(f"{name} = sha256:{value}" for name, value in networks.items())


def _binding(binding: str) -> str:
    if binding == "independent":
        return "the checker read the model and the query with its own readers"
    return "models or the specification were translated by the loader; certify check --model --spec translates again"


def down(value: float) -> str:
    """Six digits, never more than the value."""
    return str(Context(prec=6, rounding=ROUND_FLOOR).create_decimal(value).normalize())
