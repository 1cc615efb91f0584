"""Driving the searches by phases: one box after another, on several processes once it takes longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from verifier.attack.group import GroupAttack
from verifier.engine.attacks import FIRST_STARTS, MOST_STARTS, Schedule, timed
from verifier.engine.deadline import Deadline, earliest
from verifier.engine.explore import Budget
from verifier.engine.phases.group import Group
from verifier.engine.phases.moments import order_of, possible, query_of, seconds_of, try_moments
from verifier.engine.phases.rows import OutOfTime
from verifier.engine.phases.search import PhaseSearch
from verifier.engine.pool import process_pool
from verifier.engine.scheduler import CaseSearch, Progress, attack_on, confirmed

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from relaxations.multipliers import Multipliers
    from verifier.attack.pgd import Attempt

    Attacked = tuple[list[tuple[int, Attempt]], float]  # what an attack has seen, and its seconds

Moments = Literal["first", "later", "never"]
WORTH_SHARING = 6  # batches of rows: so many are worth another process
CHUNKS = 4  # of jobs for each process
ALONE = 0.5  # seconds one process searches before others are worth starting
SLICE = 2.0  # seconds of one part
BEGINNINGS = 16  # relaxed minimisers from which an attack descends
SHARE_BEFORE_MOMENTS = 0.3  # of the time, before Shor's relaxation is tried where the tree does not close
SHARE_OF_MOMENTS = 0.8  # of the time left then
NUMBERS = 1 << 40  # node numbers of one part


class Driver:
    """``found(case, point)`` judges a candidate violation; ``deadline()`` is when the search has to end.

    ``moments`` says whether Shor's relaxation is tried: before phases are split, after a while, or never.
    """

    def __init__(
        self,
        cases: list[CaseSearch],
        deadline: Callable[[], Deadline],
        workers: int,
        found: Callable[[int, np.ndarray], bool],
        report: Callable[[Progress], None],
        stop: Path,
        attacks: Schedule | None,
        moments: Moments = "never",
    ) -> None:
        self.cases, self.deadline, self.workers, self.found = cases, deadline, workers, found
        self.report, self.stop, self.attacks, self.moments = report, stop, attacks, moments
        self._pool: ProcessPoolExecutor | None = None
        self._rounds = self._parts = 0

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop.touch()  # explorations still at work see it and end
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def pool(self) -> ProcessPoolExecutor:
        """Other processes, started when they are first wanted."""
        if self._pool is None:
            self._pool = process_pool(self.workers)
        return self._pool

    def map(self, function: Callable[..., Any], jobs: list[Any]) -> Iterable[Any]:
        """``map`` over processes where there are jobs enough to share.

        Jobs go in chunks, because what they have in common, which is most of them, is sent but once with each.
        """
        if self.workers < 2 or len(jobs) < WORTH_SHARING:
            return map(function, jobs)
        return self.pool.map(function, jobs, chunksize=-(-len(jobs) // (CHUNKS * self.workers)))

    def run(self, group: Group, first_attack: Callable[[Group], bool]) -> bool:
        """Search until the group is closed or stuck or time is up; True when a violation was confirmed.

        What the cheap bounds of the root leave open is attacked (``first_attack``) before more is spent on proofs.
        """
        search = group.whole
        search.bounding.map = self.map
        try:
            search.start(lambda: self.deadline().over)
            if self._judge(group) or (search.unproved and first_attack(group)):
                return True
            if search.unproved and search.bounding.symbols and not search.bounding.joint:
                return self._run_halves(group)
            search.deepen()
        except OutOfTime:
            return False
        if self._judge(group):
            return True
        if self.moments == "first" and search.open:
            self._lift(search)
        elif self.moments == "later" and search.open and self._affordable(search):
            if self._search_until(group, Deadline.after(SHARE_BEFORE_MOMENTS * self.deadline().remaining)):
                return True
            if search.open:
                self._lift(search)
        return self._search_until(group, Deadline(np.inf))

    def _search_until(self, group: Group, until: Deadline) -> bool:
        """Split in this process for a while, then in all of them; True when a violation was confirmed."""
        search = group.whole
        alone = Deadline.after(ALONE if self._pool is None else 0.0)
        while search.open and not (self.deadline().over or until.over or (self.workers > 1 and alone.over)):
            end = self.deadline()  # asked for once: it adds up what all open nodes hold
            pause = earliest(end, until, Deadline.after(ALONE / 4))
            search.run(lambda pause=pause: pause.over, lambda end=end: end.over)  # type: ignore[misc]
            if self._judge(group):
                return True
            due = self.attacks is not None and self.attacks.due and not self.deadline().over
            if due and self._judge_attack(group, *timed(self._next_attack(group))):
                return True
        if search.open and not (self.deadline().over or until.over):
            return self._run_parallel(group, until)
        return self._judge(group)

    def _affordable(self, search: PhaseSearch) -> bool:
        """Whether Shor's relaxation of every open case takes but a share of the time.

        Not where zonotopes are cut in parts: whether it pays beside these has not been measured.
        """
        [root] = search.open
        if not (search.bounding.dense and possible(root)):
            return False
        seconds = len(root.pending) * seconds_of(order_of(root)) / self.workers
        return seconds < SHARE_OF_MOMENTS * self.deadline().remaining

    def _lift(self, search: PhaseSearch) -> None:
        """Prove cases at the root by Shor's relaxation, those first that came closest to a violation.

        It ends where one of them has no such proof: the tree has to be searched then, and proves the others on the way.
        """
        assert search.root is not None
        root, _ = search.root
        if not possible(root):
            return
        seen = search.seen.worst
        pending = sorted(search.cases_left, key=lambda case: seen[case][0] if case in seen else np.inf)
        until = Deadline.after(SHARE_OF_MOMENTS * self.deadline().remaining)
        proved: dict[int, Multipliers] = {}
        hopeless = False
        while pending and not hopeless and not until.over:
            now, pending = pending[: self.workers], pending[self.workers :]
            jobs = [self._submit(try_moments, query_of(search.bounding, root, case), until) for case in now]
            tried = [job.result() for job in jobs]
            proved |= {case: one.dual for case, one in zip(now, tried) if one.dual is not None}
            hopeless = any(one.hopeless for one in tried)
        search.lifted(proved)

    def _run_halves(self, group: Group) -> bool:
        """Cut the box in halves, and halves of these, and search each of them by phases before it is cut further."""
        waiting: list[tuple[int, PhaseSearch]] = []
        running: dict[Future[PhaseSearch], int] = {}
        attacking: set[Future[Attacked]] = set()
        self._halve(group, 0, waiting)
        while (waiting or running) and not self.deadline().over:
            while waiting and len(running) < self.workers:
                part, search = waiting.pop()
                running[self._submit(_search_part, search, Budget(self.deadline(), 0, self.stop))] = part
            if self._await(group, running, attacking):
                return True
            for part_done in [future for future in running if future.done()]:
                part, search = running.pop(part_done), part_done.result()
                group.seen.merge(search.seen)
                if search.count:
                    group.searches[part] = search
                if search.unproved and not self.deadline().over:
                    self._halve(group, part, waiting)
            if self._judge(group):
                return True
        return False

    def _halve(self, group: Group, part: int, waiting: list[tuple[int, PhaseSearch]]) -> None:
        """Cut a part by the input that loosens the relaxation of its worst node most, if any does."""
        search = group.searches[part]
        worst = min(search.unproved, key=lambda node: node.bound)
        share = search.bounding.loosened(worst)
        dim = int(share.argmax())
        if share[dim] > 0:
            waiting += zip(group.halve(part, dim), search.halves(dim))

    def _submit(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have it done by another process, or here and now where there is to be no other."""
        if self.workers > 1:
            return self.pool.submit(function, *given)
        from concurrent.futures import Future

        done: Future[Any] = Future()
        done.set_result(function(*given))
        return done

    def _await(self, group: Group, running: Collection[Future[PhaseSearch]], attacking: set[Future[Attacked]]) -> bool:
        """Begin an attack if one is due, and wait for anything to end; whether an attack has found a violation."""
        from concurrent.futures import FIRST_COMPLETED, wait

        if self.attacks is not None and not attacking and self.attacks.due:
            attacking.add(self._submit(timed, self._next_attack(group)))
        wait([*running, *attacking], timeout=max(0.0, self.deadline().remaining), return_when=FIRST_COMPLETED)
        for future in [future for future in attacking if future.done()]:
            attacking.discard(future)
            if self._judge_attack(group, *future.result()):
                return True
        return False

    def _run_parallel(self, group: Group, until: Deadline) -> bool:
        from concurrent.futures import wait

        search, pool = group.whole, self.pool
        running: dict[Future[PhaseSearch], PhaseSearch] = {}  # and the parts as they were handed over
        attacking: set[Future[Attacked]] = set()
        while not (self.deadline().over or until.over):
            while len(running) < self.workers and search.open:
                share = max(1, len(search.open) // (2 * self.workers))
                self._parts += 1
                part = search.part(search.open[-share:], self._parts * NUMBERS)
                slice_ends = Deadline.after(SLICE if len(search.open) else SLICE / 8)
                running[pool.submit(_explore, part, slice_ends, Budget(self.deadline(), 0, self.stop))] = part
            if not running:
                return False
            if self._await(group, running, attacking):
                return True
            for part_done in [future for future in running if future.done()]:
                del running[part_done]
                search.merge(part_done.result())
            if self._judge(group):
                return True
        wait(running, timeout=max(SLICE, self.deadline().remaining))  # they see the same deadline
        for future, part in running.items():
            search.merge(future.result() if future.done() else part)
        return False

    def _next_attack(self, group: Group) -> GroupAttack:
        """From more points each time, and from the relaxed minimisers that came closest to a violation."""
        self._rounds += 1
        cases = [self.cases[k] for k in group.cases]
        attained = np.array([case.attained for case in cases])
        seen = sorted(group.seen.worst.items(), key=lambda entry: entry[1][0])[:BEGINNINGS]
        begin = [(position, point) for position, (_, point) in seen]
        count = min(FIRST_STARTS * 2**self._rounds, MOST_STARTS)
        return attack_on(cases, count, self._rounds, self.deadline(), attained, begin)

    def _judge_attack(self, group: Group, found: list[tuple[int, Attempt]], seconds: float) -> bool:
        """Whether an attack has found a confirmed violation."""
        assert self.attacks is not None
        self.attacks.spent += seconds
        return confirmed(found, self.cases, group.cases, self.found)

    def _judge(self, group: Group) -> bool:
        """Pass on what the search has seen; whether one of its points is a confirmed violation."""
        group.seen.merge(group.whole.seen)
        for position, (value, point) in group.seen.worst.items():
            k = group.cases[position]
            if self.cases[k].judge(value, point) and self.found(k, point):
                return True
        self.cases[group.cases[0]].nodes = group.nodes  # one tree for all of them
        attained = min(self.cases[k].attained for k in group.cases)
        self.report(Progress(attained, group.bound, len(group.unproved), group.nodes))
        return False


def _search_part(search: PhaseSearch, budget: Budget) -> PhaseSearch:
    """Bound a part, then split phases in it for as long as that took: cutting it takes about twice as long."""
    began = time.monotonic()
    try:
        search.start(lambda: budget.over)
        search.deepen()
    except OutOfTime:
        return search
    until = Deadline.after(time.monotonic() - began)
    search.run(lambda: until.over or budget.over, lambda: until.over or budget.over)
    return search


def _explore(part: PhaseSearch, slice_ends: Deadline, budget: Budget) -> PhaseSearch:
    part.run(lambda: slice_ends.over or budget.over, lambda: budget.over)
    return part
