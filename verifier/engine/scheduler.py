"""Sharing the search over processes: which open boxes are explored next, by whom, and what came back.

Work is handed out through the ``concurrent.futures.Executor`` interface, so that a cluster's executor would serve as
well as the process pool used here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relaxations.bounds.balls import name_of
from verifier.attack.group import GroupAttack
from verifier.attack.targets import Targets
from verifier.engine.attacks import LONGEST, Schedule, timed
from verifier.engine.deadline import Deadline, earliest
from verifier.engine.explore import Budget, Exploration, Explorer
from verifier.engine.pieces import Pieces
from verifier.engine.pool import process_pool

if TYPE_CHECKING:
    from concurrent.futures import Future

    from verifier.attack.pgd import Attempt

ALONE = 0.15  # seconds one process searches before others are worth starting
SLICE = 0.4  # seconds of one exploration
GROUP = 64  # boxes explored together
NODES = 1 << 20  # of one exploration


@dataclass(frozen=True, eq=False)
class Place:
    """An open box and where its piece belongs: (piece, index among that piece's open places), None for the root.

    ``bound``: the best row is proved to be at least this on the box (up to search precision).
    """

    at: tuple[int, int] | None
    lower: np.ndarray
    upper: np.ndarray
    bound: float = -np.inf


def boxes_of(places: list[Place]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper (B, inputs) of at least one place."""
    return np.stack([place.lower for place in places]), np.stack([place.upper for place in places])


@dataclass
class CaseSearch:
    """The state of one case's search; what is being explored elsewhere is ``running``."""

    explorer: Explorer
    root: Place
    waiting: list[Place] = field(init=False)
    pieces: Pieces = field(default_factory=Pieces)
    running: list[Place] = field(default_factory=list)
    stuck: list[Place] = field(default_factory=list)
    nodes: int = 0
    held: int = 0  # bytes of tree and open boxes, about
    attained: float = np.inf
    point: np.ndarray | None = None
    stop_at: float = 0.0

    def __post_init__(self) -> None:
        self.waiting = [self.root]

    @property
    def inputs(self) -> bytes:
        """Equal for cases about the same inputs."""
        return name_of(self.root.lower, self.root.upper, self.explorer.ball)

    @property
    def open(self) -> list[Place]:
        return [*self.waiting, *self.running, *self.stuck]

    @property
    def closed(self) -> bool:
        return not self.open

    def take(self, count: int) -> list[Place]:
        """The newest open boxes, so that few stay open."""
        taken, self.waiting = self.waiting[-count:], self.waiting[:-count]
        return taken

    def see(self, value: float, point: np.ndarray) -> None:
        """Remember an evaluated point if it is the worst so far."""
        if value < self.attained:
            self.attained, self.point = value, point

    def judge(self, value: float, point: np.ndarray) -> bool:
        """See a point; whether it is a new candidate violation."""
        self.see(value, point)
        return self.candidate()

    def candidate(self) -> bool:
        """Whether a new candidate violation was seen; the next one has to be clearly lower."""
        if self.attained > self.stop_at:
            return False
        self.stop_at = self.attained - 1e-6 * (1 + abs(self.attained))
        return True

    def put_back(self, places: list[Place], seen: Exploration) -> None:
        """Store the pieces an exploration found and queue what it left open."""
        start = 0
        for place, words in zip(places, seen.pieces, strict=True):
            piece = self.pieces.add(words, place.at)
            for index in range(len(self.pieces.children[piece])):
                i = start + index
                following = Place((piece, index), seen.open_lower[i], seen.open_upper[i], seen.proved)
                (self.stuck if seen.stuck[i] else self.waiting).append(following)
            start += len(self.pieces.children[piece])
            self.held += words.nbytes
        self.held += 4 * seen.open_lower.nbytes  # a place with two arrays costs about as much again
        self.nodes += seen.nodes
        self.see(seen.attained, seen.point)


def attack_on(
    cases: Sequence[CaseSearch],
    count: int,
    seed: int,
    deadline: Deadline,
    attained: np.ndarray | None = None,
    begin: Sequence[tuple[int, np.ndarray]] = (),
) -> GroupAttack:
    """A short attack on several cases at once (see GroupAttack), each below what has been seen of it so far."""
    boxes = [case.root.lower for case in cases], [case.root.upper for case in cases]
    targets = Targets.of([case.explorer.rows for case in cases], *boxes, [case.explorer.ball for case in cases])
    stop_at = np.array([case.stop_at for case in cases])
    until = earliest(deadline, Deadline.after(LONGEST))
    return GroupAttack(cases[0].explorer.network, targets, count, seed, stop_at, until, attained, begin)


def confirmed(
    attempts: Sequence[tuple[int, Attempt]],
    cases: Sequence[CaseSearch],
    attacked: Sequence[int],
    found: Callable[[int, np.ndarray], bool],
) -> bool:
    """Whether ``found(case, point)`` confirms one of the attempts, each on the case number ``attacked[position]``."""
    return any(
        cases[attacked[position]].judge(attempt.value, attempt.point) and found(attacked[position], attempt.point)
        for position, attempt in attempts
    )


@dataclass(frozen=True)
class Progress:
    """What a progress line shows: best row's least attained value, least proved one, open boxes, nodes."""

    attained: float
    proved: float
    open: int
    nodes: int


def search(
    cases: list[CaseSearch],
    deadline: Callable[[], Deadline],
    workers: int,
    found: Callable[[int, np.ndarray], bool],
    report: Callable[[Progress], None],
    folder: Path,
    attacks: Schedule | None,
) -> None:
    """Explore until every case is closed or stuck, ``found`` confirms a violation, or the deadline passes.

    ``folder`` is a place for a temporary file. ``found(case, point)`` judges a candidate; when it says no, the search
    goes on below the value it has seen.
    """
    alone = Deadline.after(ALONE)
    for k, case in enumerate(cases):
        while case.waiting and not deadline().over:
            until = deadline() if workers < 2 else earliest(deadline(), alone)
            if until.over:
                break
            places = case.take(GROUP)
            seen = _explore(case, places, Budget(earliest(until, Deadline.after(SLICE)), NODES))
            case.put_back(places, seen)
            report(_progress(cases))
            if case.candidate() and found(k, seen.point):
                return
            due = attacks is not None and workers < 2 and attacks.due and not deadline().over
            if due and _attack(cases, attacks, deadline(), found):
                return
    if workers > 1 and any(case.waiting for case in cases) and not deadline().over:
        _search_parallel(cases, deadline, workers, found, report, folder / "stop", attacks)


def _search_parallel(
    cases: list[CaseSearch],
    deadline: Callable[[], Deadline],
    workers: int,
    found: Callable[[int, np.ndarray], bool],
    report: Callable[[Progress], None],
    stop: Path,
    attacks: Schedule | None,
) -> None:
    """``stop`` is made when the search is over: explorations still at work see it and end."""
    from concurrent.futures import FIRST_COMPLETED, wait

    running: dict[Future[Exploration], tuple[int, list[Place]]] = {}
    attacking: dict[Future[tuple[list[tuple[int, Attempt]], float]], int] = {}
    pool = process_pool(workers)
    try:
        while not deadline().over:
            while len(running) < workers + 1 and any(case.waiting for case in cases):
                k = max(range(len(cases)), key=lambda k: len(cases[k].waiting))
                case = cases[k]
                places = case.take(int(np.clip(len(case.waiting) // (2 * workers), 1, GROUP)))
                case.running += places
                budget = Budget(earliest(deadline(), Deadline.after(SLICE)), NODES, stop)
                lower, upper = boxes_of(places)
                running[pool.submit(case.explorer.explore, lower, upper, budget, case.stop_at)] = (k, places)
            if not running:
                return
            if attacks is not None and not attacking and attacks.due:
                k, count, seed = attacks.next({k: case.attained for k, case in enumerate(cases) if not case.closed})
                attacking[pool.submit(timed, attack_on([cases[k]], count, seed, deadline()))] = k
            done, _ = wait([*running, *attacking], timeout=max(0.0, deadline().remaining), return_when=FIRST_COMPLETED)
            for future in done & attacking.keys():
                k = attacking.pop(future)
                attempts, seconds = future.result()
                attacks.spent += seconds
                if confirmed(attempts, cases, [k], found):
                    return
            for future in done & running.keys():
                k, places = running.pop(future)
                seen = future.result()
                cases[k].running = [place for place in cases[k].running if place not in places]
                cases[k].put_back(places, seen)
                if cases[k].candidate() and found(k, seen.point):
                    return
            report(_progress(cases))
    finally:
        stop.touch()
        pool.shutdown(wait=False, cancel_futures=True)
        for case in cases:
            case.waiting, case.running = case.waiting + case.running, []


def _attack(
    cases: list[CaseSearch], attacks: Schedule, deadline: Deadline, found: Callable[[int, np.ndarray], bool]
) -> bool:
    """One attack of the schedule, here; whether it found a violation."""
    attained = {k: case.attained for k, case in enumerate(cases) if not case.closed}
    if not attained:
        return False
    k, count, seed = attacks.next(attained)
    attempts, seconds = timed(attack_on([cases[k]], count, seed, deadline))
    attacks.spent += seconds
    return confirmed(attempts, cases, [k], found)


def _explore(case: CaseSearch, places: list[Place], budget: Budget) -> Exploration:
    lower, upper = boxes_of(places)
    return case.explorer.explore(lower, upper, budget, case.stop_at)


def _progress(cases: list[CaseSearch]) -> Progress:
    return Progress(
        min((case.attained for case in cases), default=np.inf),
        min((place.bound for case in cases for place in case.open), default=np.inf),
        sum(len(case.waiting) for case in cases),
        sum(case.nodes for case in cases),
    )
