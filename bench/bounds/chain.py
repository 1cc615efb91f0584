"""Relaxations asked about one instance, the loosest first, each about the cases that those before it leave open."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from bench.instances import Instance
from bench.machine import installed, machine
from bench.results import Row
from relaxations.base import Query
from relaxations.lowering import lower
from relaxations.registry import relaxations
from specs.errors import CertifyError
from specs.language.load_spec import load_spec
from specs.problem import Problem
from verifier.engine.deadline import Deadline
from verifier.engine.frontier.roots import queries_of, roots_of
from verifier.engine.phases.rows import OutOfTime

PROVED, OPEN, VIOLATED, ERROR = "proved", "open", "violated", "error"


@dataclass(frozen=True)
class Bounded(Row):
    """What one relaxation says of an instance.

    ``verdict`` is ``proved`` where it, with those listed before it, bounds every case below 0; ``open`` where it does
    not; ``violated`` where a counterexample was known; ``error`` where it has nothing to say. A bound is computed in
    float64 and not checked, so ``proved`` is less than ``certified``. ``left`` is the number of cases known to stay
    open: a relaxation ends at the first. ``value`` is its largest bound of the cases it was asked about.
    """

    relaxation: str
    left: str
    value: str

    @property
    def question(self) -> tuple[str, ...]:
        return (*super().question, self.relaxation)

    @property
    def title(self) -> str:
        return f"{super().title} {self.relaxation}"


@dataclass(frozen=True)
class Chain:
    """``names`` of relaxations, the loosest first; ``seconds`` is the limit of each on an instance."""

    names: tuple[str, ...]
    seconds: float

    def question(self, instance: Instance, name: str) -> tuple[str, ...]:
        """The ``Bounded.question`` that asking a relaxation about this instance will answer."""
        return self.row(instance, name, "").question

    def row(self, instance: Instance, name: str, verdict: str, **known: str) -> Bounded:
        """A row with what is known of it; the other cells are empty."""
        versions = installed()
        empty = {field.name: "" for field in fields(Bounded)}
        always = {
            "benchmark": instance.benchmark,
            "model": instance.model,
            "spec": instance.spec,
            "expected": instance.expected,
            "agrees": "na",
            "certify": versions.get("certify", ""),
            "python": versions.get("python", ""),
            "numpy": versions.get("numpy", ""),
            "machine": machine(),
            "timeout": f"{self.seconds:g}",
            "command": f"bounds {','.join(self.names)}",
        }
        return Bounded(**{**empty, **always, "relaxation": name, "verdict": verdict, **known})

    def run(self, instance: Instance) -> Iterator[Bounded]:
        """One row for each relaxation. What is wrong with the instance is an ``error`` in all of them."""
        try:
            problem = load_spec(instance.spec_path, instance.model_path).requirements[0].problem
            open_cases = self._queries(problem)
        except CertifyError as error:
            for name in self.names:
                yield self.row(instance, name, ERROR, reason=str(error))
            return
        for name in self.names:
            row, open_cases = self._asked(name, open_cases, self.row(instance, name, OPEN))
            yield row

    def _queries(self, problem: Problem) -> list[Query]:
        deadline = Deadline.after(self.seconds)
        try:
            return list(queries_of(roots_of(problem, lower(problem.graph), lambda: deadline.over)))
        except OutOfTime:
            raise CertifyError(f"the ranges of the neurons take more than {self.seconds:g} s") from None

    def _asked(self, name: str, queries: list[Query], row: Bounded) -> tuple[Bounded, list[Query]]:
        """The row, and the queries that stay open, the worst first.

        A relaxation that comes first among others is asked about all of them, which says where the next should begin.
        """
        started, first = time.monotonic(), name == self.names[0]
        left: list[tuple[float, Query]] = []
        largest, spent = -math.inf, 0.0
        for number, query in enumerate(queries):
            remaining = self.seconds - spent
            try:
                kind = relaxations.get(name)
                declined = kind.declines(query)
                value = math.inf if declined or remaining <= 0 else kind(query).solve(remaining).value
            except (CertifyError, ImportError) as error:
                declined = str(error)
            if declined:
                return replace(row, verdict=ERROR, reason=declined, left=str(len(queries))), queries
            spent = time.monotonic() - started
            largest = max(largest, value) if value == value else math.inf
            if not value < 0:
                left.append((value, query))
                if not first:
                    left += [(-math.inf, later) for later in queries[number + 1 :]]
                    break
        left.sort(key=lambda entry: -entry[0])
        verdict, open_known = OPEN if left else PROVED, str(sum(value > -math.inf for value, _ in left))
        shown = f"{largest:.9g}" if largest > -math.inf else ""
        found = replace(row, verdict=verdict, left=open_known, value=shown, seconds=f"{spent:.3f}")
        return found, [query for _, query in left]
