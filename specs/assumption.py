"""What a specification takes for granted, and of what kind that is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from specs.chain_claim import ChainClaim

Kind = Literal["declared", "checked", "monitored", "statistical"]


@dataclass(frozen=True)
class Assumption:
    """``requirement`` is the id of what establishes it in the same run, where it is ``checked``.

    ``overseer`` may be wrong by less than or exactly ``error`` in each of its answers, where an error is allowed for.
    ``of`` are the ids of the requirements that rest on it, all of them where it is empty. ``chain`` is the claim of a
    chain of models that establishes it, once that is checked.
    """

    id: str
    text: str
    kind: Kind
    requirement: str = ""
    overseer: str = ""
    error: Fraction = Fraction(0)
    of: tuple[str, ...] = ()
    chain: ChainClaim | None = None

    def concerns(self, id: str) -> bool:
        """Whether the requirement rests on it. None rests on itself."""
        return id != self.requirement and (not self.of or id in self.of)
