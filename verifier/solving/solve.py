"""A requirement with a parameter to be found: values are asked about, and the evidence for both ends is kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from specs.language.gates import exactly
from specs.solved import Solved
from verifier.engine.outcome import Attack, Outcome, Proof, Verdict
from verifier.interruption import Stopped
from verifier.places import RELAXED_SUFFIX, SUFFIX
from verifier.question import Question, Requirement
from verifier.solving.abstract import of_inputs, on_inputs
from verifier.solving.bracket import Bracketing, Probe
from verifier.solving.solution import Solution, Tried
from verifier.solving.witness import witness_at
from verifier.soundness import SoundnessError

if TYPE_CHECKING:
    from verifier.answer import Settings

WITNESS_SUFFIX = ".nnwitness"
Decide = Callable[[Question, Requirement, "Settings", float], tuple[Outcome, str]]


def is_sought(requirement: Requirement) -> bool:
    """Whether a requirement has a parameter that nobody gave a value."""
    return requirement.stated.solved is not None and not requirement.stated.solved.given


def solve(
    question: Question,
    requirement: Requirement,
    settings: Settings,
    seconds: float,
    decide: Decide,
    producer: Callable[[Requirement], Mapping[str, str]],
) -> tuple[Requirement, Outcome, Solution]:
    """The requirement for the best value, what became of it, and the bracket.

    ``decide`` answers an ordinary question within seconds; ``producer`` is what evidence about a requirement records.
    The outcome is certified where some value is, violated where all values of the range are known to be.
    Raises ``SoundnessError`` where a proof and a violation exclude each other.
    """
    home = settings.place(requirement.id) if settings.place is not None else None
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=home.parent if home else None) as folder:
        solving = _Solving(question, requirement, settings, seconds, decide, producer, Path(folder))
        solving.run()
        return solving.result(home)


@dataclass
class _Solving:
    question: Question
    requirement: Requirement
    settings: Settings
    seconds: float
    decide: Decide
    producer: Callable[[Requirement], Mapping[str, str]]
    folder: Path

    def __post_init__(self) -> None:
        assert self.requirement.stated.solved is not None
        self.wanted: Solved = self.requirement.stated.solved
        self.deadline = time.monotonic() + self.seconds
        self.files = 0
        self.search = Bracketing(self.wanted, self.ask, self.tightened, self.deadline)

    def run(self) -> None:
        try:
            self.search.run()
        except Stopped as stop:
            self.search.stopped = stop.reason
        proved, refuted = self.search.proved, self.search.refuted
        if proved is None or refuted is None or not self.wanted.is_monotone:
            return
        if self.search.harder * (refuted.value - proved.value) <= 0:
            raise SoundnessError(
                f"requirement {self.requirement.id}: proved for {self.wanted.name} = {exactly(proved.value)}, and "
                f"violated for {exactly(refuted.value)}, which excludes it"
            )

    def ask(self, value: Fraction, seconds: float) -> Probe:
        """Decide the requirement for a value; its evidence goes into the folder."""
        started = time.monotonic()
        requirement, place = self.posed(value), self.next_file()
        settings = replace(self.settings, place=lambda id: place)
        outcome, stopped = self.decide(self.question, requirement, settings, seconds)
        if requirement.stated.concrete is not None and not stopped:
            left = seconds - (time.monotonic() - started)
            requirement, outcome = on_inputs(self.question, requirement, outcome, settings, left, self.decide)
        outcome = replace(outcome, stopped=bool(stopped))
        return Probe(value, requirement, outcome, time.monotonic() - started)

    def posed(self, value: Fraction) -> Requirement:
        assert self.question.posed_at is not None
        return self.question.posed_at(self.requirement.id, {self.wanted.name: exactly(value)})

    def posed_like(self, other: Requirement, value: Fraction) -> Requirement:
        """The requirement for a value; the one about inputs where ``other`` is that of an abstracted one."""
        posed = self.posed(value)
        return of_inputs(posed) if posed.stated.concrete is not None and other.stated.concrete is None else posed

    def next_file(self) -> Path:
        self.files += 1
        return self.folder / f"{self.files}{SUFFIX}"

    def tightened(self, probe: Probe, toward: Fraction) -> Probe:
        """The same input for the value closest to ``toward`` at which it still breaks the requirement."""
        attack = probe.outcome.attack
        if attack is None or attack.outputs is None:
            return probe
        outputs = [Fraction(value) for value in attack.outputs]
        best, sure = probe.value, toward
        while self.deadline - time.monotonic() > 0 and abs(best - sure) > self.wanted.step:
            middle = round((best + sure) / 2 / self.wanted.step) * self.wanted.step
            if not min(best, sure) < middle < max(best, sure):
                break
            if self.posed_like(probe.requirement, middle).stated.is_violated_at(attack.point, outputs):
                best = middle
            else:
                sure = middle
        for value in (best, self._less_far(best, probe.value)):
            if abs(value - probe.value) < self.wanted.step:
                break
            moved = self.posed_like(probe.requirement, value)
            found = self._witness(moved, attack)
            if found is not None:
                outcome = replace(probe.outcome, attack=found, attained=min(found.value, 0.0))
                return Probe(value, moved, outcome, probe.seconds)
        return probe

    def _less_far(self, value: Fraction, back: Fraction) -> Fraction:
        """A little back from a value at which only rounding may be in the way."""
        return value + (1 if back > value else -1) * self.wanted.step

    def _witness(self, requirement: Requirement, attack: Attack) -> Attack | None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            return None
        record, start = self.producer(requirement), self.settings.start_checker
        return witness_at(self.question, requirement, attack.point, self.next_file(), record, start, left)

    def result(self, home: Path | None) -> tuple[Requirement, Outcome, Solution]:
        """The best probe with its files where they belong; with empty paths where nothing is kept."""
        proved, refuted, open = self.search.proved, self.search.refuted, self.search.open
        proof = _proof(proved, home)
        attack = _attack(refuted, home)
        verdict = self._verdict()
        best = proved or (refuted if verdict == "violated" else open or refuted)
        reason = "" if verdict != "unknown" else self._reason()
        solution = Solution(
            self.wanted,
            proved.value if proved is not None else None,
            refuted.value if refuted is not None else None,
            tuple(Tried(one.value, one.outcome.verdict, one.seconds) for one in self.search.probes),
            attack.path if attack is not None else None,
            self._why_wide(),
        )
        if best is None:  # stopped before there was any answer
            outcome = Outcome(verdict, reason, inf, -inf, stopped=bool(self.search.stopped))
            return self.requirement, outcome, solution
        stats = {
            "values": float(len(self.search.probes)),
            "nodes": sum(one.outcome.stats.get("nodes", 0) for one in self.search.probes),
            "seconds": sum(one.seconds for one in self.search.probes),
        }
        relaxed = best.outcome.relaxed
        if relaxed is not None and relaxed.path is not None:
            target = home.with_suffix(RELAXED_SUFFIX) if home is not None and verdict == "unknown" else None
            relaxed = replace(relaxed, path=relaxed.path.replace(target) if target is not None else None)
        outcome = replace(
            best.outcome,
            verdict=verdict,
            reason=reason,
            proof=proof,
            attack=attack,
            relaxed=relaxed if verdict == "unknown" else None,
            stats=stats,
            stopped=bool(self.search.stopped),
        )
        return best.requirement, outcome, solution

    def _verdict(self) -> Verdict:
        """Violated means: for every value of the range."""
        if self.search.proved is not None:
            return "certified"
        easiest = self.wanted.lower if self.wanted.maximize else self.wanted.upper
        refuted = self.search.refuted
        all_of_them = refuted is not None and refuted.value == easiest and self.wanted.is_monotone
        return "violated" if all_of_them else "unknown"

    def _reason(self) -> str:
        if self.search.stopped:
            return self.search.stopped
        last = self.search.probes[-1].outcome.reason if self.search.probes else ""
        if last:
            return last
        return f"incomplete: no value of {self.wanted.name} was proved, and not all are refuted"

    def _why_wide(self) -> str:
        proved, refuted = self.search.proved, self.search.refuted
        if proved is None:
            return ""
        hard = self.wanted.upper if self.wanted.maximize else self.wanted.lower
        if refuted is not None and abs(refuted.value - proved.value) <= self.wanted.resolution:
            return ""
        if proved.value == hard:
            return ""
        if self.search.stopped:
            return self.search.stopped
        between = self.search.open
        reason = between.outcome.reason if between is not None else "timeout"
        return "timeout" if reason.endswith("no answer in time") else reason.partition(":")[0]


def _proof(probe: Probe | None, home: Path | None) -> Proof | None:
    if probe is None or probe.outcome.proof is None:
        return None
    proof = probe.outcome.proof
    return replace(proof, path=proof.path.replace(home) if home is not None else Path())


def _attack(probe: Probe | None, home: Path | None) -> Attack | None:
    if probe is None or probe.outcome.attack is None:
        return None
    attack = probe.outcome.attack
    if attack.path is None:
        return attack
    target = home.with_suffix(WITNESS_SUFFIX) if home is not None else None
    return replace(attack, path=attack.path.replace(target) if target is not None else None)
