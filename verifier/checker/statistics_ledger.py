"""The checker's reader of a ledger: the chain of hashes, the shape of every line, the budget, one answer a draw."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from verifier.checker.errors import CheckError

MOST_LINES = 10**7
LONGEST_NUMBER = 1000  # characters of an exact number
MOST_SECONDS = 1e15
NUMBER = re.compile(r"[+-]?[0-9]+(?:/[0-9]+|\.[0-9]+)?")
HASH = re.compile(r"[0-9a-f]{64}")
KEYS = {
    "open": {"n", "kind", "format", "version", "overseer", "source", "budget", "deterministic"},
    "plan": {"n", "kind", "name", "plan"},
    "ask": {"n", "kind", "purpose", "draw", "arguments", "key", "limit"},
    "hit": {"n", "kind", "purpose", "draw", "arguments", "key", "to"},
    "answer": {"n", "kind", "to", "answer", "failed", "seconds"},
}
BUDGET = {"queries", "seconds", "cost", "unit_cost", "timeout"}


@dataclass
class Plan:
    """A plan's line and, draw by draw, the inputs asked about and what was answered (None: nothing that counts).

    ``before`` answers stand before the plan; ``foreseen`` draws are inputs that had been asked about by then.
    """

    content: dict[str, Any]
    line: int
    before: int
    inputs: list[list[float]] = field(default_factory=list)
    answers: list[float | None] = field(default_factory=list)
    foreseen: int = 0
    further: bool = False  # whether a question had further arguments
    asked: dict[int, int] = field(default_factory=dict)  # by draw, the line that asked first


@dataclass
class LedgerContent:
    """Who was asked, by plan what was answered, and how many questions never got an answer of their own."""

    overseer: str
    source: str
    deterministic: bool
    plans: dict[str, Plan] = field(default_factory=dict)
    lines: int = 0
    queries: int = 0
    unanswered: int = 0
    repeated: int = 0
    answers: list[tuple[list[list[float]], float | None]] = field(default_factory=list)
    """Answers to questions that are no draws of a plan, with the questions' arguments."""


@dataclass(frozen=True)
class Question:
    """One question: about which draw of which plan, if any, and the line at which its input was first asked about."""

    line: int
    purpose: str
    draw: int | None
    key: str
    arguments: list[list[float]]
    limit: float
    first: int


def read_ledger(data: bytes, head: str, count: int) -> LedgerContent:
    """All of it; ``head`` is the hash the last of ``count`` lines has to have. Raises CheckError at the first fault."""
    raw_lines = data.split(b"\n")
    if raw_lines.pop() != b"" or not 1 <= len(raw_lines) <= MOST_LINES or len(raw_lines) != count:
        raise CheckError(f"the ledger does not have the {count} whole lines that are stated")
    previous, reading = b"0" * 64, None
    for number, raw in enumerate(raw_lines):
        body, mark, end = raw[:-77], raw[-77:-66], raw[-66:]
        digest = hashlib.sha256(previous + b"\n" + body).hexdigest().encode()
        if mark != b',"sha256":"' or end != digest + b'"}':
            raise CheckError(f"line {number + 1} of the ledger breaks the chain of hashes: it was changed")
        line, previous = _line(body + b"}", number), digest
        if reading is None:
            reading = _Reading(line)
        else:
            reading.take(line)
    if reading is None or previous.decode() != head:
        raise CheckError("the ledger does not end in the hash that is stated")
    return reading.whole(len(raw_lines))


def _line(text: bytes, number: int) -> dict[str, Any]:
    line = json_object(text, f"line {number + 1} of the ledger")
    kind = line.get("kind")
    if not isinstance(kind, str) or kind not in KEYS or set(line) != KEYS[kind] or natural(line["n"]) != number:
        raise CheckError(f"line {number + 1} of the ledger is none of the format, or is out of place")
    if (kind == "open") != (number == 0):
        raise CheckError(f"line {number + 1}: a ledger is opened once, by its first line")
    return line


