"""Who is asked for a statement about a relaxed checker, as overseers whose answers stand in a ledger.

Answers are such that the event in question is "below a number": see ``plans``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Protocol

from specs.overseer.python_overseer import OverseerError
from verifier.relaxed_checker.adversary import Adversary
from verifier.relaxed_checker.checkers import RelaxedChecker
from verifier.relaxed_checker.identity import identity
from verifier.statistics.queries import Arguments, Overseer


class Embedding(Protocol):
    """iota: from a real input to the relaxed action that it is a case of. ``sha256`` is of what it depends on."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def __call__(self, x: Sequence[float]) -> list[float]: ...


@dataclass(frozen=True)
class Flags:
    """Asked about a state; answers minus the relaxed checker's value."""

    checker: RelaxedChecker

    @property
    def name(self) -> str:
        return f"minus {self.checker.name}"

    @property
    def sha256(self) -> str:
        return identity("relaxed-checker", self.checker.sha256)

    def ask(self, arguments: Arguments, seconds: float) -> float:
        return -_value(self.checker, arguments[0])


@dataclass(frozen=True)
class Runs:
    """Asked with a seed; answers minus the value of the state that the adversary's run with this seed finds."""

    checker: RelaxedChecker
    adversary: Adversary

    @property
    def name(self) -> str:
        return f"minus what {self.adversary.name} finds against {self.checker.name}"

    @property
    def sha256(self) -> str:
        return identity("search", self.checker.sha256, self.adversary.sha256)

    def ask(self, arguments: Arguments, seconds: float) -> float:
        return -self.adversary.run(self.checker, int(arguments[0][0])).value


@dataclass(frozen=True)
class Misses:
    """Asked about a real input and what the model does there; answers below 0 where the relaxed checker is blind.

    Where the state of the input is flagged the answer is 1, and nobody else is asked; elsewhere it is the overseer's.
    So it is below 0 exactly where the overseer objects and the state is not flagged: where consistency fails.
    """

    checker: RelaxedChecker
    embedding: Embedding
    overseer: Overseer
    tau: Fraction

    @property
    def name(self) -> str:
        return f"{self.overseer.name} where {self.checker.name} does not flag {self.embedding.name}"

    @property
    def sha256(self) -> str:
        parts = (self.checker.sha256, self.embedding.sha256, self.overseer.sha256)
        return identity("calibration", str(self.tau), *parts)

    def ask(self, arguments: Arguments, seconds: float) -> float:
        if Fraction(_value(self.checker, self.embedding(arguments[0]))) > self.tau:
            return 1.0
        return self.overseer.ask(arguments, seconds)


def _value(checker: RelaxedChecker, state: Sequence[float]) -> float:
    value = checker.value(state)
    if not isfinite(value) or not 0 <= value <= 1:
        raise OverseerError(f"relaxed checker {checker.name}: {value} is no number from 0 to 1")
    return value
