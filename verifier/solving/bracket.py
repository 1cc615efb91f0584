"""Which values of a parameter to ask about: bisection between a proof and a refutation, and jumps where bounds allow.

Each value is an ordinary question. Neither end of the bracket rests on the other, or on how values are chosen; a known
order among them (`Solved.effect`) is only what makes the bracket one of the best value itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, isfinite

from specs.solved import Solved
from verifier.engine.outcome import Outcome
from verifier.question import Requirement

DOUBLINGS = 40  # of a range without an upper end
SHARE = 1 / 3  # of the time that is left, for one value: the hardest ones come last
LEAST_SECONDS = 2.0  # for one value, where that much is left: checkers have to be started


@dataclass(frozen=True)
class Probe:
    """What became of the requirement for one value."""

    value: Fraction
    requirement: Requirement
    outcome: Outcome
    seconds: float = 0.0


Ask = Callable[[Fraction, float], Probe]
"""``ask(value, seconds)`` decides the requirement for a value."""
Tighten = Callable[[Probe, Fraction], Probe]
"""``tighten(probe, toward)``: the same violation for a value closer to ``toward``, where it is one there as well."""


class Bracketing:
    """``proved`` and ``refuted`` are the best ends so far; ``open`` is the last probe that stayed unknown."""

    def __init__(self, wanted: Solved, ask: Ask, tighten: Tighten, deadline: float) -> None:
        self.wanted, self._ask, self._tighten, self.deadline = wanted, ask, tighten, deadline
        self.harder = 1 if wanted.maximize else -1
        self.proved: Probe | None = None
        self.refuted: Probe | None = None
        self.open: Probe | None = None
        self.probes: list[Probe] = []
        self.stopped = ""

    def run(self) -> None:
        """Narrow the bracket to the resolution, as far as time and proofs allow."""
        good, bad = self._easy_end(), self._hard_end_of_range()
        if self.stopped or good is None or (self.proved is None and self.refuted is not None):
            return
        if self.proved is not None and bad is None:
            bad = self._far_end(good)
        elif bad is not None and bad != good:
            self._probe(bad, 0.5 * SHARE)
        if bad is None or self.stopped or (self.proved is not None and self.proved.value == bad):
            return
        if self.proved is None:
            self._first_violation(good, bad)
            return
        self._bisect(bad)

    def _bisect(self, bad: Fraction) -> None:
        while self._in_time():
            assert self.proved is not None
            sure, broken = self.proved.value, self.refuted.value if self.refuted is not None else bad
            middle = self._between(sure, broken, self._expected())
            if abs(broken - sure) <= self.wanted.resolution or middle is None:
                return
            probe = self._probe(middle)
            if probe.outcome.verdict == "unknown":
                self._last_proof(middle, self._easier_by(probe))
                self._first_violation(middle, broken, self._harder_by(probe))
                return

    def _last_proof(self, open: Fraction, first: Fraction | None) -> None:
        """Prove as far toward ``open`` as there are proofs; ``first`` is where one is likely."""
        until = time.monotonic() + 0.5 * (self.deadline - time.monotonic())
        while self._in_time() and time.monotonic() < until and self.proved is not None:
            middle = self._between(self.proved.value, open, first)
            first = None
            if abs(open - self.proved.value) <= self.wanted.resolution or middle is None:
                return
            if self._probe(middle).outcome.verdict != "certified":
                open = middle

    def _first_violation(self, open: Fraction, bad: Fraction, first: Fraction | None = None) -> None:
        """Refute as far toward ``open`` as there are violations; ``first`` is where one is likely."""
        while self._in_time():
            broken = self.refuted.value if self.refuted is not None else bad
            if self.harder * (broken - open) <= 0:
                return
            middle = self._between(broken, open, first)
            first = None
            if abs(broken - open) <= self.wanted.resolution or middle is None:
                return
            if self._probe(middle).outcome.verdict != "violated":
                open = middle

    def _easy_end(self) -> Fraction | None:
        """Ask about the end of the range where it is easiest; without such an end, one is looked for by doubling."""
        wanted = self.wanted
        if wanted.maximize or wanted.upper is not None:
            value = wanted.lower if wanted.maximize else wanted.upper
            assert value is not None
            self._probe(value)
            return value
        for k in range(DOUBLINGS):
            if not self._in_time():
                break
            value = wanted.lower + 2**k
            if self._probe(value).outcome.verdict == "certified":
                return value
        return None

    def _hard_end_of_range(self) -> Fraction | None:
        return self.wanted.upper if self.wanted.maximize else self.wanted.lower

    def _far_end(self, good: Fraction) -> Fraction | None:
        """A value that is not proved, from ``good`` on by doubling."""
        for k in range(DOUBLINGS):
            if not self._in_time():
                break
            value = good + 2**k
            if self._probe(value).outcome.verdict != "certified":
                return value
        return None

    def _probe(self, value: Fraction, share: float = SHARE) -> Probe:
        """Ask about one value, and keep what it says. Only better ends are kept."""
        left = max(self.deadline - time.monotonic(), 0.0)
        probe = self._ask(value, min(max(share * left, LEAST_SECONDS), left))
        self.probes.append(probe)
        if probe.outcome.verdict == "certified":
            if self.proved is None or self.harder * (value - self.proved.value) > 0:
                self.proved = probe
        elif probe.outcome.verdict == "violated":
            if self.proved is not None:
                probe = self._tighten(probe, self.proved.value)
            if self.refuted is None or self.harder * (probe.value - self.refuted.value) < 0:
                self.refuted = probe
        else:
            self.open = probe
        if probe.outcome.stopped:
            self.stopped = probe.outcome.reason
        return probe

    def _in_time(self) -> bool:
        return not self.stopped and self.deadline - time.monotonic() > LEAST_SECONDS / 2

    def _expected(self) -> Fraction | None:
        """A little short of where the worst point that the last proof has seen breaks the requirement, or beyond it
        where the proof is close.

        No comparison changes by more than ``rate`` per unit; so the best value is not beyond that point's, and not
        short of what the margin of the proof reaches.
        """
        last, rate = self.probes[-1], self.wanted.rate
        worst, margin = last.outcome.attained, last.outcome.proved
        if last is not self.proved or not rate or not isfinite(worst):
            return None
        limit = Fraction(worst) / rate
        if limit <= self.wanted.resolution * Fraction(3, 4):
            return self._on_grid(last.value + self.harder * limit, self.harder)
        reach = Fraction(margin) / rate if isfinite(margin) and margin > 0 else Fraction(0)
        reach = max(reach, limit - self.wanted.resolution / 2)
        return self._on_grid(last.value + self.harder * reach, -self.harder)

    def _easier_by(self, probe: Probe) -> Fraction | None:
        """The value for which the bounds that did not suffice at ``probe`` would."""
        bound, rate = probe.outcome.proved, self.wanted.rate
        if not rate or not isfinite(bound) or bound >= 0:
            return None
        return self._on_grid(probe.value + self.harder * Fraction(bound) / rate, -self.harder)

    def _harder_by(self, probe: Probe) -> Fraction | None:
        """The value for which the best point found at ``probe`` would be a violation."""
        value, rate = probe.outcome.attained, self.wanted.rate
        if not rate or not isfinite(value) or value < 0:
            return None
        return self._on_grid(probe.value + self.harder * Fraction(value) / rate, self.harder)

    def _on_grid(self, value: Fraction, direction: int) -> Fraction:
        """The next multiple of the step that is beyond ``value`` in a direction."""
        steps = value / self.wanted.step
        return (floor(steps) + 1 if direction > 0 else ceil(steps) - 1) * self.wanted.step

    def _between(self, a: Fraction, b: Fraction, wish: Fraction | None) -> Fraction | None:
        """``wish`` where it lies between two values, else their middle on the grid; None where there is none."""
        middle = round((a + b) / 2 / self.wanted.step) * self.wanted.step
        if wish is not None and min(a, b) < wish < max(a, b):
            middle = wish
        return middle if min(a, b) < middle < max(a, b) else None