class _Reading:
    """What the lines so far say. A line's numbers are kept, its text is not."""

    def __init__(self, first: dict[str, Any]) -> None:
        if first["format"] != "certify-ledger" or type(first["version"]) is not int or first["version"] != 1:
            raise CheckError("the ledger is of an unknown format or version")
        if type(first["deterministic"]) is not bool:
            raise CheckError("the ledger does not say whether the overseer is deterministic")
        if not HASH.fullmatch(text(first["source"])):
            raise CheckError("the ledger does not state the hash of the overseer's source")
        self.budget = _budget(first["budget"])
        self.found = LedgerContent(
            f"{text(first['overseer'])!r} (sha256:{first['source']})",
            first["source"],
            deterministic=first["deterministic"],
        )
        self.waiting: dict[int, Question] = {}
        self.answered: dict[int, str] = {}  # the key of the question that a line answers
        self.known: dict[str, float | None] = {}
        self.first: dict[str, int] = {}  # by the hash of an input, the line that asked about it first
        self.seeds: set[int] = set()
        self.seconds = 0.0

    def take(self, line: dict[str, Any]) -> None:
        if line["kind"] == "plan":
            self._plan(line)
        elif line["kind"] == "ask":
            question = self._question(line, real(line["limit"]))
            if question.limit > self.budget["timeout"]:
                raise CheckError(f"line {line['n'] + 1}: a query gets more time than the budget allows")
            self.waiting[question.line] = question
            self.found.queries += 1
        elif line["kind"] == "answer":
            self._answer(line)
        else:
            self._hit(line)

    def whole(self, lines: int) -> LedgerContent:
        """All that was read, if it is within the budget. What was cut off has taken all of its time."""
        self.seconds += math.fsum(question.limit for question in self.waiting.values())
        queries, b = self.found.queries, self.budget
        over = queries > b["queries"]
        over |= b["seconds"] is not None and self.seconds > b["seconds"] * (1 + 1e-9) + 1e-6
        over |= b["cost"] is not None and queries * b["unit_cost"] > b["cost"]
        if over:
            raise CheckError("the ledger exceeds its own budget")
        self.found.lines, self.found.unanswered = lines, len(self.waiting)
        return self.found

    def _plan(self, line: dict[str, Any]) -> None:
        name = text(line["name"])
        if not isinstance(line["plan"], dict):
            raise CheckError(f"plan {name!r} is no object")
        seed = natural(line["plan"].get("seed"))
        if name in self.found.plans or seed in self.seeds:
            raise CheckError(f"two plans have the name {name!r}, or the same seed")
        self.seeds.add(seed)
        self.found.plans[name] = Plan(line["plan"], line["n"], before=len(self.answered))

    def _question(self, line: dict[str, Any], limit: float) -> Question:
        arguments, number = _arguments(line), line["n"]
        if line["key"] != _key(arguments):
            raise CheckError(f"line {number + 1}: its key is not that of its arguments")
        first = self.first.setdefault(_key(arguments[:1]), number)
        draw = None if line["draw"] is None else natural(line["draw"])
        question = Question(number, text(line["purpose"]), draw, line["key"], arguments, limit, first)
        if draw is not None:
            self._plan_of(question).asked.setdefault(draw, number)
        return question

    def _plan_of(self, question: Question) -> Plan:
        plan = self.found.plans.get(question.purpose)
        if plan is None or question.draw is None or question.draw < len(plan.answers):
            raise CheckError(f"line {question.line + 1}: a draw before its plan, or one that was answered already")
        return plan

    def _answer(self, line: dict[str, Any]) -> None:
        question = self.waiting.pop(natural(line["to"]), None)
        if question is None:
            raise CheckError(f"line {line['n'] + 1} answers no open question")
        value = _value(line)
        self.seconds += min(real(line["seconds"]), question.limit)
        self.answered[line["n"]] = question.key
        if self.found.deterministic and self.known.setdefault(question.key, value) != value:
            raise CheckError(f"line {line['n'] + 1}: an overseer said to be deterministic answers in two ways")
        if question.draw is None:
            self.found.answers.append((question.arguments, value))
        self._record(question, value)

    def _hit(self, line: dict[str, Any]) -> None:
        question = self._question(line, 0.0)
        if not self.found.deterministic or self.answered.get(natural(line["to"])) != question.key:
            raise CheckError(f"line {line['n'] + 1} repeats an answer to another question, or may not repeat one")
        self.found.repeated += 1
        self._record(question, self.known[question.key])

    def _record(self, question: Question, value: float | None) -> None:
        """Note the answer about a draw. Asking again after a cut is a choice, unless the answer has to be the same."""
        if question.draw is None:
            return
        plan = self._plan_of(question)
        if question.draw != len(plan.answers):
            raise CheckError(f"line {question.line + 1}: draw {question.draw} is out of turn")
        once = self.found.deterministic or plan.asked[question.draw] == question.line
        plan.inputs.append(question.arguments[0])
        plan.answers.append(value if once else None)
        plan.foreseen += question.first < plan.line
        plan.further |= len(question.arguments) > 1


