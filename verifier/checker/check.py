"""The verdict on a certificate: every case's tree proved from the user's own model and query."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verifier.checker import rational
from verifier.checker.ball import Ball
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.container import Certificate
from verifier.checker.errors import CheckError
from verifier.checker.network import Network
from verifier.checker.pairs import Pairs
from verifier.checker.phase_tree import read_phase_tree
from verifier.checker.phases import PhaseProver
from verifier.checker.tree import Failure, Outcome, Question, Reference, prove
from verifier.checker.vnnlib import QueryCase

Floats = NDArray[np.float64]
Words = NDArray[np.uint16]
MAX_DEPTH = 64


@dataclass(frozen=True)
class Verdict:
    """``accepted`` only if no case is left open. ``failures`` pairs a chunk with a leaf that was not proved."""

    accepted: bool
    reason: str
    failures: tuple[tuple[int, int, Failure], ...]
    leaves: int
    margin: float


@dataclass(frozen=True)
class Job:
    """Chunk ``chunk`` has to prove case ``case`` on a box, with bounds on differences of ``pairs``."""

    case: int
    chunk: int
    lower: Floats
    upper: Floats
    pairs: Pairs = ()

    @property
    def share(self) -> float:
        """Of the chunk's words that this job has to work through."""
        return 1.0

    def key(self, words: Words) -> bytes:
        """Identifies the proof obligation and the proof offered for it."""
        digest = hashlib.sha256(words.tobytes())
        digest.update(self.lower.tobytes() + self.upper.tobytes() + self.case.to_bytes(8, "little"))
        digest.update(repr(self.pairs).encode())
        return digest.digest()


@dataclass(frozen=True)
class PhaseJob:
    """Part ``part`` of ``parts`` of the phase tree in chunk ``chunk`` has to prove its share of ``cases`` on a box."""

    cases: frozenset[int]
    chunk: int
    lower: Floats
    upper: Floats
    part: int
    parts: int

    @property
    def case(self) -> int:
        """One of them, for messages."""
        return min(self.cases)

    @property
    def share(self) -> float:
        """Of the chunk's words that this job has to work through."""
        return 1.0 / self.parts

    def key(self, words: Words) -> bytes:
        """Identifies the proof obligation and the proof offered for it."""
        digest = hashlib.sha256(words.tobytes())
        digest.update(self.lower.tobytes() + self.upper.tobytes())
        digest.update(repr((sorted(self.cases), self.part, self.parts)).encode())
        return digest.digest()


AnyJob = Job | PhaseJob
Run = Callable[[list[AnyJob], list[Words]], Iterable[Outcome]]


