"""What a program answers minus what networks compute there, as an overseer of its own."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from specs.language.rates.question import Evaluated, StatisticalQuestion
from specs.overseer.python_overseer import OverseerError
from verifier.statistics.ledger import LedgerError
from verifier.statistics.queries import Arguments, Queries, content_key


class Difference:
    """Asks the program through its own ledger and budget; the float64 value of ``against`` is taken off its answer.

    The sign of a difference of two numbers of float64 is not changed by its rounding. Its hash is that of the program,
    of the networks and of the event: for another surrogate there is another ledger. Draws of a box that the program
    had been asked about for another purpose are refused, because then the networks may have been chosen by them.
    """

    def __init__(self, question: StatisticalQuestion, against: Evaluated, queries: Queries) -> None:
        self.against, self.queries = against, queries
        self.name, self.sha256 = identity_of(question, queries.overseer.name, queries.overseer.sha256)
        self.purpose = f"difference {question.id} of {self.sha256[:16]}"
        self.others = frozenset[str]()
        if question.rows is None:
            lines = (line for line in queries.ledger.lines if line["kind"] in ("ask", "hit"))
            self.others = frozenset(line["key"] for line in lines if line["purpose"] != self.purpose)

    def ask(self, arguments: Arguments, seconds: float) -> float:
        if content_key(arguments) in self.others:
            told = "a draw had been asked about before the plan, for another purpose: choose another engine.seed"
            raise LedgerError(f"{self.queries.ledger.path}: {told}")
        answer = self.queries.ask(arguments, self.purpose)
        ((value,),) = self.against(np.array(arguments[0]))
        if not math.isfinite(answer - value):
            raise OverseerError(f"{self.name}: no finite number")
        return answer - value


def identity_of(question: StatisticalQuestion, program: str, sha256: str) -> tuple[str, str]:
    """The name and the hash of a difference from a program with these."""
    files = " and ".join(file.name for _, file in question.models)
    against = "" if question.against is None else question.against.sha256
    told = f"{sha256}\n{question.text}\n{question.model_sha256}\n{against}"
    return f"{program} minus float64 of {files}", hashlib.sha256(told.encode()).hexdigest()
