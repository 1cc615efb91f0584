"""Asking a program the questions a surrogate is learned from, each once, and training the network on the answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from specs.hashes import sha256_of
from specs.language.rates.surrogates import SurrogateQuestion
from specs.loading.onnx_writer import write_onnx
from specs.overseer.python_overseer import OverseerError
from verifier.files import stem
from verifier.interruption import Stopped
from verifier.statistics.answer import ledger_of, open_queries
from verifier.statistics.ledger import LedgerError
from verifier.statistics.queries import BudgetSpent, Queries, Spent, content_key
from verifier.surrogate.choosing import candidates, schedule
from verifier.surrogate.network import train

STEPS = 4000
FORMAT, VERSION = "certify-surrogate", 1


@dataclass(frozen=True)
class Lesson:
    """What was shown, all arguments of a question, and what was answered; None: no number."""

    arguments: tuple[tuple[float, ...], ...]
    answer: float | None

    @property
    def key(self) -> str:
        return content_key(self.arguments)


@dataclass(frozen=True)
class Learned:
    """A surrogate, its ``file`` and what it was learned from; ``reason`` says why there is none, if so.

    ``asked`` questions in this run, ``lessons`` in all, ``answered`` of them with a number. ``error`` is the root mean
    square on these, of answers with the deviation ``spread``; neither is a claim about anything else.
    """

    question: SurrogateQuestion
    file: Path
    sha256: str
    asked: int
    lessons: int
    answered: int
    error: float
    spread: float
    spent: Spent
    reason: str = ""

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        asked = f"{self.asked} now, {self.lessons} of {self.question.queries} to learn from"
        charged = f"{self.spent.queries} of {self.question.program.budget.queries} of the budget"
        lines = [("questions", f"{asked}; {charged}")]
        if self.reason:
            return [*lines, ("reason", self.reason.partition(": ")[2] or self.reason)]
        fit = f"root mean square error {self.error:.3g} on {self.answered} answers of deviation {self.spread:.3g}"
        return [*lines, ("fit", f"{fit}: no claim"), ("network", str(self.file) if self.file.name else "not kept")]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.question.name,
            "of": self.question.program.name,
            "arch": list(self.question.arch),
            "select": list(self.question.select),
            "asked": self.asked,
            "lessons": self.lessons,
            "answered": self.answered,
            "charged": self.spent.queries,
            "error": self.error,
            "spread": self.spread,
            "file": str(self.file) if self.file.name else None,
            "sha256": self.sha256 or None,
            "reason": self.reason,
        }


def surrogate_file(home: Path, spec: Path, name: str) -> Path:
    """Where the network of a surrogate is kept."""
    return home / f"{stem(spec)}.{name}.onnx"


def learn(question: SurrogateQuestion, spec: Path, home: Path, until: float) -> Learned:
    """Ask what has not been asked yet, then train, or take the network that the same answers gave before.

    Nothing is asked after ``until``, a reading of ``time.monotonic``, nor beyond the budget; a later call goes on.
    Raises ``CertifyError`` where the ledger is of other terms, or the network's file was changed.
    """
    ledger = ledger_of(question.program, home, spec)
    try:
        with contextlib.ExitStack() as stack:
            queries = open_queries(stack, ledger, question.program)
            before = queries.spent.queries
            school = _School(question, queries, until)
            try:
                reason = school.ask()
            except Stopped as stop:
                reason = f"{stop.reason}: {school.so_far}; the same command goes on"
            spent = queries.spent
    except LedgerError as error:
        raise CertifyError(f"{error}; --out names another folder for a new ledger") from None
    lessons, file = school.lessons, surrogate_file(home, spec, question.name)
    known = [lesson for lesson in lessons if lesson.answer is not None]
    counts = (spent.queries - before, len(lessons), len(known))
    if not reason and len(known) < 2:
        reason = f"answers: {question.program.name} gave {len(known)} numbers, which is nothing to learn from"
    if reason:
        return Learned(question, Path(), "", *counts, math.nan, math.nan, spent, reason)
    terms = _terms(question, lessons, ledger)
    record = _kept(file, terms)
    if record is None:
        record = terms | _trained(question, known, file)
        _written(file.with_suffix(".json"), json.dumps(record, indent=1).encode())
    return Learned(question, file, record["network"], *counts, record["error"], record["spread"], spent)


class _School:
    """One surrogate's questions; ``lessons`` are those asked so far, in order, as the ledger has them."""

    def __init__(self, question: SurrogateQuestion, queries: Queries, until: float) -> None:
        self.question, self.queries, self.until = question, queries, until
        self.purpose = f"learning {question.name}"
        self.lessons = _lessons(queries.ledger.lines, self.purpose, question.sizes)

    def ask(self) -> str:
        """Ask all that is missing; why not all was asked, if so."""
        asked = {lesson.key for lesson in self.lessons}
        end = 0
        for number, wanted in enumerate(schedule(self.question.queries, self.question.select)):
            start, end = end, end + sum(count for _, count in wanted)
            if end <= len(self.lessons):
                continue
            for kind, x in self._candidates(number, wanted, self.lessons[:start]):
                if len(self.lessons) >= end:
                    break
                arguments = self.question.shown(x)
                if self._flat(arguments) is None or content_key(arguments) in asked:
                    continue
                if time.monotonic() > self.until:
                    return f"timeout: {self.so_far}; the same command goes on"
                asked.add(content_key(arguments))
                try:
                    answer = self.queries.ask(arguments, f"{self.purpose}: {kind}")
                except OverseerError:
                    answer = None
                except BudgetSpent as error:
                    return f"budget: {self.so_far}: {error}"
                self.lessons.append(Lesson(tuple(map(tuple, arguments)), answer))
        return ""

    @property
    def so_far(self) -> str:
        return f"{len(self.lessons)} of {self.question.queries} questions to learn {self.question.name} from were asked"

    def _candidates(self, number: int, wanted: Any, lessons: Sequence[Lesson]) -> Any:
        question = self.question
        box = (question.lower, question.upper)
        rng = _generator(question, number)
        return candidates(wanted, question.arch, box, rows(lessons), lambda x: self._flat(question.shown(x)), rng)

    @staticmethod
    def _flat(arguments: Sequence[Sequence[float]]) -> np.ndarray | None:
        found = np.concatenate([np.array(part, dtype=float) for part in arguments])
        return found if np.isfinite(found).all() else None


