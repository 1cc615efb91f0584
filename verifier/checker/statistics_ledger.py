"""The checker's reader of a ledger: the chain of hashes, the shape of every line, the budget, one answer a draw."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from verifier.checker.errors import CheckError

MOST_LINES = 10**7
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
    """A plan's line, and what was answered about its draws: arguments and answer (None: there was none)."""

    content: dict[str, Any]
    answered: dict[int, tuple[list[list[float]], float | None]] = field(default_factory=dict)


@dataclass
class LedgerContent:
    """Who was asked, by plan what was answered, and how many questions never got an answer of their own."""

    overseer: str
    plans: dict[str, Plan] = field(default_factory=dict)
    lines: int = 0
    queries: int = 0
    unanswered: int = 0
    repeated: int = 0
    answers: list[tuple[list[list[float]], float | None]] = field(default_factory=list)
    """Every answer to a question of its own, with the question's arguments."""


def read_ledger(data: bytes, head: str, count: int) -> LedgerContent:
    """All of it; ``head`` is the hash the last of ``count`` lines has to have. Raises CheckError at the first fault."""
    raw_lines = data.split(b"\n")
    if raw_lines.pop() != b"" or not 1 <= len(raw_lines) <= MOST_LINES or len(raw_lines) != count:
        raise CheckError(f"the ledger does not have the {count} whole lines that are stated")
    lines, previous = [], b"0" * 64
    for number, raw in enumerate(raw_lines):
        body, mark, end = raw[:-77], raw[-77:-66], raw[-66:]
        digest = hashlib.sha256(previous + b"\n" + body).hexdigest().encode()
        if mark != b',"sha256":"' or end != digest + b'"}':
            raise CheckError(f"line {number + 1} of the ledger breaks the chain of hashes: it was changed")
        lines.append(_line(body + b"}", number))
        previous = digest
    if previous.decode() != head:
        raise CheckError("the ledger does not end in the hash that is stated")
    return _understood(lines)


def _line(text: bytes, number: int) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise CheckError(f"line {number + 1}: a key stands twice")
        return dict(pairs)

    try:
        line = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise CheckError(f"line {number + 1} of the ledger is not JSON") from None
    kind = line.get("kind") if isinstance(line, dict) else None
    if not isinstance(kind, str) or kind not in KEYS or set(line) != KEYS[kind] or line["n"] != number:
        raise CheckError(f"line {number + 1} of the ledger is none of the format, or is out of place")
    if (kind == "open") != (number == 0):
        raise CheckError(f"line {number + 1}: a ledger is opened once, by its first line")
    return dict(line)


def _understood(lines: list[dict[str, Any]]) -> LedgerContent:
    first = lines[0]
    if first["format"] != "certify-ledger" or type(first["version"]) is not int or first["version"] != 1:
        raise CheckError("the ledger is of an unknown format or version")
    if type(first["deterministic"]) is not bool:
        raise CheckError("the ledger does not say whether the overseer is deterministic")
    found = LedgerContent(f"{text(first['overseer'])} sha256:{text(first['source'])}", lines=len(lines))
    asks: dict[int, dict[str, Any]] = {}
    answers: dict[int, tuple[dict[str, Any], float | None]] = {}  # by line, with the question's line
    waiting: dict[int, dict[str, Any]] = {}
    seconds = 0.0
    for line in lines[1:]:
        kind = line["kind"]
        if kind == "plan":
            _add_plan(found, line)
        elif kind == "answer":
            ask = waiting.pop(natural(line["to"]), None)
            if ask is None:
                raise CheckError(f"line {line['n'] + 1} answers no open question")
            value = _value(line)
            seconds += min(real(line["seconds"]), real(ask["limit"]))
            answers[line["n"]] = ask, value
            found.answers.append((_arguments(ask), value))
            _record(found, ask, value)
        else:
            if line["key"] != _key(_arguments(line)):
                raise CheckError(f"line {line['n'] + 1}: its key is not that of its arguments")
            if kind == "ask":
                asks[line["n"]] = waiting[line["n"]] = line
                continue
            source = answers.get(natural(line["to"]))
            if not first["deterministic"] or source is None or source[0]["key"] != line["key"]:
                raise CheckError(f"line {line['n'] + 1} repeats an answer to another question, or may not repeat one")
            found.repeated += 1
            _record(found, line, source[1])
    found.queries, found.unanswered = len(asks), len(waiting)
    _within(first["budget"], len(asks), seconds)
    return found


def _add_plan(found: LedgerContent, line: dict[str, Any]) -> None:
    name = text(line["name"])
    if not isinstance(line["plan"], dict):
        raise CheckError(f"plan {name!r} is no object")
    seeds = [plan.content["seed"] for plan in found.plans.values()]
    if name in found.plans or natural(line["plan"].get("seed")) in seeds:
        raise CheckError(f"two plans have the name {name!r}, or the same seed")
    found.plans[name] = Plan(line["plan"])


def _record(found: LedgerContent, question: dict[str, Any], value: float | None) -> None:
    """Note the answer about a draw of a plan; a draw is asked about after its plan, and answered once."""
    if question["draw"] is None:
        return
    plan, draw = found.plans.get(text(question["purpose"])), natural(question["draw"])
    if plan is None or draw in plan.answered:
        raise CheckError(f"line {question['n'] + 1}: a draw before its plan, or one that was answered already")
    if draw != len(plan.answered):
        raise CheckError(f"line {question['n'] + 1}: draw {draw} is out of turn")
    plan.answered[draw] = _arguments(question), value


def _within(budget: object, queries: int, seconds: float) -> None:
    if not isinstance(budget, dict) or set(budget) != BUDGET:
        raise CheckError("the ledger states no budget")
    over = queries > natural(budget["queries"])
    over |= budget["seconds"] is not None and seconds > real(budget["seconds"]) * (1 + 1e-9) + 1e-6
    over |= budget["cost"] is not None and queries * rational(budget["unit_cost"]) > rational(budget["cost"])
    if over:
        raise CheckError("the ledger exceeds its own budget")


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
        digest.update(len(part).to_bytes(8, "little") + b"".join(struct.pack("<d", v) for v in part))
    return digest.hexdigest()


def hexadecimal(value: object) -> float:
    """A finite float64 in hexadecimal, exactly as Python writes it."""
    try:
        number = float.fromhex(value) if isinstance(value, str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or number.hex() != value:
        raise CheckError(f"{str(value)[:40]!r} is no finite number in hexadecimal")
    return number


def natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 128:
        raise CheckError(f"{str(value)[:40]!r} is no whole number from 0")
    return value


def real(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= float(value) < math.inf:  # type: ignore[arg-type]
        raise CheckError(f"{str(value)[:40]!r} is no time in seconds")
    return float(value)  # type: ignore[arg-type]


def rational(value: object) -> Fraction:
    """A number from text: ``3``, ``3/4`` or ``0.75``."""
    if isinstance(value, str) and len(value) <= 400 and "e" not in value.lower():
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            pass
    raise CheckError(f"{str(value)[:40]!r} is no exact number")


def text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise CheckError("a text is missing or too long")
    return "".join(c if c.isprintable() else "?" for c in value)
