"""Attacks that go on while the search does: a fixed share of the time, more starting points each round."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork
from verifier.attack.group import GroupAttack
from verifier.attack.pgd import Attempt
from verifier.attack.targets import Targets
from verifier.engine.deadline import Deadline, earliest

if TYPE_CHECKING:
    from verifier.engine.scheduler import CaseSearch

SHARE = 0.1  # of the time that has passed
FIRST_STARTS, MOST_STARTS = 48, 20_000
LONGEST = 1.0  # seconds of one attack


@dataclass(frozen=True)
class Attack:
    """Descent from ``count`` points of one case's box; self-contained, so that any process can run it."""

    network: ReluNetwork
    rows: Rows
    lower: np.ndarray
    upper: np.ndarray
    count: int
    seed: int
    stop_at: float
    deadline: Deadline

    def run(self) -> tuple[Attempt, float]:
        """The best point found and the seconds it took."""
        started = time.monotonic()
        targets = Targets.of([self.rows], [self.lower], [self.upper])
        until = earliest(self.deadline, Deadline.after(LONGEST))
        stop_at = np.array([self.stop_at])
        found = GroupAttack(self.network, targets, self.count, self.seed, stop_at, until).run()
        best = found[0][1] if found else Attempt((self.lower + self.upper) / 2, np.inf)
        return best, time.monotonic() - started


@dataclass(frozen=True, eq=False)
class JointAttack:
    """One attack on several cases, by their numbers; self-contained, so that any process can run it."""

    cases: tuple[int, ...]
    attack: GroupAttack

    @staticmethod
    def first(searches: Sequence[CaseSearch], cases: Iterable[int], seed: int, deadline: Deadline) -> JointAttack:
        """From few points; at least one case."""
        chosen = tuple(cases)
        found = [searches[k] for k in chosen]
        return JointAttack(chosen, GroupAttack(*_aim(found), FIRST_STARTS, seed, _stops(found), deadline))

    @staticmethod
    def again(
        searches: Sequence[CaseSearch],
        cases: Iterable[int],
        count: int,
        seed: int,
        deadline: Deadline,
        begin: Iterable[tuple[int, np.ndarray]] = (),
    ) -> JointAttack:
        """From ``count`` points, most of them for the cases that have come closest to failing.

        ``begin`` lists cases and points that are worth a descent: relaxed minimisers, say. Lasts LONGEST at most.
        """
        chosen = tuple(cases)
        found = [searches[k] for k in chosen]
        begins = [(chosen.index(k), point) for k, point in begin if k in chosen]
        until = earliest(deadline, Deadline.after(LONGEST))
        attained = np.array([case.attained for case in found])
        attack = GroupAttack(*_aim(found), count, seed, _stops(found), until, attained, begins)
        return JointAttack(chosen, attack)

    def run(self) -> tuple[list[tuple[int, Attempt]], float]:
        """The best point of each case that was seen, nearest to failing first, and the seconds it took."""
        started = time.monotonic()
        found = [(self.cases[k], attempt) for k, attempt in self.attack.run()]
        return found, time.monotonic() - started


def _aim(searches: Sequence[CaseSearch]) -> tuple[ReluNetwork, Targets]:
    """What all these searches are about."""
    rows = [case.explorer.rows for case in searches]
    targets = Targets.of(rows, [case.root.lower for case in searches], [case.root.upper for case in searches])
    return searches[0].explorer.network, targets


def _stops(searches: Sequence[CaseSearch]) -> np.ndarray:
    return np.array([case.stop_at for case in searches])


@dataclass
class Schedule:
    """When the next attack is due and how many starts it has.

    ``rounds`` counts attacks on single cases by case, ``done`` those on all together.
    """

    seed: int
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    rounds: dict[int, int] = field(default_factory=dict)
    done: int = 0

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

    def next_joint(self) -> tuple[int, int]:
        """Number of starts and seed of the next attack on all open cases."""
        self.done += 1
        return min(FIRST_STARTS * 4**self.done, MOST_STARTS), self.seed + self.done
