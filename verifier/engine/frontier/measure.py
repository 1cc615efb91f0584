"""Running every relaxation on one question, each for an equal share of the time that is left."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from relaxations.base import Query, Relaxation, Solution
from relaxations.enumeration import Enumeration, Grid
from relaxations.lowering import lower
from relaxations.registry import relaxations
from specs.errors import CertificateError, CertifyError, ModelError
from specs.problem import Problem
from verifier import soundness
from verifier.attack.group import GroupAttack
from verifier.attack.targets import Targets
from verifier.certificate.checking import CheckerProcess
from verifier.certificate.sources import sources
from verifier.engine.deadline import Deadline, earliest
from verifier.engine.frontier.judge import Judge
from verifier.engine.frontier.listing import Listing
from verifier.engine.frontier.proofs import trees_of
from verifier.engine.frontier.roots import Root, queries_of, roots_of
from verifier.engine.frontier.rows import Attacked, Frontier, Row
from verifier.engine.phases.rows import OutOfTime
from verifier.interruption import Stopped
from verifier.places import SUFFIX
from verifier.soundness import SoundnessError

STARTS = 400  # of the descents on one case
ROUNDED = 16  # inputs tried for each relaxed action
SOLVING_SHARE = 0.7  # of the time, where a proof is a search of its own
PROVED_SHARE = 0.5  # of a margin is what a search over phases has to prove
ATTACK = "pgd"
TOLERANCE = 1e-4  # of a value; the coarsest of the solvers'


@runtime_checkable
class Prover(Protocol):
    """A relaxation whose optimum is one search, and a proof of a part of it another one, which is easier."""

    def prove(self, seconds: float, enough: float) -> Solution[Any, Any]:
        """A dual that proves ``enough`` or less, if one is found in time: its value tells."""
        ...


@dataclass(frozen=True)
class Asked:
    """One requirement: its problem and the files it is from (``query``: a VNN-LIB file or None), its ``id`` and claim.

    With ``grid`` inputs take only so many equally spaced values of their intervals.
    """

    problem: Problem
    model: Path | None
    query: Path | None
    id: str
    claim: str
    grid: int | None = None


def measure(
    asked: Asked, names: Sequence[str], deadline: Deadline, folder: Path, producer: dict[str, str], seed: int = 0
) -> Frontier:
    """The frontier of one requirement by the relaxations named; certificates stay in ``folder``.

    What the time or an interruption does not allow is a note in its row. Raises ``CertifyError`` for a model that
    cannot be lowered, ``SoundnessError`` where an attack breaks what was proved.
    """
    try:
        network = lower(asked.problem.graph)
    except ModelError as error:
        raise ModelError(error.message, asked.model) from None
    if asked.grid is not None and any(case.ball is not None for case in asked.problem.cases):
        raise CertifyError("a grid of inputs is made of a box alone, and the set of inputs has a ball")
    started = time.monotonic()
    try:
        roots = roots_of(asked.problem, network, lambda: deadline.over)
        run = _Run(asked, roots, deadline, folder, seed, time.monotonic() - started)
    except (OutOfTime, Stopped) as stop:
        rows = tuple(Row(name, note="the time was over before the ranges of the neurons were known") for name in names)
        sizes = (network.input_size, sum(network.widths[1:]), 0, len(asked.problem.cases))
        spent = time.monotonic() - started
        reason = stop.reason if isinstance(stop, Stopped) else ""
        return Frontier(asked.id, asked.claim, "", *sizes, spent, Attacked(), -math.inf, 0.0, rows, reason)
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=folder) as scratch:
        bound_to = sources(asked.problem, asked.model, asked.query, Path(scratch))
        with CheckerProcess.start(bound_to.model_file, bound_to.query_file, 1) as checker:
            run.go(names, Judge(checker, bound_to, asked.claim, producer, Path(scratch)), Path(scratch))
    return run.frontier()


class _Run:
    """The rows as they come."""

    def __init__(
        self,
        asked: Asked,
        roots: tuple[Root, ...],
        deadline: Deadline,
        folder: Path,
        seed: int,
        ranges_seconds: float,
    ) -> None:
        self.asked, self.roots, self.deadline, self.seed = asked, roots, deadline, seed
        self.folder = self.scratch = folder
        self.queries = tuple(queries_of(roots))
        self.numbers = [k for root in roots for k in root.cases]
        boxes = [(root.bounding.lower, root.bounding.upper) for root in roots for _ in root.cases]
        grids = {(l.tobytes(), u.tobytes()): Grid(l, u, asked.grid) for l, u in boxes} if asked.grid else {}
        self.grids = [grids.get((l.tobytes(), u.tobytes())) for l, u in boxes]
        self.ranges_seconds = ranges_seconds
        self.attack, self.descent, self.descent_seconds = Attacked(), -math.inf, 0.0
        self.rows: list[Row] = []
        self.stopped = ""

    def go(self, names: Sequence[str], judge: Judge, scratch: Path) -> None:
        """The attack and then one relaxation after the other; a checker that is of no use is told in every row.

        Files are in ``scratch`` until they are judged.
        """
        self.scratch = scratch
        try:
            self._descend(Deadline.after(self.deadline.remaining / (len(names) + 1)))
            unusable = ""
            try:
                judge.ready(len(self.queries), Deadline.after(self.deadline.remaining / 2))
            except CertificateError as error:
                unusable = str(error)
            for number, name in enumerate(names):
                until = Deadline.after(self.deadline.remaining / (len(names) - number))
                row = self._row(name, until, None if unusable else judge)
                self.rows.append(replace(row, note=_joined(row.note, unusable)) if row.measured else row)
        except Stopped as stop:
            self.stopped = stop.reason
            self.rows += [Row(name, note=stop.reason) for name in names[len(self.rows) :]]

    def frontier(self) -> Frontier:
        """All of it. Raises ``SoundnessError`` where an input breaks what the checker has accepted a proof of."""
        proved = [row for row in self.rows if row.checked_by == "checker"]
        if proved and self.attack.score > soundness.TOLERANCE * (1 + abs(proved[0].value)):
            found = f"an input of score {self.attack.score!r} was found by {self.attack.by}"
            raise SoundnessError(f"requirement {self.asked.id}: proved by {proved[0].relaxation}, but {found}")
        query = self.queries[0]
        steps = self.asked.grid
        domain = f"the grid of {steps} values of every input that varies" if steps else "all inputs of the set"
        return Frontier(
            self.asked.id,
            self.asked.claim,
            domain,
            query.network.input_size,
            sum(query.network.widths[1:]),
            max(q.count_unstable for q in self.queries),
            len(self.queries),
            self.ranges_seconds,
            self.attack,
            self.descent,
            self.descent_seconds,
            tuple(sorted(map(self._doubted, self.rows), key=lambda row: -row.value if row.measured else math.inf)),
            self.stopped,
        )

    def _doubted(self, row: Row) -> Row:
        """With a note where an input scores more than a row's value, by more than a solver's tolerance."""
        exceeded = row.measured and self.attack.score > row.value + TOLERANCE * (1 + abs(row.value))
        return replace(row, note=_joined(row.note, "CONTRADICTED: an input scores more")) if exceeded else row

    def _row(self, name: str, until: Deadline, judge: Judge | None) -> Row:
        if until.over:
            return Row(name, note="the time was over")
        try:
            kind = relaxations.get(name)
        except ImportError as error:
            return Row(name, note=f"not available: {error}")
        declined = next(filter(None, map(self._declines(kind), range(len(self.queries)))), "")
        if declined:
            return Row(name, note=f"declines: {declined}")
        try:
            return self._measured(name, kind, until, judge)
        except CertifyError as error:
            return Row(name, note=str(error))

    def _declines(self, kind: type[Relaxation[Any, Any]]) -> Any:
        def of(place: int) -> str:
            grid = self.grids[place]
            if grid is not None and issubclass(kind, Enumeration):
                return kind.declines(self.queries[place], grid.count)
            return kind.declines(self.queries[place])

        return of

    def _made(self, kind: type[Relaxation[Any, Any]], place: int) -> Relaxation[Any, Any]:
        grid = self.grids[place]
        if grid is not None and issubclass(kind, Enumeration):
            return kind(self.queries[place], grid.points)
        return kind(self.queries[place])

    def _measured(self, name: str, kind: type[Relaxation[Any, Any]], until: Deadline, judge: Judge | None) -> Row:
        """Solve every case and round its best action; then write the proof, if all of them are proved."""
        solved: list[tuple[Relaxation[Any, Any], Solution[Any, Any]]] = []
        seconds = attack_seconds = 0.0
        attack = -math.inf
        to_solve = Deadline.after((SOLVING_SHARE if issubclass(kind, Prover) else 1.0) * until.remaining)
        for place in range(len(self.queries)):
            started = time.monotonic()
            relaxation = self._made(kind, place)
            share = to_solve.remaining / (len(self.queries) - place)
            solution = relaxation.solve(max(share, 0.0))
            rounding = time.monotonic()
            seconds += rounding - started
            if solution.action is not None:
                attack = max(attack, self._rounded(name, relaxation, solution.action, place))
            attack_seconds += time.monotonic() - rounding
            solved.append((relaxation, solution))
        values = tuple(solution.value for _, solution in solved)
        row = Row(name, max(values), seconds, attack, attack_seconds, values=values)
        if np.isnan(values).any() or row.value == math.inf:
            return replace(row, value=math.nan, note="its solver has found no bound in its share of the time")
        relaxation, worst = solved[int(np.argmax(values))]
        exploited = None if worst.action is None else len(relaxation.tighten(worst.action))
        late = "" if all(solution.finished for _, solution in solved) else "out of time: the best bound so far"
        row = replace(row, exploited=exploited, note=late)
        if isinstance(relaxation, Enumeration):
            return self._listed(row, solved)
        return self._proved(row, solved, until, judge) if row.value < 0 and judge is not None else row

    def _proved(
        self, row: Row, solved: Sequence[tuple[Relaxation[Any, Any], Solution[Any, Any]]], until: Deadline, judge: Judge
    ) -> Row:
        """The row with its certificate."""
        started = time.monotonic()
        proved = []
        for relaxation, solution in solved:
            dual = solution.dual
            if isinstance(relaxation, Prover):
                enough = PROVED_SHARE * solution.value
                found = relaxation.prove(max(until.remaining, 0.0), enough)
                if found.dual is not None and found.value <= enough:
                    dual = found.dual
                elif dual is None:
                    return replace(row, note=_joined(row.note, "the value is the solver's word: no tree in time"))
            if dual is None:
                return replace(row, note=_joined(row.note, "without a dual"))
            proved.append((relaxation, dual))
        by_root, at = [], 0
        for root in self.roots:
            by_root.append(proved[at : at + len(root.cases)])
            at += len(root.cases)
        trees = trees_of(row.relaxation, self.roots, by_root, judge.numbers)
        row = replace(row, seconds=(row.seconds or 0.0) + time.monotonic() - started)
        if trees is None:
            return replace(row, note=_joined(row.note, "no certificate: there is no rule for its duals"))
        found_at = self.folder / f"{self.asked.id}.{row.relaxation}{SUFFIX}"
        judged = judge.judged(trees, found_at, earliest(until, self.deadline))
        if judged.refused:
            return replace(row, note=_joined(row.note, f"no certificate: {judged.refused}"))
        return replace(
            row,
            bytes=judged.bytes,
            proof_bytes=judged.proof_bytes,
            check_seconds=judged.seconds,
            checked_by="checker",
            file=judged.path,
        )

    def _listed(self, row: Row, solved: Sequence[tuple[Relaxation[Any, Any], Solution[Any, Any]]]) -> Row:
        """The row with the list of all inputs, read and evaluated again."""
        name = f"{self.asked.id}.{row.relaxation}.csv"
        path = self.scratch / name
        listing = Listing([(r, s.dual) for r, s in solved if isinstance(r, Enumeration)])
        listing.write(path)
        started = time.monotonic()
        again = listing.read(path)
        spent = time.monotonic() - started
        note = _joined(row.note, f"{listing.count} inputs listed")
        return replace(
            row,
            value=again,
            bytes=path.stat().st_size,
            proof_bytes=path.stat().st_size,
            check_seconds=spent,
            checked_by="evaluation",
            file=path.replace(self.folder / name),
            note=note,
        )

    def _descend(self, until: Deadline) -> None:
        started = time.monotonic()
        for place, query in enumerate(self.queries):
            share = Deadline.after(until.remaining / (len(self.queries) - place))
            targets = Targets.of([query.rows], [query.lower], [query.upper], [query.ball])
            found = GroupAttack(query.network, targets, STARTS, self.seed, np.array([-np.inf]), share).run()
            self._seen(ATTACK, place, np.stack([attempt.point for _, attempt in found]) if found else query.lower[None])
        self.descent, self.descent_seconds = self.attack.score, time.monotonic() - started

    def _rounded(self, name: str, relaxation: Relaxation[Any, Any], action: Any, place: int) -> float:
        rng = np.random.default_rng(self.seed)
        return self._seen(name, place, relaxation.round(action, rng, ROUNDED))

    def _seen(self, by: str, place: int, points: np.ndarray) -> float:
        """The best score of real inputs (B, n), moved into the domain; remembered if none was better."""
        query, grid = self.queries[place], self.grids[place]
        inside = query.moved_inside(points)
        inside = inside if grid is None else grid.nearest(inside)
        scores = _score(query, inside)
        best = int(np.argmax(scores))
        if scores[best] > self.attack.score:
            self.attack = Attacked(float(scores[best]), by, self.numbers[place], tuple(inside[best].tolist()))
        return float(scores[best])


def _score(query: Query, points: np.ndarray) -> np.ndarray:
    scores = query.score(points)
    return np.where(np.isnan(scores), -np.inf, scores)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
