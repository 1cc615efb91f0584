"""One run of a comparison, and the two runs that answer the same question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import Row

SIDES = ("a", "b")
DECIDED = ("certified", "violated")


@dataclass(frozen=True)
class Side(Row):
    """A row of the comparison file: ``side`` is ``a`` or ``b``; ``turn`` is 1 for the side that ran first, else 2."""

    side: str
    turn: str

    @property
    def question(self) -> tuple[str, ...]:
        """The sides are told apart even where both run the same command, which shows what the noise is."""
        return (*super().question, self.side)

    @property
    def title(self) -> str:
        return f"{self.side}: {super().title}"

    @property
    def late(self) -> bool:
        """It decided, but beyond the time allowed: within the grace period that only serves to end it."""
        return self.verdict in DECIDED and float(self.seconds) > float(self.timeout)


@dataclass(frozen=True)
class Pair:
    """The runs of both sides on one instance."""

    a: Side
    b: Side

    @property
    def contradictory(self) -> bool:
        """One proved what the other refuted."""
        return {self.a.verdict, self.b.verdict} == set(DECIDED)

    def solved(self, side: str) -> bool:
        """The side decided in time, and nothing speaks against its verdict.

        That is a known answer, a certificate not accepted or, where no answer is known, the other side.
        """
        row: Side = getattr(self, side)
        disputed = self.contradictory and row.agrees == "na"
        return row.verdict in DECIDED and not (row.late or row.wrong or row.unproved or disputed)

    @property
    def both(self) -> bool:
        return self.solved("a") and self.solved("b")


def pairs(rows: Sequence[Side]) -> list[Pair]:
    """The instances that both sides ran, in the order of ``rows``; a run without its counterpart is left out."""
    found: dict[tuple[str, ...], dict[str, Side]] = {}
    for row in rows:
        found.setdefault((row.benchmark, row.model, row.spec, row.timeout), {})[row.side] = row
    return [Pair(**runs) for runs in found.values() if len(runs) == len(SIDES)]