class Checker:
    """Checks certificates about one model and one query; remembers what it has proved itself."""

    def __init__(self, network: Network, cases: tuple[QueryCase, ...]) -> None:
        self.cases = cases
        self.bounder = Bounder(network)
        self._with_pairs: dict[Pairs, Bounder] = {(): self.bounder}
        balls = {id(case.ball): Ball.of(case.ball) for case in cases}
        self.questions = [question(case, network, balls[id(case.ball)]) for case in cases]
        self._proved: dict[bytes, Outcome] = {}

    def prove(self, job: AnyJob, words: Words) -> Outcome:
        if isinstance(job, PhaseJob):
            return self._prove_phases(job, words)
        return prove(self.comparing(job.pairs), self.questions[job.case], words, job.lower, job.upper)

    def comparing(self, pairs: Pairs) -> Bounder:
        """The bounder that bounds differences of these pairs; raises ``CheckError`` where they are none.

        Those of one certificate are remembered, not of all: a bounder takes as much memory as the network.
        """
        if pairs not in self._with_pairs:
            self._with_pairs = {(): self.bounder, pairs: Bounder(self.bounder.network, pairs)}
        return self._with_pairs[pairs]

    def _prove_phases(self, job: PhaseJob, words: Words) -> Outcome:
        network = self.bounder.network
        rows = [len(question.strict) for question in self.questions]
        tree = read_phase_tree(words, network.sizes[0], network.widths, rows, network.signs)
        if not job.cases <= set(tree.cases):
            raise CheckError(f"chunk {job.chunk} does not speak of every case that refers to it")
        of_cases = [self.questions[case].rows for case in tree.cases]
        box = Boxes.of(job.lower[None], job.upper[None], _ball_of([self.questions[case] for case in tree.cases]))
        prover = PhaseProver(self.bounder, tree, of_cases, box)
        first, last = (tree.ends * part // job.parts for part in (job.part, job.part + 1))
        failures = tuple(Failure(position, job.lower, job.upper) for position in prover.prove(first, last))
        # The margin is 0: a combination of rows says no more than that.
        return Outcome(failures, (), tree.leaves(first, last), 0.0)

    def check(self, certificate: Certificate, run: Run | None, parts: int = 1) -> Verdict:
        """Prove every case; ``run`` maps jobs to outcomes (in parallel), one after another when None.

        Phase trees are cut into about ``parts`` jobs in all, as each job bounds the root anew. References may nest
        MAX_DEPTH deep and each chunk may be named once (phase trees: once by every case, about one box), so that the
        work is bounded by the file.
        """
        if parts < 1:
            raise CheckError(f"a phase tree cannot be cut into {parts} parts")
        if certificate.cases != len(self.cases):
            return Verdict(False, f"{certificate.cases} cases claimed, the query has {len(self.cases)}", (), 0, 0.0)
        pairs = certificate.pairs
        self.comparing(pairs)  # before processes fork
        jobs: list[AnyJob] = [
            Job(k, k, *outward(case.lower, case.upper), pairs) for k, case in enumerate(self.cases) if not case.empty
        ]
        failures: list[tuple[int, int, Failure]] = []
        leaves, margin = 0, math.inf
        named: set[int] = set()
        phases: dict[int, list[tuple[int, Reference]]] = {}
        for _ in range(MAX_DEPTH):
            if not jobs:
                break
            following: list[AnyJob] = []
            for job, outcome in zip(jobs, self._outcomes(certificate, jobs, run), strict=True):
                leaves += outcome.leaves
                margin = min(margin, outcome.margin)
                failures += [(job.case, job.chunk, failure) for failure in outcome.failures]
                for reference in outcome.references:
                    if not certificate.cases <= reference.chunk < len(certificate.chunks):
                        raise CheckError(f"reference to chunk {reference.chunk}, which is not a sub-tree")
                    if reference.phases:
                        phases.setdefault(reference.chunk, []).append((job.case, reference))
                        continue
                    if reference.chunk in named:
                        raise CheckError(f"chunk {reference.chunk} is referred to twice")
                    named.add(reference.chunk)
                    following.append(Job(job.case, reference.chunk, reference.lower, reference.upper, pairs))
            jobs = following
            if not jobs and phases:
                whole = sum(len(certificate.chunks[chunk]) for chunk in phases)
                for chunk, references in phases.items():  # a part for each begun share of the words
                    jobs += _phase_jobs(chunk, references, -(-parts * len(certificate.chunks[chunk]) // whole))
                named |= set(phases)
                phases = {}
        if jobs:
            return Verdict(False, "references nest too deep", tuple(failures), leaves, margin)
        if failures:
            case, chunk, first = failures[0]
            reason = f"{len(failures)} leaves not proved, the first at word {first.position} of chunk {chunk}"
            return Verdict(False, f"{reason} (case {case})", tuple(failures), leaves, margin)
        return Verdict(True, "every leaf proved", (), leaves, margin)

    def _outcomes(
        self,
        certificate: Certificate,
        jobs: list[AnyJob],
        run: Run | None,
    ) -> list[Outcome]:
        words = [certificate.chunks[job.chunk] for job in jobs]
        keys = [job.key(stream) for job, stream in zip(jobs, words, strict=True)]
        new = [i for i, key in enumerate(keys) if key not in self._proved]
        todo, streams = [jobs[i] for i in new], [words[i] for i in new]
        outcomes = run(todo, streams) if run is not None else map(self.prove, todo, streams)
        known = dict(zip(new, outcomes, strict=True))
        for i, outcome in known.items():
            if not outcome.failures:
                self._proved[keys[i]] = outcome
        return [known[i] if i in known else self._proved[keys[i]] for i in range(len(jobs))]


def _phase_jobs(chunk: int, references: list[tuple[int, Reference]], parts: int) -> list[AnyJob]:
    """The cases that refer to one phase tree are proved together, so they must mean the same box."""
    cases = [case for case, _ in references]
    first = references[0][1]
    for _, other in references:
        if not (np.array_equal(other.lower, first.lower) and np.array_equal(other.upper, first.upper)):
            raise CheckError(f"chunk {chunk}, a phase tree, is asked about two different boxes")
    return [PhaseJob(frozenset(cases), chunk, first.lower, first.upper, part, parts) for part in range(parts)]


def _ball_of(questions: list[Question]) -> Ball | None:
    """The ball that all of them have, as the cases of a query do; None, for the box alone, if they had not."""
    return questions[0].ball if all(other.ball is questions[0].ball for other in questions) else None


def question(case: QueryCase, network: Network, ball: Ball | None = None) -> Question:
    """The rows of a case in float64, each number the nearest one (its error is part of the rounding lemmas).

    ``ball`` contains the case's.
    """
    count = len(case.rows)
    x, y = np.zeros((count, network.sizes[0])), np.zeros((count, network.sizes[-1]))
    for r, row in enumerate(case.rows):
        for target, coefs in ((x, row.x), (y, row.y)):
            for i, value in coefs.items():
                target[r, i] = nearest(value)
    constant = np.array([nearest(row.constant) for row in case.rows], dtype=np.float64)
    return Question(Rows(x, y, constant), np.array([row.strict for row in case.rows], dtype=np.bool_), ball)


def outward(low: Sequence[Fraction], up: Sequence[Fraction]) -> tuple[Floats, Floats]:
    """A box in float64, every bound rounded away from the box."""
    lower = np.array([nearest(value) for value in low], dtype=np.float64)
    upper = np.array([nearest(value) for value in up], dtype=np.float64)
    for i in range(len(lower)):
        if Fraction(float(lower[i])) > low[i]:
            lower[i] = np.nextafter(lower[i], -np.inf)
        if Fraction(float(upper[i])) < up[i]:
            upper[i] = np.nextafter(upper[i], np.inf)
    return lower, upper


def nearest(value: Fraction) -> float:
    """The float64 nearest to a rational."""
    try:
        return rational.nearest(value)
    except OverflowError:
        raise CheckError("a number of the query does not fit into float64") from None
