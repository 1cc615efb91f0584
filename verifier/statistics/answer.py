"""Answering statistical requirements: ask about draws under a hard budget, state the bound, have it checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.rates.question import Program, StatisticalQuestion, StatisticalSpec
from specs.language.rates.spec import read_statistical_spec
from specs.language.rates.trained import NOTHING_TRAINED
from specs.overseer.python_overseer import OverseerError, PythonOverseer
from verifier.answer import versions
from verifier.checking import run_checker
from verifier.files import stem
from verifier.interruption import Stopped
from verifier.places import make_folder
from verifier.report.report import Report
from verifier.statistics.difference import Difference
from verifier.statistics.ledger import LedgerError
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Arguments, Budget, BudgetSpent, Overseer, Queries, ask_all
from verifier.statistics.report import Rate, StatisticalAnswer
from verifier.statistics.sampling import Box, Rows
from verifier.statistics.shown import other_questions
from verifier.statistics.statement import STATEMENT, SUFFIX, Statement, StatementError, rows_hash, write_statement


def answer_statistical(
    model: Path | None,
    file: Path,
    deadline: float,
    parameters: Mapping[str, str],
    load: Callable[..., Graph],
    out: Path | None = None,
    trained: Mapping[str, Path] = NOTHING_TRAINED,
) -> Report:
    """The statistical requirements of a specification, by ``deadline``, a reading of ``time.monotonic``.

    ``trained`` are the networks of surrogates, by name.

    Files go into ``out``: a ledger for each program that is asked, which a later run goes on with, and a statement for
    each requirement. After a ``Stopped`` nothing more is asked, and the report's reason says so.
    Raises ``CertifyError``, also where a ledger in ``out`` is of other terms.
    """
    started = time.monotonic()
    spec = read_statistical_spec(file, model, parameters, load, trained)
    read = time.monotonic() - started
    hashes = {"spec": sha256_of(file)} | {name: sha256_of(one) for q in spec.questions for name, one in q.models}
    programs = {q.program.name: Path(q.program.python.rpartition(":")[0]) for q in spec.questions if q.program}
    relaxed = {q.relaxed.network for q in spec.questions if q.relaxed is not None}
    hashes |= {f"relaxed checker {one.name}": sha256_of(one) for one in sorted(relaxed)}
    hashes |= {f"overseer {name}": sha256_of(one) for name, one in programs.items()}
    answers, stopped = [], ""
    with tempfile.TemporaryDirectory(prefix="certify-") as scratch:
        home = make_folder(out) if out is not None else Path(scratch)
        for number, question in enumerate(spec.questions):
            share = (deadline - time.monotonic()) / (len(spec.questions) - number)
            seconds = min(share, spec.seconds or math.inf)
            run = kind_of_run(question)(spec, question, spec.seed + number, home, seconds, hashes)
            run.stopped = stopped
            found = run.answer()
            stopped = run.stopped
            answers.append(found if out is not None else found.without_files())
    seconds = {"read": read, "decide": sum(answer.seconds for answer in answers)}
    return Report(tuple(answers), stopped, seconds, versions(), hashes, spec.gates)


def kind_of_run(question: StatisticalQuestion) -> type[Run]:
    """Who answers: somebody who asks about draws, or about states and natural inputs."""
    if question.relaxed is None:
        return Run
    from verifier.relaxed_checker.requirement import RelaxedRun

    return RelaxedRun


def ledger_file(home: Path, spec: Path, name: str) -> Path:
    """Where the questions to an overseer of this name are kept, for all that a specification asks of it."""
    return home / f"{stem(spec)}.{name}.ledger.jsonl"


def ledger_of(program: Program, home: Path, spec: Path) -> Path:
    """The only ledger of a program: its own, else that in the folder of output."""
    if program.ledger is None:
        return ledger_file(home, spec, program.name)
    make_folder(program.ledger.parent)
    return program.ledger


def open_queries(stack: contextlib.ExitStack, ledger: Path, program: Program) -> Queries:
    """A program with its budget and its ledger, until the stack ends. Raises ``LedgerError``, ``OverseerError``."""
    overseer = stack.enter_context(PythonOverseer(program.python))
    return stack.enter_context(Queries(ledger, overseer, budget_of(program), program.deterministic))


def budget_of(program: Program) -> Budget:
    """What a program may be asked, all runs on its ledger together."""
    given = program.budget
    return Budget(
        given.queries,
        None if given.seconds is None else float(given.seconds),
        None if given.cost is None else Fraction(given.cost),
        Fraction(given.unit_cost),
        float(given.timeout),
    )


GOES_ON = "not all draws were asked about; the same command goes on with the ledger"


class OutOfTime(CertifyError):
    """No further question in the time of this run; the ledger keeps what is known."""


@dataclass
class Networks:
    """Networks in the place of an overseer: their answer is what float64 computes."""

    question: StatisticalQuestion

    @property
    def name(self) -> str:
        return f"float64 of {' and '.join(file.name for _, file in self.question.models) or 'the event'}"

    @property
    def sha256(self) -> str:
        told = f"{self.question.text}\n{self.question.model_sha256}"
        return hashlib.sha256(told.encode()).hexdigest()

    def ask(self, arguments: Arguments, seconds: float) -> float:
        ((value,),) = self.question.evaluated(np.array(arguments[0]))
        if not math.isfinite(value):
            raise OverseerError(f"{self.name}: no finite number")
        return value


def plan_of(question: StatisticalQuestion, seed: int) -> Plan:
    """What is fixed before the first answer."""
    terms, inputs, rows = question.terms, question.inputs, question.rows
    box = ([float(v) for v in end if v is not None] for end in (inputs.lower, inputs.upper))
    sampler = Box(*map(tuple, box)) if rows is None else Rows(*rows.shape, rows_hash(rows))
    return Plan(
        question.id,
        sampler,
        seed,
        terms.queries,
        Fraction(terms.confidence),
        question.below,
        terms.method,
        terms.sides,
        kappa=question.kappa,
        nature=terms.nature,
        model=question.model_sha256,
    )


@dataclass
class Run:
    """One requirement."""

    spec: StatisticalSpec
    question: StatisticalQuestion
    seed: int
    home: Path
    seconds: float
    hashes: dict[str, str]
    stopped: str = ""

    def answer(self) -> StatisticalAnswer:
        started = time.monotonic()
        self.until = started + self.seconds
        try:
            with contextlib.ExitStack() as stack:
                queries = self._queries(stack)
                before = queries.spent.queries
                stopped = self._ask(queries)
                asked, spent = queries.spent.queries - before, queries.spent
        except (LedgerError, BudgetSpent) as error:
            raise CertifyError(f"{error}; --out names another folder for a new ledger") from None
        rate, reason = self._stated(stopped)
        return StatisticalAnswer(
            self.question,
            rate,
            reason,
            asked,
            spent,
            self._ledger,
            time.monotonic() - started,
            self.hashes,
            versions()["certify"],
        )

    @property
    def _ledger(self) -> Path:
        program = self.question.program
        if program is None or self.question.against is not None:
            return ledger_file(self.home, self.spec.file, self.question.id)
        return ledger_of(program, self.home, self.spec.file)

    def _queries(self, stack: contextlib.ExitStack) -> Queries:
        program = self.question.program
        if program is not None and self.question.against is not None:
            asked = open_queries(stack, ledger_of(program, self.home, self.spec.file), program)
            difference = Difference(self.question, self.question.against, asked)
            budget = Budget(2 * program.budget.queries, timeout=2 * float(program.budget.timeout))
            return stack.enter_context(Queries(self._ledger, difference, budget, program.deterministic))
        if program is not None:
            return open_queries(stack, self._ledger, program)
        networks: Overseer = Networks(self.question)
        return stack.enter_context(Queries(self._ledger, networks, Budget(self.question.terms.queries)))

    def _plan(self) -> Plan:
        return plan_of(self.question, self.seed)

    def _ask(self, queries: Queries) -> str:
        """Ask about all draws; why not all of them were asked about, if so. After a stop nothing is asked."""
        plan = self._plan()
        queries.announce(plan)
        for other in other_questions(queries.ledger.lines, self.question, plan.name):  # such as another `let`
            raise LedgerError(f"{queries.ledger.path}: {other} differ: it is of another specification")
        if self.stopped:
            return f"{self.stopped}: {GOES_ON}"

        def respond(x: np.ndarray) -> Arguments:
            if time.monotonic() > self.until:
                raise OutOfTime
            own: Sequence[float] = x.tolist()
            return [own] if self.question.program is None else [own, *self.question.evaluated(x)]

        return gone_on(self, lambda: ask_all(queries, plan, respond, self.question.rows))

    def _stated(self, stopped: str) -> tuple[Rate | None, str]:
        """The rate that the checker has accepted, and why nothing follows, if so."""
        several = f".{self.question.id}"
        file = self.home / f"{stem(self.spec.file)}{several}{SUFFIX}"
        try:
            statement: Statement = write_statement(file, self._ledger, self.question.id, self.question.rows)
        except StatementError as error:
            return None, stopped or f"incomplete: {error}"
        result = run_checker(file, None, None, False, {})
        if not result.accepted:
            return None, f"certificate: the checker refused it: {result.reason}"
        with zipfile.ZipFile(file) as archive:
            stated = json.loads(archive.read(STATEMENT))
        lower, upper = Fraction(stated["lower"]), Fraction(stated["upper"])
        failures, size = statement.failures, file.stat().st_size
        rate = Rate(
            lower, upper, statement.answered, failures, statement.assumptions, file, size, result.seconds,
            stated["ledger"]["sha256"], failing(self._ledger, self.question.id, self.question.below),
        )  # fmt: skip
        most = Fraction(self.question.terms.max_rate)
        if upper <= most or lower > most:
            return rate, ""
        return rate, stopped or f"rate: what is proved of it is on both sides of {most}"


def gone_on(run: Run, ask: Callable[[], None]) -> str:
    """Ask; why not all of it was asked, if so, which a later run goes on with. A stop is noted in the run."""
    try:
        ask()
    except BudgetSpent as error:
        return f"budget: {error}"
    except OutOfTime:
        return f"timeout: {GOES_ON}"
    except Stopped as stop:
        run.stopped = stop.reason
        return f"{stop.reason}: {GOES_ON}"
    return ""


def failing(ledger: Path, plan: str, below: Fraction) -> tuple[tuple[float, ...], float] | None:
    """The first draw of a plan that fails, and its answer."""
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "answer" and line["answer"] is not None:
            asked, value = lines[line["to"]], float.fromhex(line["answer"])
            if asked["purpose"] == plan and Fraction(value) < below:
                return tuple(map(float.fromhex, asked["arguments"][0])), value
    return None
