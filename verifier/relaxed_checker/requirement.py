"""Answering a statistical requirement by way of a relaxed checker: flags of states, misses on natural inputs."""

from __future__ import annotations

import contextlib
import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from specs.errors import CertifyError
from specs.language.rates.relaxed import RelaxedTerms
from specs.overseer.python_overseer import PythonOverseer
from verifier.checking import run_checker
from verifier.files import stem
from verifier.relaxed_checker.asking import Flags, Misses
from verifier.relaxed_checker.checkers import NetworkChecker
from verifier.relaxed_checker.compose import COMPOSITION, compose
from verifier.relaxed_checker.identity import identity
from verifier.relaxed_checker.plans import calibration_plan, domination_plan
from verifier.relaxed_checker.statements import Stated
from verifier.statistics.answer import OutOfTime, Run, budget_of, failing, gone_on
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Arguments, Budget, Queries, ask_all
from verifier.statistics.report import Rate
from verifier.statistics.sampling import Box
from verifier.statistics.statement import SUFFIX, StatementError, write_statement


@dataclass(frozen=True)
class Expression:
    """The state of an input, by an expression over networks that ``of`` is the hash of."""

    terms: RelaxedTerms
    of: str

    @property
    def name(self) -> str:
        return self.terms.text

    @property
    def sha256(self) -> str:
        return identity("expression", self.terms.text, self.of, self.terms.embedding.sha256)

    def __call__(self, x: Sequence[float]) -> list[float]:
        return self.terms.embedding(np.array(x))[0]


class RelaxedRun(Run):
    """One requirement. States are asked about first, in a ledger of their own, then natural inputs."""

    @property
    def _ledger(self) -> Path:
        return self._file("missed.ledger.jsonl")

    def _file(self, end: str) -> Path:
        return self.home / f"{stem(self.spec.file)}.{self.question.id}.{end}"

    @property
    def _terms(self) -> RelaxedTerms:
        assert self.question.relaxed is not None
        return self.question.relaxed

    @property
    def _confidence(self) -> Fraction:
        """Of each half."""
        return (1 + Fraction(self.question.terms.confidence)) / 2

    def _queries(self, stack: contextlib.ExitStack) -> Queries:
        program = self.question.program
        assert program is not None
        checker = NetworkChecker(self._terms.network)
        if checker.graph.input_size != len(self._terms.lower):
            takes, has = checker.graph.input_size, len(self._terms.lower)
            raise CertifyError(f"relaxed checker {checker.name} takes {takes} numbers, and a state has {has}")
        overseer = stack.enter_context(PythonOverseer(program.python))
        embedding = Expression(self._terms, self.question.model_sha256)
        self.misses = Misses(checker, embedding, overseer, self._terms.level)
        return stack.enter_context(Queries(self._ledger, self.misses, budget_of(program), program.deterministic))

    def _plan(self) -> Plan:
        rows, terms = self.question.rows, self.question.terms
        assert rows is not None
        return calibration_plan("missed", rows, terms.nature, self._confidence, self.question.model_sha256)

    def _flags(self) -> Plan:
        terms, relaxed, kappa = self.question.terms, self._terms, self.question.kappa
        assert kappa is not None
        box = Box(relaxed.lower, relaxed.upper)
        return domination_plan(
            "flagged", box, self.seed, terms.queries, relaxed.level, self._confidence, terms.nature, kappa
        )

    def _ask(self, queries: Queries) -> str:
        def respond(state: np.ndarray) -> Arguments:
            if time.monotonic() > self.until:
                raise OutOfTime
            return [state.tolist()]

        plan = self._flags()
        with Queries(self._file("flagged.ledger.jsonl"), Flags(self.misses.checker), Budget(plan.queries)) as flags:
            stopped = self.stopped or gone_on(self, lambda: ask_all(flags, plan, respond))
        return stopped or super()._ask(queries)

    def _stated(self, stopped: str) -> tuple[Rate | None, str]:
        def half(name: str, data: np.ndarray | None = None) -> Stated:
            file = self._file(f"{name}{SUFFIX}")
            return Stated(file, write_statement(file, self._file(f"{name}.ledger.jsonl"), name, data))

        try:
            flagged, missed = half("flagged"), half("missed", self.question.rows)
        except StatementError as error:
            return None, stopped or f"incomplete: {error}"
        file = self._file(SUFFIX[1:])
        natural = compose(file, flagged, missed, self.misses)
        result = run_checker(file, None, None, False, {})
        if not result.accepted:
            return None, f"certificate: the checker refused it: {result.reason}"
        with zipfile.ZipFile(file) as archive:
            upper = Fraction(json.loads(archive.read(COMPOSITION))["upper"])
        answered = natural.flagged.answered + natural.missed.answered
        failures = natural.flagged.failures + natural.missed.failures
        rate = Rate(
            Fraction(0), upper, answered, failures, natural.assumptions, file, file.stat().st_size, result.seconds,
            result.query["sha256"], failing(self._ledger, "missed", Fraction(0)),
        )  # fmt: skip
        most = Fraction(self.question.terms.max_rate)
        return rate, "" if upper <= most else stopped or f"rate: what is proved of it exceeds {most}"
