"""Methods that decide cases by a relaxation of the whole box: lp, milp, smt and, in small networks, sdp.

What they say is believed by nobody: a proof goes into the certificate, an input is replayed and proved to violate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from relaxations.base import Query, Relaxation
from relaxations.lp.safe_dual import no_multipliers, safe_dual
from relaxations.milp.big_m import BigM
from relaxations.network import ReluNetwork
from relaxations.registry import relaxations
from relaxations.smt.bounds import root_ranges
from relaxations.smt.encode import Question
from relaxations.smt.limits import Deadline as Limit
from relaxations.smt.limits import OutOfTime as OutOfExactTime
from relaxations.smt.relaxed import Models
from relaxations.smt.reluplex import Model, Refutation, decide
from relaxations.solvers import required
from specs.problem import Problem
from verifier.engine.deadline import Deadline
from verifier.engine.evidence import Evidence
from verifier.engine.frontier.proofs import trees_of
from verifier.engine.frontier.roots import Root, roots_of
from verifier.engine.linear import Region, too_large
from verifier.engine.moment_attack import relaxed_attack_by_moments
from verifier.engine.outcome import RelaxedAttack

MARGIN = Fraction(1, 10**7)  # of a row's size, that a proof has to have so that its check is sure of it
ROUNDED = 16  # inputs tried for a relaxed action
LATE = "the time was over"
NEEDED = {"lp": ("highspy", "scipy"), "milp": ("highspy", "scipy"), "smt": ("highspy",), "sdp": ("scipy",)}

Found = Callable[[int, Any], bool]  # judges an input of a case, in floats or in Fractions


class Rooted:
    """The cases by their roots, and what has been found out about them.

    ``trees`` prove the cases ``proved``; ``notes`` say why others were not, by method. ``moments`` are the relaxed
    attacks of semidefinite programs.
    """

    def __init__(self, problem: Problem, network: ReluNetwork, until: Deadline) -> None:
        """Raises ``OutOfTime`` where the neurons' ranges take longer."""
        self.problem, self.network = problem, network
        self.roots = roots_of(problem, network, lambda: until.over)
        self.trees: list[tuple[tuple[int, ...], Any]] = []
        self.proved: set[int] = set()
        self.notes: list[str] = []
        self.moments: list[RelaxedAttack] = []

    @property
    def open(self) -> list[int]:
        return [k for root in self.roots for k in root.cases if k not in self.proved]

    def attempt(self, name: str, until: Deadline, evidence: Evidence, found: Found) -> bool:
        """Try one method on the open cases; whether it has found a confirmed violation."""
        kind = relaxations.get(name)
        for solver in NEEDED[name]:
            required(solver, f"the method {name} needs {solver}")
        for root in self.roots:
            places = [place for place, k in enumerate(root.cases) if k not in self.proved]
            proofs: dict[int, tuple[Relaxation[Any, Any], Any]] = {}
            for number, place in enumerate(places):
                share = Deadline.after(until.remaining / (len(places) - number))
                declined = kind.declines(root.queries[place]) or self._too_large(name)
                if declined or share.over:
                    self._note(name, f"declines: {declined}" if declined else LATE)
                    continue
                proof = self._tried(name, kind, root, place, share, found)
                if proof is True:
                    return True
                if proof is not None:
                    proofs[place] = proof
            if proofs:
                self._record(name, root, proofs, evidence)
        return False

    def regions(self) -> Iterator[Region]:
        """The open cases on their whole boxes."""
        for root in self.roots:
            for k, query in zip(root.cases, root.queries):
                if k not in self.proved and query.ball is None:
                    yield self._region(k, query)

    def _region(self, k: int, query: Query) -> Region:
        names = [np.arange(len(l)) for l, _ in query.ranges]
        return Region(k, query, (), self.network, names, query.ranges)

    def _too_large(self, name: str) -> str:
        large = name in ("lp", "milp") and too_large(self.network)
        return "the network is too large for a linear program of all its neurons" if large else ""

    def _note(self, name: str, why: str) -> None:
        note = f"{name}: {why}"
        if note not in self.notes:
            self.notes.append(note)

    def _tried(
        self, name: str, kind: type[Relaxation[Any, Any]], root: Root, place: int, until: Deadline, found: Found
    ) -> tuple[Relaxation[Any, Any], Any] | bool | None:
        """A relaxation and a dual that proves the case; True for a confirmed violation, None for neither."""
        query, k = root.queries[place], root.cases[place]
        if issubclass(kind, Models):
            return self._by_models(query, k, until, found)
        relaxation = kind(query)
        if isinstance(relaxation, BigM):
            size = abs(safe_dual(query, no_multipliers(query)).value)
            enough = -float(MARGIN) * size
            solution = relaxation.prove(max(until.remaining, 0.0), enough)
            if enough < solution.attained < 0:
                self._note("milp", "an input comes so near to failing that a proof has no margin")
                return None
        else:
            solution = relaxation.solve(max(until.remaining, 0.0))
        if solution.dual is not None and solution.value < 0:
            return relaxation, solution.dual
        if solution.action is not None:
            points = relaxation.round(solution.action, np.random.default_rng(0), ROUNDED)
            scores = np.nan_to_num(query.score(points), nan=-np.inf)
            if scores.max() >= 0 and found(k, points[int(scores.argmax())]):
                return True
            if name == "sdp":
                attack = relaxed_attack_by_moments(self._region(k, query), solution.action.matrix)
                self.moments += [attack] if attack is not None else []
        self._note(name, "has no proof" if solution.finished else LATE)
        return None

    def _by_models(
        self, query: Query, k: int, until: Deadline, found: Found
    ) -> tuple[Relaxation[Any, Any], Any] | bool | None:
        """The exact search: first for a proof with a margin, then for any."""
        strict = tuple(not row.strict for row in self.problem.cases[k].any_of)
        question = Question.of(query, strict)
        try:
            ranges = root_ranges(question, Limit(until.at))
        except OutOfExactTime:
            self._note("smt", LATE)
            return None
        size = Fraction(abs(safe_dual(query, no_multipliers(query)).value))
        relaxation = Models(query, question, ranges)
        for asked in (question.above(-MARGIN * size), question):
            answer = decide(asked, max(until.remaining, 0.0), ranges, rounded=True)
            if isinstance(answer, Refutation):
                return relaxation, answer.tree
            if not isinstance(answer, Model):
                self._note("smt", LATE)
                return None
            if question.violated_by(answer.x) and found(k, answer.x):
                return True
        self._note("smt", "an input that violates by exact arithmetic was not confirmed by the checker and the runtime")
        return None

    def _record(
        self, name: str, root: Root, proofs: dict[int, tuple[Relaxation[Any, Any], Any]], evidence: Evidence
    ) -> None:
        part = root.only(list(proofs))
        trees = trees_of(name, [part], [list(proofs.values())], evidence.numbers)
        if trees is None:
            self._note(name, "its dual does not survive rounding to a certificate's numbers")
            return
        self.trees += trees
        self.proved.update(part.cases)
