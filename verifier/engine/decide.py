"""Deciding one requirement: attack and proof in turn, evidence checked before a word is said."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from relaxations.pairing import Pair, pairs_of
from specs.errors import CertificateError, ModelError, UnsupportedOpError
from specs.problem import Case, Problem
from verifier.attack.group import FIRST_POINTS
from verifier.attack.witness import inside, replay
from verifier.certificate.checking import CheckerProcess
from verifier.certificate.sources import Sources, sources
from verifier.engine.attacks import FIRST_STARTS, Schedule
from verifier.engine.beginning import search_of
from verifier.engine.deadline import Deadline, earliest
from verifier.engine.evidence import Accepted, Evidence, hand_over
from verifier.engine.linear import LEAST_SECONDS, MOST_SECONDS, climb_from_optimum, open_nodes, possible, seconds_kept
from verifier.engine.outcome import Attack, Outcome, RelaxedAttack, Verdict
from verifier.engine.phases.bounding import JOINT, Bounding
from verifier.engine.phases.drive import Driver, Moments
from verifier.engine.phases.group import Group
from verifier.engine.phases.rows import OutOfTime
from verifier.engine.phases.search import PhaseSearch, target_of
from verifier.engine.phases.store import Store
from verifier.engine.phases.tier import tier
from verifier.engine.scheduler import CaseSearch, Progress, attack_on, boxes_of, confirmed, search
from verifier.engine.unknown import Left
from verifier.interruption import Stopped

ATTACK_SECONDS = 0.6  # at first, for all cases together
ATTACK_SHARE = 0.1  # of the time, for all cases together
CLIMBING_SECONDS = 3.0
SPARSE_NETWORK = 0.1  # density of weights up to which many cheap boxes beat few well bounded ones
SPLIT_UP_TO = 128  # inputs; with more of them ReLU phases are split instead
HEAVY = 1e10  # multiply-adds of bounding every neuron once; from there on phases are split, too
PAIRS_SHARE = 0.25  # of the time, for boxes with differences bounded before phases are split
CHECK_RESERVE = 0.2  # seconds kept for the check in any case
MOST_WORDS = 1 << 29  # of a certificate
WORTH_MEASURING = 1000  # nodes; from there on the time of a check is estimated
RIGOUR = 0.6  # a check in plain float64 bounds per node: rigour costs half more, but only about half are bounded
CHECK_SHARE_PHASES = 0.3  # seconds kept per second of search by phases

StartChecker = Callable[[Path, Path, int], CheckerProcess]


ORDERS = ("depth-first", "best-first")
DEFAULT_MEMORY_MB = 8000.0


@dataclass(frozen=True)
class Options:
    """How to search; nothing here can make a wrong verdict, only a slower or missing one.

    ``relaxations`` of whole boxes are tried by name before the search, or alone without it.
    """

    seconds: float = 60.0
    workers: int = 2
    seed: int = 0
    branching: str = "gap"
    depth_first: bool = True
    attack: bool = True
    memory_mb: float = DEFAULT_MEMORY_MB
    device: str = "auto"
    moments: Moments = "later"
    relaxations: tuple[str, ...] = ()
    search: bool = True


@dataclass(frozen=True)
class Question:
    """A problem with the files it came from.

    ``query`` is the VNN-LIB file, None for other specifications; ``model`` is None where several are composed.
    """

    problem: Problem
    model: Path | None
    query: Path | None
    claim: str


def decide(
    question: Question,
    options: Options,
    certificate: Path,
    producer: dict[str, str],
    report: Callable[[Progress], None] = lambda progress: None,
    start_checker: StartChecker = CheckerProcess.start,
) -> Outcome:
    """Certified with an accepted certificate at ``certificate``, violated with a checked witness, or unknown.

    ``start_checker(model, query, workers)`` may hand over a checker of these files that is already running.
    """
    with (
        tempfile.TemporaryDirectory(prefix="certify-") as folder,
        np.errstate(all="ignore"),  # numbers that are not finite prove nothing, and OpenBLAS reports some that are none
    ):
        return _Decision(question, options, certificate, producer, report, start_checker, Path(folder)).run()


class _Decision:
    """One run of ``decide``: what its steps share."""

    def __init__(
        self,
        question: Question,
        options: Options,
        certificate: Path,
        producer: dict[str, str],
        report: Callable[[Progress], None],
        start_checker: StartChecker,
        folder: Path,
    ) -> None:
        self.start_checker = start_checker
        self.problem, self.options = question.problem, options
        self.last = Progress(math.inf, -math.inf, 0, 0)
        self._told = report
        self.started = time.monotonic()
        self.deadline = Deadline.after(options.seconds)
        self.question, self.folder, self.certificate, self.producer = question, folder, certificate, producer
        self.left = Left(self.problem)
        self.attack: Attack | None = None
        self.borderline: Attack | None = None
        self.check_seconds = 0.0  # per node, once measured
        self.full = False  # the tree has reached the memory it may take
        self.kept = 0.0  # seconds for a relaxed attack, should it come to that

    def run(self) -> Outcome:
        try:
            network = lower(self.problem.graph)
        except UnsupportedOpError as error:
            self.bound_to = self._sources()
            return self._outcome("unknown", f"unsupported: {error.listed}")
        except ModelError as error:
            raise ModelError(error.message, self.question.model) from None
        self.bound_to = bound_to = self._sources()
        with (
            self.start_checker(bound_to.model_file, bound_to.query_file, self.options.workers) as checker,
            Store(self.folder) as self.store,
        ):
            self.evidence = Evidence(
                checker, bound_to, self.question.claim, self.producer, self.certificate, len(self.problem.cases)
            )
            try:
                return self._decide(network)
            except CertificateError as error:
                return self._outcome("unknown", f"certificate: {error}")
            except Stopped as stop:
                return self._stopped(stop.reason)

    def _sources(self) -> Sources:
        return sources(self.problem, self.question.model, self.question.query, self.folder)

    @property
    def cases(self) -> list[CaseSearch]:
        return self.left.cases

    @property
    def groups(self) -> list[Group]:
        return self.left.groups

    def _decide(self, network: ReluNetwork) -> Outcome:
        refine = network.density > SPARSE_NETWORK
        left = self.left
        left.network, left.programs = network, possible(network)
        self.kept = seconds_kept(self.options.seconds) if left.programs else 0.0
        pairs = pairs_of(network)
        left.cases = [self._search_of(network, case, refine, pairs) for case in self.problem.cases]
        inputs = self._free_inputs() if pairs else network.input_size
        joint = left.programs and any(len(case.any_of) > JOINT for case in self.problem.cases)
        left.by_phases = inputs > SPLIT_UP_TO or network.work > HEAVY or bool(network.signs) or joint
        if self.cases and not self._by_relaxations(network) and self.options.search:
            self._search(network)
        if self.attack is not None:
            return self._outcome("violated", "")
        if all(case.closed for case in self.cases):
            trees = left.rooted.trees if left.rooted is not None else ()
            proof = self.evidence.prove(self.cases, self.groups, self.deadline, trees)
            if proof is not None:
                return self._outcome("certified", "", proof)
        relaxed = self.left.best(self._until_program(), self._candidate)
        if self.attack is not None:  # what the relaxation pointed to is real
            return self._outcome("violated", "")
        return self._outcome("unknown", self._why_open(), relaxed=relaxed)

    def _search(self, network: ReluNetwork) -> None:
        attacks = Schedule(self.options.seed) if self.options.attack else None
        if self.left.by_phases:
            self._search_phases(network, attacks)
        elif not (self.options.attack and self._attack(range(len(self.cases)), FIRST_STARTS * len(self.cases))):
            search(
                self.cases, self._search_deadline, self.options.workers, self._found, self.report, self.folder, attacks
            )

    def _by_relaxations(self, network: ReluNetwork) -> bool:
        """Try the relaxations that are named on whole boxes; whether nothing is left to search."""
        names = [name for name in self.options.relaxations if not (name == "sdp" and self.left.by_phases)]
        if not names:
            return False
        if self.options.attack and self._attack(range(len(self.cases)), FIRST_STARTS * len(self.cases)):
            return True
        for k, case in enumerate(self.problem.cases):
            if not case.any_of and self._found(k, (self.cases[k].root.lower + self.cases[k].root.upper) / 2):
                return True
        from verifier.engine.rooted import Rooted

        try:
            self.left.rooted = rooted = Rooted(self.problem, network, self._earlier(0.0))
        except OutOfTime:
            return False
        self.evidence.ready(self.deadline)
        for number, name in enumerate(names):
            shares = len(names) - number + self.options.search
            until = Deadline.after(self._earlier(0.0).remaining / shares)
            if rooted.attempt(name, until, self.evidence, self._found):
                return True
            for k in rooted.proved:
                self.cases[k].waiting = []
            if not rooted.open:
                return True
        return False

    def _free_inputs(self) -> int:
        """How many inputs are not fixed, in the case that has the most."""
        return max((int((case.root.lower < case.root.upper).sum()) for case in self.cases), default=0)

    def _search_of(self, network: ReluNetwork, case: Case, refine: bool, pairs: tuple[Pair, ...] = ()) -> CaseSearch:
        return search_of(network, case, self.options.branching, self.options.depth_first, refine, pairs)

    def _search_pairs(self, network: ReluNetwork) -> None:
        """Boxes first, with differences bounded, which trees over phases do not: what is open then starts anew."""
        until = Deadline.after(PAIRS_SHARE * self.options.seconds)

        def deadline() -> Deadline:
            return earliest(self._search_deadline(), until)

        search(self.cases, deadline, self.options.workers, lambda *_: False, self.report, self.folder, None)
        self.left.cases = [
            case if case.closed else self._search_of(network, self.problem.cases[k], case.explorer.refine)
            for k, case in enumerate(self.cases)
        ]

    def _search_phases(self, network: ReluNetwork, attacks: Schedule | None) -> None:
        """A glance for violations, which costs less than bounds; then one tree for all cases of the same inputs."""
        if self.options.attack and self._attack(range(len(self.cases)), FIRST_POINTS):
            return
        if self.cases and self.cases[0].explorer.pairs:
            self._search_pairs(network)
        boxes: dict[bytes, list[int]] = {}
        for k, case in enumerate(self.cases):
            if not case.closed:
                boxes.setdefault(case.inputs, []).append(k)
        stop = self.folder / "stop"
        with Driver(
            self.cases,
            self._search_deadline,
            self.options.workers,
            self._found,
            self.report,
            stop,
            attacks,
            self.options.moments,
        ) as driver:
            for members in boxes.values():
                if self._search_deadline().over:
                    return
                group = Group(tuple(members), {0: self._phase_search(network, members)})
                self.groups.append(group)
                if driver.run(group, self._attack_open):
                    return
                if group.closed:
                    for k in members:
                        self.cases[k].waiting = []

    def _phase_search(self, network: ReluNetwork, members: list[int]) -> PhaseSearch:
        rows = [self.cases[k].explorer.rows for k in members]
        x, y, constant = (np.concatenate(parts) for parts in zip(*((r.x, r.y, r.constant) for r in rows), strict=True))
        target = target_of(network, Rows(x, y, constant), np.cumsum([0, *(len(r.constant) for r in rows)]))
        root, ball = self.cases[members[0]].root, self.cases[members[0]].explorer.ball
        here = tier(self.options.device, forks=self.options.workers > 1)
        few = network.input_size <= SPLIT_UP_TO and not network.signs
        bounding = Bounding(network, target, root.lower, root.upper, ascend=here.ascend, symbols=few, ball=ball)
        search = PhaseSearch.over_box(bounding)
        search.tree.store = self.store
        return search

    def _search_deadline(self) -> Deadline:
        """The deadline less what checking the proof found so far would take; past once memory is used up.

        It is used up, too, where the proof found so far is longer than a certificate may be.
        """
        held = sum(case.held for case in self.cases) + sum(group.held for group in self.groups)
        if held > 1e6 * self.options.memory_mb or sum(group.words_held for group in self.groups) > MOST_WORDS:
            self.full = True
            return Deadline(-math.inf)
        if self.groups:
            return self._earlier(CHECK_SHARE_PHASES * (time.monotonic() - self.started))
        nodes = sum(case.nodes for case in self.cases)
        if nodes < WORTH_MEASURING:
            return self._earlier(0.0)
        if not self.check_seconds:
            case = next((case for case in self.cases if case.open), self.cases[0])
            places = [*case.open, case.root][:64]
            lower, upper = boxes_of(places)
            self.check_seconds = RIGOUR * case.explorer.seconds_per_box(lower, upper) / self.options.workers
        return self._earlier(self.check_seconds * nodes)

    def _earlier(self, seconds: float) -> Deadline:
        """The deadline less the seconds of a check, or those of a relaxed attack: never are both wanted."""
        return self.deadline.earlier(CHECK_RESERVE + max(seconds, self.kept))

    def _attack_open(self, group: Group) -> bool:
        """A first descent on the cases that a group's search has not proved, and a climb where rows fail together."""
        left = sorted({group.cases[position] for _, node in group.unproved for position in node.pending})
        if not self.options.attack or not left:
            return False
        return self._attack(left, FIRST_STARTS * len(left)) or self._climb(group)

    def _climb(self, group: Group) -> bool:
        until = earliest(self.deadline, Deadline.after(min(ATTACK_SHARE * self.options.seconds, CLIMBING_SECONDS)))
        if not self.left.programs or until.remaining < LEAST_SECONDS:
            return False
        return climb_from_optimum(open_nodes([group]), until, self._candidate)

    def _candidate(self, k: int, x: np.ndarray) -> bool:
        """Whether a point is a violation of case k."""
        value = float(self.cases[k].explorer.values(x[None])[0])
        return self.cases[k].judge(value, x) and self._found(k, x)

    def _attack(self, cases: Sequence[int], count: int) -> bool:
        """A descent on some cases, from few points: most violations are easy to find. Whether one was."""
        until = Deadline.after(min(ATTACK_SHARE * self.options.seconds, ATTACK_SECONDS))
        chosen = [self.cases[k] for k in cases]
        known = np.array([case.attained for case in chosen])
        attained = known if np.isfinite(known).all() else None  # None: a first attack
        found = attack_on(chosen, count, self.options.seed, until, attained).run()
        return confirmed(found, self.cases, cases, self._found)

    def _found(self, k: int, point: np.ndarray) -> bool:
        """Judge a candidate: moved inside the set, replayed in the model's runtime, proved by the checker.

        A point of Fractions is also judged as it is, where what floats make of it is not enough.
        """
        case = self.problem.cases[k]
        if not self._proved(k, inside(case, point)) and point.dtype == object:
            limits = zip(point.tolist(), case.box.lower, case.box.upper)
            self._proved(k, tuple(min(max(Fraction(x), low), up) for x, low, up in limits))
        return self.attack is not None

    def _proved(self, k: int, exact: tuple[Fraction, ...]) -> bool:
        """Whether the checker proves that the case fails at a point; what it says is kept."""
        case = self.problem.cases[k]
        value = float(self.cases[k].explorer.values(np.array([[float(x) for x in exact]]))[0])
        ran = replay(self.evidence.onnx(), self.problem.graph, case, exact)
        proved, path = self.evidence.refute(k, exact, self.deadline)
        attack = Attack(exact, ran.outputs if ran else None, k, value, proved, path)
        if proved and (ran is None or ran.violates):
            self.attack = attack
        elif (proved or (ran is not None and ran.violates)) and self.borderline is None:
            self.borderline = attack
        return bool(proved)

    def report(self, progress: Progress) -> None:
        self.last = progress
        self._told(progress)

    def _stopped(self, reason: str) -> Outcome:
        """What is known when a signal has interrupted anything at all: no more than was reported or never changes."""
        relaxed = self._handed_over(self.left.quick())
        stats = {"nodes": self.last.nodes, "seconds": time.monotonic() - self.started}
        return Outcome(
            "unknown", reason, self.last.attained, self.last.proved, relaxed=relaxed, stats=stats, stopped=True
        )

    def _handed_over(self, relaxed: RelaxedAttack | None) -> RelaxedAttack | None:
        return hand_over(relaxed, self.bound_to, self.producer, self.certificate) if relaxed is not None else None

    def _why_open(self) -> str:
        if self.borderline is not None:
            return "borderline: at a point the exact network and its float runtime disagree on the property"
        if self.full:
            return "memory"
        if self.deadline.remaining < 1 or self._search_deadline().over:
            return "timeout"
        if not self.options.search:
            notes = self.left.rooted.notes if self.left.rooted is not None else []
            return f"incomplete: {'; '.join(notes) or 'the checker did not accept the certificate'}"
        return "incomplete: boxes that cannot be split further are neither proved nor violated"

    def _until_program(self) -> Deadline:
        """When a linear program for a relaxed attack has to be solved."""
        return earliest(self.deadline.earlier(CHECK_RESERVE), Deadline.after(MOST_SECONDS))

    def _outcome(
        self, verdict: Verdict, reason: str, proof: Accepted | None = None, relaxed: RelaxedAttack | None = None
    ) -> Outcome:
        attained = min((case.attained for case in self.cases), default=math.inf)
        proved = min((place.bound for case in self.cases for place in case.open), default=-math.inf)
        if self.groups:
            proved = min((group.bound for group in self.groups if group.unproved), default=-math.inf)
        if verdict == "unknown":
            if relaxed is None:
                relaxed = self.left.best(self._until_program()) if self.cases else self.left.by_outputs()
            relaxed = self._handed_over(relaxed)
        return Outcome(
            verdict,
            reason,
            attained,
            proof.margin if proof is not None else proved,
            proof.proof if proof is not None else None,
            self.attack or self.borderline,
            relaxed,
            {"nodes": sum(case.nodes for case in self.cases), "seconds": time.monotonic() - self.started},
        )


def fallback(question: Question, certificate: Path, producer: dict[str, str]) -> RelaxedAttack | None:
    """The relaxed attack that every question has, with its file, where deciding it has not even begun."""
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        bound_to = sources(question.problem, question.model, question.query, Path(folder))
        relaxed = Left(question.problem).by_outputs()
        return hand_over(relaxed, bound_to, producer, certificate) if relaxed is not None else None