def _budget(stated: object) -> dict[str, Any]:
    if not isinstance(stated, dict) or set(stated) != BUDGET:
        raise CheckError("the ledger states no budget")
    cost, unit = (None if stated[k] is None else rational(stated[k]) for k in ("cost", "unit_cost"))
    if unit is None or unit < 0:
        raise CheckError("the budget states no cost of a query")
    seconds = None if stated["seconds"] is None else real(stated["seconds"])
    times = {"seconds": seconds, "timeout": real(stated["timeout"])}
    return {"queries": natural(stated["queries"]), "cost": cost, "unit_cost": unit, **times}


def _value(line: dict[str, Any]) -> float | None:
    if line["answer"] is None:
        if not text(line["failed"]):
            raise CheckError(f"line {line['n'] + 1} has neither an answer nor a reason")
        return None
    if line["failed"] != "":
        raise CheckError(f"line {line['n'] + 1} has an answer and a reason for none")
    return hexadecimal(line["answer"])


def _arguments(line: dict[str, Any]) -> list[list[float]]:
    value = line["arguments"]
    if not isinstance(value, list) or not value or not all(isinstance(part, list) for part in value):
        raise CheckError(f"line {line['n'] + 1}: arguments are no lists of numbers")
    return [[hexadecimal(v) for v in part] for part in value]


def _key(arguments: list[list[float]]) -> str:
    digest = hashlib.sha256(len(arguments).to_bytes(8, "little"))
    for part in arguments:
        digest.update(struct.pack(f"<Q{len(part)}d", len(part), *part))
    return digest.hexdigest()


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """An object in JSON, in UTF-8, with each key once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise CheckError(f"{what}: a key stands twice")
        return dict(pairs)

    try:
        value = json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise CheckError(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise CheckError(f"{what} is no object")
    return value


def hexadecimal(value: object) -> float:
    """A finite float64 in hexadecimal, exactly as Python writes it."""
    try:
        number = float.fromhex(value) if isinstance(value, str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or number.hex() != value:
        raise CheckError(f"{_told(value)} is no finite number in hexadecimal")
    return number


def natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 128:
        raise CheckError(f"{_told(value)} is no whole number from 0")
    return value


def real(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MOST_SECONDS:
        raise CheckError(f"{_told(value)} is no time in seconds")
    return float(value)


def rational(value: object) -> Fraction:
    """A number from text: ``3``, ``3/4`` or ``0.75``."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER and NUMBER.fullmatch(value):
        try:
            return Fraction(value)
        except ZeroDivisionError:
            pass
    raise CheckError(f"{_told(value)} is no exact number")


def text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise CheckError("a text is missing or too long")
    return "".join(c if c.isprintable() else "?" for c in value)


def _told(value: object) -> str:
    """A wrong value in a message; what is nested is not spelt out."""
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
