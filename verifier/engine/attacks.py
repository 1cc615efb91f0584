"""Attacks that go on while the search does: a fixed share of the time, more starting points each round."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from verifier.attack.group import GroupAttack
from verifier.attack.pgd import Attempt

SHARE = 0.1  # of the time that has passed
FIRST_STARTS, MOST_STARTS = 48, 20_000
LONGEST = 1.0  # seconds of one attack


def timed(attack: GroupAttack) -> tuple[list[tuple[int, Attempt]], float]:
    """What an attack found, and the seconds it took; here or in any process."""
    started = time.monotonic()
    return attack.run(), time.monotonic() - started


@dataclass
class Schedule:
    """When the next attack is due and how many starts it has; ``rounds`` counts attacks by case."""

    seed: int
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    rounds: dict[int, int] = field(default_factory=dict)

    @property
    def due(self) -> bool:
        return self.spent <= SHARE * (time.monotonic() - self.started)

    def next(self, attained: dict[int, float]) -> tuple[int, int, int]:
        """Case, number of starts and seed of the next attack, among open cases and their least attained values.

        The case that came closest to failing, and is not more rounds ahead than that is worth, comes first.
        """
        order = sorted(attained, key=lambda k: (self.rounds.get(k, 0) // 3, attained[k]))
        case = order[0]
        done = self.rounds.get(case, 0)
        self.rounds[case] = done + 1
        return case, min(FIRST_STARTS * 4 ** (done + 1), MOST_STARTS), self.seed + done + 1
