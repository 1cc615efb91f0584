"""What is said about a parameter that was solved for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.language.gates import exactly
from specs.language.text.decimals import exact
from specs.solved import Solved
from verifier.engine.outcome import Verdict


@dataclass(frozen=True)
class Tried:
    """One value that was asked about."""

    value: Fraction
    verdict: Verdict
    seconds: float


@dataclass(frozen=True)
class Solution:
    """``proved`` is the best value with a certificate, ``refuted`` the best one with a witness, None without any.

    ``witness`` is the file of the latter, if it is kept; ``why`` says why the two are further apart than the
    resolution, where they are. ``as_they_are``: with the errors of overseers that are allowed for the value is not
    proved any more; the bracket is about the overseers without any.
    """

    wanted: Solved
    proved: Fraction | None
    refuted: Fraction | None
    tried: tuple[Tried, ...]
    witness: Path | None = None
    why: str = ""
    as_they_are: bool = False

    @property
    def bracket(self) -> str:
        """Both ends, the lower one first."""
        ends = [
            (value, f"{exactly(value)} {word}")
            for value, word in ((self.refuted, self._refuted_word), (self.proved, "proved"))
            if value is not None
        ]
        told = ", ".join(text for _, text in sorted(ends, key=lambda end: end[0]))
        return f"{self.wanted.name} in [{told}]" if told else f"{self.wanted.name}: nothing proved, nothing refuted"

    @property
    def _refuted_word(self) -> str:
        return "refuted" if self.wanted.maximize else "attained"

    @property
    def sentence(self) -> str:
        """What the bracket means, and what it does not."""
        wanted, name = self.wanted, self.wanted.name
        best = "LARGEST" if wanted.maximize else "SMALLEST"
        whose = " OF THE OVERSEERS AS THEY ARE" if self.as_they_are else ""
        told = f"SOLVED FOR THE {best} {name}{whose}: {self.bracket}"
        if not wanted.is_monotone:
            told += f"; both are about these values alone: that there is an order among all {name} does not follow"
        elif self.proved is not None and self.refuted is not None:
            beyond = ">=" if wanted.maximize else "<="
            told += f"; at every {name} {beyond} {exactly(self.refuted)} of the range an input breaks it"
        elif self.proved is None and self.refuted == self._easy_end:
            told += f"; the input given breaks it for every {name} of the range"
        told += "; with the errors that are allowed for, the value is not proved" if self.as_they_are else ""
        return told + (f" ({self.why})" if self.why else "") + "."

    @property
    def _easy_end(self) -> Fraction | None:
        return self.wanted.lower if self.wanted.maximize else self.wanted.upper

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        range_ = "the values tried only; no order among them is known" if not self.wanted.is_monotone else ""
        resolution = f"wider than {exact(self.wanted.resolution)}: {self.why}" if self.why else ""
        bracket = self.bracket.removeprefix(f"{self.wanted.name} in ")
        whose = "of the overseers as they are: with the errors allowed for it is not proved" if self.as_they_are else ""
        return [(self.wanted.name, bracket), ("", whose), ("", range_), ("", resolution)]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.wanted.name,
            "proved": None if self.proved is None else str(self.proved),
            "refuted": None if self.refuted is None else str(self.refuted),
            "wanted": "largest" if self.wanted.maximize else "smallest",
            "resolution": str(self.wanted.resolution),
            "monotone": self.wanted.is_monotone,
            "witness": str(self.witness) if self.witness is not None else None,
            "why": self.why,
            "overseers_as_they_are": self.as_they_are,
            "tried": [{"value": str(one.value), "verdict": one.verdict, "seconds": one.seconds} for one in self.tried],
        }
