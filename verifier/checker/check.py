"""The verdict on a certificate: every case's tree proved from the user's own model and query."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder, Rows
from verifier.checker.container import Certificate
from verifier.checker.errors import CheckError
from verifier.checker.network import Network
from verifier.checker.tree import Failure, Outcome, Question, prove
from verifier.checker.vnnlib import QueryCase

Floats = NDArray[np.float64]
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
    """Chunk ``chunk`` has to prove case ``case`` on a box."""

    case: int
    chunk: int
    lower: Floats
    upper: Floats

    def key(self, words: NDArray[np.int64]) -> bytes:
        """Identifies the proof obligation and the proof offered for it."""
        digest = hashlib.sha256(words.tobytes())
        digest.update(self.lower.tobytes() + self.upper.tobytes() + self.case.to_bytes(8, "little"))
        return digest.digest()


class Checker:
    """Checks certificates about one model and one query; remembers what it has proved itself."""

    def __init__(self, network: Network, cases: tuple[QueryCase, ...]) -> None:
        self.cases = cases
        self.bounder = Bounder(network)
        self.questions = [question(case, network) for case in cases]
        self._proved: dict[bytes, Outcome] = {}

    def prove(self, job: Job, words: NDArray[np.int64]) -> Outcome:
        return prove(self.bounder, self.questions[job.case], words, job.lower, job.upper)

    def check(
        self, certificate: Certificate, run: Callable[[list[Job], list[NDArray[np.int64]]], Iterable[Outcome]] | None
    ) -> Verdict:
        """Prove every case; ``run`` maps jobs to outcomes (in parallel), one after another when None.

        References may nest MAX_DEPTH deep and each chunk may be named once, so that the work is bounded by the file.
        """
        if certificate.cases != len(self.cases):
            return Verdict(False, f"{certificate.cases} cases claimed, the query has {len(self.cases)}", (), 0, 0.0)
        jobs = [Job(k, k, *outward(case.lower, case.upper)) for k, case in enumerate(self.cases) if not case.empty]
        failures: list[tuple[int, int, Failure]] = []
        leaves, margin = 0, math.inf
        named: set[int] = set()
        for _ in range(MAX_DEPTH):
            if not jobs:
                break
            following: list[Job] = []
            for job, outcome in zip(jobs, self._outcomes(certificate, jobs, run), strict=True):
                leaves += outcome.leaves
                margin = min(margin, outcome.margin)
                failures += [(job.case, job.chunk, failure) for failure in outcome.failures]
                for reference in outcome.references:
                    if not certificate.cases <= reference.chunk < len(certificate.chunks):
                        raise CheckError(f"reference to chunk {reference.chunk}, which is not a sub-tree")
                    if reference.chunk in named:
                        raise CheckError(f"chunk {reference.chunk} is referred to twice")
                    named.add(reference.chunk)
                    following.append(Job(job.case, reference.chunk, reference.lower, reference.upper))
            jobs = following
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
        jobs: list[Job],
        run: Callable[[list[Job], list[NDArray[np.int64]]], Iterable[Outcome]] | None,
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


def question(case: QueryCase, network: Network) -> Question:
    """The rows of a case in float64, each number the nearest one (its error is part of the rounding lemmas)."""
    count = len(case.rows)
    x, y = np.zeros((count, network.sizes[0])), np.zeros((count, network.sizes[-1]))
    for r, row in enumerate(case.rows):
        for target, coefs in ((x, row.x), (y, row.y)):
            for i, value in coefs.items():
                target[r, i] = nearest(value)
    constant = np.array([nearest(row.constant) for row in case.rows], dtype=np.float64)
    return Question(Rows(x, y, constant), np.array([row.strict for row in case.rows], dtype=np.bool_))


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
    """The float64 nearest to a rational (division of integers in Python is correctly rounded)."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        raise CheckError("a number of the query does not fit into float64") from None
