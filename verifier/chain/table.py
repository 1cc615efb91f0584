"""What a chain comes to: errors of every step, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from specs.language.chains.spec import ChainSpec
from specs.language.text.decimals import exact


@dataclass(frozen=True)
class Row:
    """A step: ``tolerance`` is proved, ``attained`` the largest deviation seen; ``error`` is E_k."""

    id: str
    tolerance: Fraction
    growth: Fraction
    error: Fraction
    attained: float | None = None

    def words(self) -> str:
        seen = "" if self.attained is None else f", {self.attained:.6g} seen"
        return (
            f"strays by at most {exact(self.tolerance)}{seen}; errors before it grow by {exact(self.growth)}; "
            f"E = {exact(self.error)}"
        )


def table(chain: ChainSpec, attained: Mapping[str, float]) -> tuple[Row, ...]:
    """The rows of all steps, given that everything is shown of each."""
    errors = chain.errors()
    return tuple(
        Row(step.id, step.tolerance, step.lipschitz, errors[step.id], attained.get(step.id)) for step in chain.steps
    )


def assumptions(chain: ChainSpec) -> list[dict[str, object]]:
    """The graph of what rests on what: every statement with its premises; those without any are trusted."""
    root = f"core {chain.core.name} says what is right"
    found: list[dict[str, object]] = [
        {"statement": root, "kind": "trusted", "rests_on": []},
        {"statement": "files are the ones hashed", "kind": "trusted", "rests_on": []},
    ]
    for row, step in zip(table(chain, {}), chain.steps):
        before = list(dict.fromkeys(call.model for call in step.calls))
        proofs = [f"{step.id}.gap <= {exact(row.tolerance)}"]
        proofs += [f"{step.id}.domain: sub-questions are in the questions of {' and '.join(before)}"] if before else []
        found += [
            {
                "statement": proof,
                "kind": "certified" if ".gap" in proof else "computed in rationals",
                "rests_on": ["files are the ones hashed"],
            }
            for proof in proofs
        ]
        premises = [*proofs, *(f"E({one})" for one in before), root]
        found.append({"statement": f"E({row.id})", "value": str(row.error), "kind": "composed", "rests_on": premises})
    return found
