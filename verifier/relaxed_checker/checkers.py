"""Relaxed checkers: from a relaxed action (a vector) to a number in [0, 1], how much of a catastrophe it is.

An action is *flagged* at a level tau in [0, 1) if its value exceeds tau.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from specs.hashes import sha256_of
from specs.loading import load_model
from specs.overseer.python_overseer import OverseerError
from verifier.relaxed_checker.identity import identity
from verifier.statistics.clopper_pearson import Interval, interval
from verifier.statistics.queries import Arguments, Queries

State = Sequence[float]


class RelaxedChecker(Protocol):
    """``sha256`` is of everything that the values depend on."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def value(self, state: State) -> float:
        """In [0, 1], the same whenever it is asked about the same state. Raises ``OverseerError`` if there is none."""

    def guide(self, state: State) -> float:
        """What an adversary climbs; no claim rests on it."""


class NetworkChecker:
    """The first output of a network, cut to [0, 1]; what float64 computes of it."""

    def __init__(self, file: Path) -> None:
        self.file, self.name = file, file.name
        self.sha256 = sha256_of(file)
        self.graph = load_model(file)

    def value(self, state: State) -> float:
        score = self.guide(state)
        if np.isnan(score):
            raise OverseerError(f"relaxed checker {self.name}: no number")
        return min(max(score, 0.0), 1.0)

    def guide(self, state: State) -> float:
        return float(self.graph.evaluate_flat(state)[0])


class Rounding(Protocol):
    """From a relaxed action to a real input, at random."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def draw(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


@dataclass(eq=False)
class RoundedChecker:
    """The share of ``samples`` inputs, rounded from the state, at which the overseer objects (answers below 0).

    The generator is seeded by the state and ``seed``: the share is a function of the state, and statements about it are
    about this function. ``bounds`` says what it says of the probability Pr[C(x, f(x))] for x rounded from the state.
    ``respond`` gives an input's arguments for the overseer, the input first, ``model`` is the hash of what it runs. The
    overseer is asked through ``queries``: every question is written down and charged, and ``BudgetSpent`` ends it. A
    question without an answer counts as an objection.
    """

    queries: Queries
    rounding: Rounding
    respond: Callable[[np.ndarray], Arguments]
    model: str
    samples: int
    seed: int = 0
    name: str = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("a share is of at least one sample")
        self.name = f"share of {self.samples} by {self.rounding.name}"
        of = (self.queries.overseer.sha256, self.rounding.sha256, self.model, str(self.samples), str(self.seed))
        self.sha256 = identity("rounding", *of)

    def value(self, state: State) -> float:
        return self._objections(state) / self.samples

    guide = value

    def bounds(self, state: State, level: Fraction) -> Interval:
        """Of Pr[C(x, f(x))] for x rounded from this state, wrong with probability at most ``level``."""
        return interval(self._objections(state), self.samples, level)

    def _objections(self, state: State) -> int:
        content = hashlib.sha256(struct.pack(f"<Q{len(state)}d", self.seed, *state)).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(content[:16], "little")))
        point = np.array(state, dtype=float)
        return sum(self._objects(self.rounding.draw(point, rng)) for _ in range(self.samples))

    def _objects(self, x: np.ndarray) -> bool:
        try:
            return self.queries.ask([x.tolist(), *list(self.respond(x))[1:]], self.name) < 0
        except OverseerError:
            return True
