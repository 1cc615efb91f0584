"""Asking a slow overseer under a hard budget: every question is written down before it is asked."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Protocol

import numpy as np

from specs.errors import CertifyError
from specs.overseer.python_overseer import OverseerError
from verifier.statistics.ledger import Ledger, LedgerError
from verifier.statistics.plan import Plan
from verifier.statistics.sampling import draws

Arguments = Sequence[Sequence[float]]


class BudgetSpent(CertifyError):
    """No further question may be asked. The ledger is whole, and what it holds can still be stated."""


class Overseer(Protocol):
    """What is asked: ``PythonOverseer``, or anything that raises ``OverseerError`` for what is no finite number."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def ask(self, arguments: Arguments, seconds: float) -> float: ...


@dataclass(frozen=True)
class Budget:
    """Most ``queries``, ``seconds`` of the overseer's time (None: any) and ``cost`` at ``unit_cost`` a query.

    ``timeout`` is the most that one query may take, in seconds.
    """

    queries: int
    seconds: float | None = None
    cost: Fraction | None = None
    unit_cost: Fraction = Fraction(0)
    timeout: float = 60.0

    def to_json(self) -> dict[str, object]:
        cost = None if self.cost is None else str(self.cost)
        return {**vars(self), "cost": cost, "unit_cost": str(self.unit_cost)}


@dataclass(frozen=True)
class Spent:
    """Queries charged so far, a question without an answer included, and the overseer's seconds."""

    queries: int
    seconds: float
    cost: Fraction


