"""A stated adversary against a relaxed checker: climbs from random starts, reproducible from its seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from specs.hashes import sha256_of
from verifier.relaxed_checker.checkers import RelaxedChecker
from verifier.relaxed_checker.identity import identity
from verifier.statistics.sampling import Box

SHRINK = 0.5  # of the step, after a round in which nothing became better


@dataclass(frozen=True)
class Found:
    """The best state of a run, and the relaxed checker's value there."""

    state: tuple[float, ...]
    value: float


class Adversary(Protocol):
    """Whoever looks for a state with a large value. ``sha256`` is of everything that a run with a seed depends on."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def states(self) -> Box: ...

    def run(self, checker: RelaxedChecker, seed: int) -> Found: ...


@dataclass(frozen=True)
class Climb:
    """``starts`` random states of a box, and from the best of them ``rounds`` rounds of ``tries`` random steps.

    Steps are normal, ``step`` times the width of each side at first. Every state that is looked at lies in the box.
    """

    states: Box
    starts: int = 32
    rounds: int = 12
    tries: int = 8
    step: float = 0.25

    @property
    def evaluations(self) -> int:
        """How often the relaxed checker's guide is asked in a run; its value is asked once."""
        return self.starts + self.rounds * self.tries

    @property
    def name(self) -> str:
        told = f"{self.starts} starts, {self.rounds} rounds of {self.tries} steps from {self.step} of the width"
        return f"climb ({told})"

    @property
    def sha256(self) -> str:
        """Of this file and the settings: an adversary is stated before it is run."""
        source = sha256_of(Path(__file__))
        box = [v.hex() for end in (self.states.lower, self.states.upper) for v in end]
        return identity("climb", source, self.name, self.step.hex(), " ".join(box))

    def run(self, checker: RelaxedChecker, seed: int) -> Found:
        """The best that this run finds. Raises ``OverseerError`` where the checker gives no number."""
        rng = np.random.Generator(np.random.PCG64(seed))
        lower, upper = np.array(self.states.lower), np.array(self.states.upper)
        width, step = upper - lower, self.step
        best, height = lower, -np.inf

        def better(points: np.ndarray) -> bool:
            nonlocal best, height
            found = [checker.guide(point.tolist()) for point in points]
            k = int(np.argmax(found))
            if not found[k] > height:
                return False
            best, height = points[k], found[k]
            return True

        better(np.clip(lower + rng.random((self.starts, len(lower))) * width, lower, upper))
        for _ in range(self.rounds):
            steps = rng.normal(0, step, (self.tries, len(lower))) * width
            if not better(np.clip(best + steps, lower, upper)):
                step *= SHRINK
        state = tuple(best.tolist())
        return Found(state, checker.value(state))
