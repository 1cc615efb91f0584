"""Answering a specification about an overseer known by axioms: ask where a function that fits would fail."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from relaxations.smt.axioms import Axioms, Known, Point
from relaxations.smt.cover import Cell, Cut
from relaxations.smt.first_order import (
    Attack,
    AxiomsBroken,
    Fictitious,
    Outcome,
    Proved,
    Setting,
    query_the_attack,
)
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.axioms.spec import AxiomQuestion, AxiomSpec, read_axiom_spec
from specs.overseer.python_overseer import OverseerError, PythonOverseer
from verifier.answer import versions
from verifier.axioms.cells import Region, Word, partition, words_of
from verifier.axioms.question import outputs_spec
from verifier.axioms.report import AxiomAnswer
from verifier.axioms.statement import SUFFIX, write_statement
from verifier.checking import run_checker
from verifier.engine.outcome import Proof, Verdict
from verifier.files import stem
from verifier.places import make_folder
from verifier.report.report import Report
from verifier.statistics.queries import Budget, BudgetSpent, Queries

Certify = Callable[..., Report]
SHARE_OF_SEARCH = 0.6  # of the time left, where a certificate about the network has to follow


def answer_axioms(
    model: Path | None,
    file: Path,
    deadline: float,
    parameters: Mapping[str, str],
    load: Callable[..., Graph],
    certify: Certify,
    out: Path | None = None,
) -> Report:
    """Decide every requirement by ``deadline``, a reading of ``time.monotonic``; ``certify`` answers about networks.

    Files go into ``out``: the ledger, which a later run goes on with, and a statement for each requirement.
    Raises ``CertifyError``.
    """
    started = time.monotonic()
    spec = read_axiom_spec(file, model, parameters, load)
    read = time.monotonic() - started
    hashes = {"spec": sha256_of(file), "overseer": sha256_of(Path(spec.python.rpartition(":")[0]))}
    hashes |= {} if spec.target_file is None else {f"model {spec.target}": sha256_of(spec.target_file)}
    answers = []
    with tempfile.TemporaryDirectory(prefix="certify-") as scratch:
        home = make_folder(out) if out is not None else Path(scratch)
        ledger = home / f"{stem(file)}.ledger.jsonl"
        budget = Budget(spec.queries, spec.ask_seconds)
        with PythonOverseer(spec.python) as overseer, Queries(ledger, overseer, budget) as queries:
            for number, question in enumerate(spec.questions):
                left = (deadline - time.monotonic()) / (len(spec.questions) - number)
                run = _Run(spec, question, queries, ledger, home, certify, min(left, spec.seconds or math.inf), hashes)
                found = run.answer()
                answers.append(found if out is not None else run.without_files(found))
    seconds = {"read": read, "decide": sum(answer.seconds for answer in answers)}
    return Report(tuple(answers), "", seconds, versions(), hashes, spec.gates)


@dataclass
class _Run:
    """One requirement."""

    spec: AxiomSpec
    question: AxiomQuestion
    queries: Queries
    ledger: Path
    home: Path
    certify: Certify
    seconds: float
    hashes: dict[str, str]

    def answer(self) -> AxiomAnswer:
        started = time.monotonic()
        self.until = started + self.seconds
        self.inputs: dict[Point, tuple[float, ...]] = {}
        before = self.queries.spent.queries
        known = self._known()
        try:
            outcome: Outcome | str = self._searched(known)
        except (OverseerError, BudgetSpent) as error:
            outcome = f"overseer: {error}"
        found = self._judged(outcome)
        return replace(
            found,
            asked=self.queries.spent.queries - before,
            answers=len(self._known()),
            ledger_sha256=self.queries.ledger.head,
            seconds=time.monotonic() - started,
        )

    def without_files(self, found: AxiomAnswer) -> AxiomAnswer:
        proof = found.certificate
        kept = None if proof is None else replace(proof, path=Path())
        return replace(found, certificate=kept, ledger=Path(), witness=None)

    # the search

    def _searched(self, known: tuple[Known, ...]) -> Outcome:
        share = SHARE_OF_SEARCH if self.question.through else 1.0
        left = self.spec.queries - self.queries.spent.queries
        return query_the_attack(
            self._setting(),
            lambda point: (
                Fraction(self.queries.ask([[float(v) for v in point]], self.question.id)) - self.question.threshold
            ),
            left,
            share * (self.until - time.monotonic()),
            known=known,
            asked_at=self._asked_at,
        )

    def _axioms(self) -> Axioms:
        """The axioms of ``g - threshold``."""
        given, shift = self.spec.axioms, self.question.threshold
        lower, upper = (None if end is None else end - shift for end in (given.lower, given.upper))
        return Axioms(given.dimension, given.lipschitz, given.norm, given.increasing, given.decreasing, lower, upper)

    def _setting(self) -> Setting:
        axioms, (lower, upper) = self._axioms(), self.spec.box
        if self.spec.graph is None:
            return Setting.on_box(axioms, lower, upper, self.question.strict)
        from relaxations.base import Query
        from relaxations.bounds.boxes import Rows
        from relaxations.lowering import lower as lowered
        from relaxations.smt.encode import Question

        network = lowered(self.spec.graph)
        size = axioms.dimension
        rows = Rows(np.zeros((size, network.input_size)), np.eye(size), np.zeros(size))
        low, up = (np.array([float(v) for v in end]) for end in self.spec.box)
        return Setting.after(axioms, Question.of(Query.over_box(network, rows, low, up)), strict=self.question.strict)

    def _asked_at(self, point: Point, model: Mapping[str, Fraction]) -> Point:
        """The float64 point next to a model's: an output that the network has in float64, where there is one."""
        lower, upper = self.spec.box
        if self.spec.graph is None:
            return tuple(map(_inside, point, lower, upper))
        x = [_inside(model[f"x{k}"], l, u) for k, (l, u) in enumerate(zip(lower, upper))]
        outputs = self.spec.graph.evaluate_flat([float(v) for v in x]).tolist()
        place = tuple(Fraction(v) for v in outputs)
        self.inputs[place] = tuple(map(float, x))
        return place

    def _known(self) -> tuple[Known, ...]:
        """All answers in the ledger, of ``g - threshold``."""
        lines = self.queries.ledger.lines
        found = []
        for line in lines:
            if line["kind"] == "answer" and line["answer"] is not None:
                (place,) = lines[line["to"]]["arguments"]
                value = Fraction(float.fromhex(line["answer"])) - self.question.threshold
                found.append(Known(tuple(Fraction(float.fromhex(v)) for v in place), value))
        return tuple(found)

    # the verdict

    def _judged(self, outcome: Outcome | str) -> AxiomAnswer:
        if isinstance(outcome, str):
            return self._made("unknown", outcome)
        if isinstance(outcome, Proved):
            return self._proved(outcome)
        if isinstance(outcome, Attack):
            return self._attacked(outcome)
        if isinstance(outcome, AxiomsBroken):
            told = " and ".join(
                f"{float(one.value + self.question.threshold)!r} at {tuple(map(float, one.point))}"
                for one in outcome.culprits
            )
            return self._made("unknown", f"axioms: the answers contradict them: {told}")
        if isinstance(outcome, Fictitious):
            reason = f"budget: all {self.spec.queries} queries are spent"
            value = float(outcome.value + self.question.threshold)
            return self._made("unknown", reason, point=tuple(map(float, outcome.point)), value=value)
        return self._made("unknown", f"incomplete: {outcome.reason}")

    def _attacked(self, outcome: Attack) -> AxiomAnswer:
        last = outcome.known[-1]
        value = float(last.value + self.question.threshold)
        found = self._made(
            "violated",
            "",
            point=tuple(map(float, last.point)),
            value=value,
            model_input=self.inputs.get(last.point, ()),
        )
        if self.question.through:
            return found
        witness = self._file()
        number = [one.point for one in self._known()].index(last.point)
        write_statement(witness, self.spec, self.question, self.ledger, f"NOT {self.question.text}", None, number)
        result = run_checker(witness, None, None, False, {})
        if not result.accepted:
            return self._made("unknown", f"certificate: {result.reason}")
        return replace(found, witness=witness)

    def _proved(self, outcome: Proved) -> AxiomAnswer:
        known, outputs = self._known(), None
        words: list[Word]
        if self.question.through:
            cells = partition(self._axioms(), known, self.question.strict)
            if cells is None:
                return self._made("unknown", "incomplete: what the answers leave open has too many cells")
            outputs = self._outputs(cells.empty)
            if outputs is None:
                reason = "incomplete: no function that fits fails, but that no output is elsewhere was not certified"
                return self._made("unknown", f"{reason} within the time")
            words = list(cells.words)
        elif isinstance(outcome.proof, Cell | Cut):
            words = list(words_of(outcome.proof))
        else:
            return self._made("unknown", "incomplete: proved by cases, for which there is no certificate")
        file = self._file()
        found = replace(
            self._made("certified", ""),
            answers=len(known),
            ledger_sha256=self.queries.ledger.head,
            rests_on=outcome.rests_on,
            tight=outcome.note,
        )
        size = write_statement(file, self.spec, self.question, self.ledger, found.claim, words, None, outputs)
        result = run_checker(file, self.spec.target_file if outputs else None, None, False, {})
        if not result.accepted:
            return self._made("unknown", f"certificate: the checker refused it: {result.reason}")
        binding = "independent" if self.question.through else "recompiled"
        return replace(found, certificate=Proof(file, size, result.leaves, result.seconds, binding, exact=result.exact))

    def _outputs(self, empty: tuple[Region, ...]) -> bytes | None:
        """The certificate that no output of the target lies in these regions, if there is one."""
        with tempfile.TemporaryDirectory(prefix="certify-") as folder:
            place = Path(folder)
            (place / "outputs.yaml").write_text(outputs_spec(self.spec, empty))
            left = max(self.until - time.monotonic(), 0.1)
            certificate = place / "outputs.nncert"
            report = self.certify(None, place / "outputs.yaml", timeout=left, certificate=certificate)
            return certificate.read_bytes() if report.verdict == "certified" else None

    def _file(self) -> Path:
        several = f".{self.question.id}" if len(self.spec.questions) > 1 else ""
        return self.home / f"{stem(self.spec.file)}{several}{SUFFIX}"

    def _made(
        self,
        verdict: Verdict,
        reason: str,
        point: tuple[float, ...] = (),
        value: float | None = None,
        model_input: tuple[float, ...] = (),
    ) -> AxiomAnswer:
        return AxiomAnswer(
            self.spec,
            self.question,
            verdict,
            reason,
            None,
            point,
            value,
            model_input,
            (),
            "",
            0,
            0,
            self.ledger,
            "",
            0.0,
            self.hashes,
            versions()["certify"],
        )


def _inside(value: Fraction, low: Fraction, up: Fraction) -> Fraction:
    """The float64 next to a number, between the ends if there is one."""
    near = float(value)
    for candidate in (near, math.nextafter(near, -math.inf), math.nextafter(near, math.inf)):
        if low <= Fraction(candidate) <= up:
            return Fraction(candidate)
    return Fraction(near)