class Queries:
    """An overseer, its budget and its ledger. Answers of a deterministic one are remembered and not charged again."""

    def __init__(self, path: Path, overseer: Overseer, budget: Budget, deterministic: bool = True) -> None:
        """Start the ledger or go on with it; raises ``LedgerError`` where it belongs to other terms than these."""
        self.overseer, self.budget, self.deterministic = overseer, budget, deterministic
        header = {"overseer": overseer.name, "source": overseer.sha256, "budget": budget.to_json()}
        self.ledger = Ledger(path, {**header, "deterministic": deterministic})
        self._known: dict[str, int] = {}
        self._asked: dict[int, dict[str, object]] = {}
        self._charged, self._seconds = 0, 0.0
        for line in self.ledger.lines:
            if line["kind"] == "ask":
                self._asked[line["n"]] = line
                self._charged += 1
                self._seconds += line["limit"]  # until its answer says how long it took
            elif line["kind"] == "answer":
                self._note(line, line["n"])

    @property
    def spent(self) -> Spent:
        return Spent(self._charged, self._seconds, self._charged * self.budget.unit_cost)

    def ask(self, arguments: Arguments, purpose: str, draw: int | None = None) -> float:
        """The overseer's answer, remembered or asked for.

        Raises ``BudgetSpent`` before a question that may not be asked, ``LedgerError`` before one with numbers that are
        not finite, and ``OverseerError`` after writing down that the overseer gave no answer.
        """
        if not all(isfinite(v) for values in arguments for v in values):
            raise LedgerError(f"{self.ledger.path}: a question about {purpose!r} has numbers that are not finite")
        key = content_key(arguments)
        about = {"purpose": purpose, "draw": draw, "arguments": _hex(arguments), "key": key}
        if self.deterministic and key in self._known:
            line = self.ledger.lines[self._known[key]]
            self.ledger.append({"kind": "hit", **about, "to": line["n"]})
            return self._value(line)
        limit = self._limit()
        number = self.ledger.append({"kind": "ask", **about, "limit": limit})
        self._asked[number] = self.ledger.lines[number]
        self._charged += 1
        self._seconds += limit
        started = time.monotonic()
        answer, failed = None, ""
        try:
            answer = self.overseer.ask(arguments, limit).hex()
        except OverseerError as error:
            failed = str(error)
        seconds = round(time.monotonic() - started, 6)
        line = {"kind": "answer", "to": number, "answer": answer, "failed": failed, "seconds": seconds}
        self._note(line, self.ledger.append(line))
        return self._value(line)

    def run(self, plan: Plan, respond: Callable[[np.ndarray], Arguments], data: np.ndarray | None = None) -> None:
        """Ask about every draw of the plan that has no answer yet; ``respond`` makes the arguments, the draw first.

        Writes the plan down first, if it is not there. A query without an answer raises ``OverseerError``; a further
        call goes on behind it, and it counts as a failure. ``data`` are the rows of a sampler of rows.
        """
        self.announce(plan)
        done = {
            line["draw"]
            for line in (*self.ledger.lines, *self._answered())
            if line["kind"] in ("hit", "answered") and line["purpose"] == plan.name
        }
        for number, x in zip(range(plan.queries), draws(plan.sampler, plan.seed, data)):
            if number not in done:
                self.ask([x.tolist(), *list(respond(x))[1:]], plan.name, number)

    def announce(self, plan: Plan) -> None:
        """Write the plan down, or find it there; raises ``LedgerError`` where another plan has its name or seed."""
        for line in self.ledger.lines:
            if line["kind"] != "plan":
                continue
            if line["name"] == plan.name:
                if line["plan"] != plan.to_json():
                    raise LedgerError(f"{self.ledger.path}: the ledger holds another plan {plan.name!r}")
                return
            if line["plan"]["seed"] == plan.seed:
                raise LedgerError(f"{self.ledger.path}: plan {line['name']!r} has the seed {plan.seed} already")
        self.ledger.append({"kind": "plan", "name": plan.name, "plan": plan.to_json()})

    def close(self) -> None:
        self.ledger.close()

    def __enter__(self) -> Queries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _limit(self) -> float:
        """Seconds for the next question; raises ``BudgetSpent`` if it may not be asked."""
        b = self.budget
        if self._charged >= b.queries:
            raise BudgetSpent(f"all {b.queries} queries of the budget are spent")
        if b.cost is not None and (self._charged + 1) * b.unit_cost > b.cost:
            raise BudgetSpent(f"another query would cost more than the {b.cost} of the budget")
        left = b.timeout if b.seconds is None else min(b.timeout, b.seconds - self._seconds)
        if left <= 0:
            raise BudgetSpent(f"the {b.seconds:g} seconds of the budget are spent")
        return left

    def _note(self, line: dict[str, object], number: int) -> None:
        asked = self._asked[line["to"]]  # type: ignore[index]
        self._seconds += min(line["seconds"], asked["limit"]) - asked["limit"]  # type: ignore[type-var,operator]
        self._known[str(asked["key"])] = number

    def _answered(self) -> list[dict[str, object]]:
        asks = (self._asked[line["to"]] for line in self.ledger.lines if line["kind"] == "answer")
        return [{**ask, "kind": "answered"} for ask in asks]

    def _value(self, line: dict[str, object]) -> float:
        if line["answer"] is None:
            raise OverseerError(str(line["failed"]))
        return float.fromhex(str(line["answer"]))


def ask_all(
    queries: Queries, plan: Plan, respond: Callable[[np.ndarray], Arguments], data: np.ndarray | None = None
) -> None:
    """Every draw of the plan; one without an answer counts as a failure, and the others are still asked about."""
    while True:
        try:
            return queries.run(plan, respond, data)
        except OverseerError:
            continue


def content_key(arguments: Arguments) -> str:
    """SHA-256 of the arguments as little-endian float64 with their lengths; -0 is not 0."""
    digest = hashlib.sha256(struct.pack("<Q", len(arguments)))
    for values in arguments:
        digest.update(struct.pack(f"<Q{len(values)}d", len(values), *values))
    return digest.hexdigest()


def _hex(arguments: Arguments) -> list[list[str]]:
    return [[float(v).hex() for v in values] for values in arguments]