def rows(lessons: Sequence[Lesson]) -> tuple[np.ndarray, np.ndarray]:
    """What was shown (n, d) and what was answered (n,), where there was an answer."""
    known = [lesson for lesson in lessons if lesson.answer is not None]
    shown = [[v for part in lesson.arguments for v in part] for lesson in known]
    return np.array(shown, dtype=float), np.array([lesson.answer for lesson in known], dtype=float)


def _lessons(lines: Sequence[dict[str, Any]], purpose: str, sizes: tuple[int, ...]) -> list[Lesson]:
    """Of a ledger's lines, what was shown in these sizes; a question that was cut off has had its turn, no answer."""
    answers = {line["to"]: line["answer"] for line in lines if line["kind"] == "answer"}
    found = []
    for line in lines:
        if line["kind"] in ("ask", "hit") and line["purpose"].startswith(f"{purpose}: "):
            answer = lines[line["to"]]["answer"] if line["kind"] == "hit" else answers.get(line["n"])
            arguments = tuple(tuple(map(float.fromhex, part)) for part in line["arguments"])
            if tuple(map(len, arguments)) == sizes:
                found.append(Lesson(arguments, None if answer is None else float.fromhex(answer)))
    return found


def _generator(question: SurrogateQuestion, number: int) -> np.random.Generator:
    """One for each round. Draws of plans come from seeds without a spawn key, so that none of them is drawn here."""
    key = (zlib.crc32(question.name.encode()), number)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(question.seed, spawn_key=key)))


def _terms(question: SurrogateQuestion, lessons: Sequence[Lesson], ledger: Path) -> dict[str, Any]:
    """What the network follows from: the answers, the sizes, the seed, the way it is trained."""
    digest = hashlib.sha256()
    for lesson in lessons:
        answer = "none" if lesson.answer is None else lesson.answer.hex()
        digest.update(f"{lesson.key} {answer}\n".encode())
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": question.name,
        "ledger": ledger.name,
        "lessons": len(lessons),
        "lessons_sha256": digest.hexdigest(),
        "arch": list(question.arch),
        "seed": question.seed,
        "steps": STEPS,
    }


def _kept(file: Path, terms: dict[str, Any]) -> dict[str, Any] | None:
    """The record of the network that is there already, if it is of these terms."""
    try:
        record = json.loads(file.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or any(record.get(key) != value for key, value in terms.items()):
        return None
    if not file.is_file():
        return None
    if sha256_of(file) != record.get("network"):
        raise CertifyError(f"{file}: was changed since it was learned; remove it to have it learned again")
    return record


def _trained(question: SurrogateQuestion, known: Sequence[Lesson], file: Path) -> dict[str, Any]:
    """Train the network and write its file; its hash and how well it fits."""
    x, y = rows(known)
    network = train(question.arch, x, y, STEPS, _generator(question, -1 % 2**32))
    content = write_onnx(network.graph())
    _written(file, content)
    error = float(np.sqrt(np.mean((network(x) - y) ** 2)))
    return {"network": hashlib.sha256(content).hexdigest(), "error": error, "spread": float(y.std())}


def _written(file: Path, content: bytes) -> None:
    """The file, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, file)
