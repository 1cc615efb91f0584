"""Which values are asked about: against thresholds that are known, with answers that are missing near them."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from specs.solved import Solved
from verifier.engine.outcome import Outcome, Verdict
from verifier.question import Requirement
from verifier.solving.bracket import Bracketing, Probe

NOBODY = cast(Requirement, None)


class Threshold:
    """Holds on the easy side of ``at``; nothing is known within ``blur`` of it, or on the side that is ``silent``."""

    def __init__(self, wanted: Solved, at: Fraction, blur: Fraction = Fraction(0), silent: str = "") -> None:
        self.wanted, self.at, self.blur, self.silent = wanted, at, blur, silent
        self.harder = 1 if wanted.maximize else -1
        self.asked: list[Fraction] = []

    def __call__(self, value: Fraction, seconds: float) -> Probe:
        self.asked.append(value)
        short = self.harder * (self.at - value)
        verdict: Verdict = "unknown" if abs(short) < self.blur else "certified" if short >= 0 else "violated"
        verdict = "unknown" if verdict == self.silent else verdict
        rate = float(self.wanted.rate)
        return Probe(value, NOBODY, Outcome(verdict, "", float(short) * rate, float(short) * rate / 2))

    def bracket(self) -> Bracketing:
        search = Bracketing(self.wanted, self, lambda probe, toward: probe, time.monotonic() + 60)
        search.run()
        return search


RANGES = st.tuples(st.integers(-40, 40), st.integers(1, 80)).map(
    lambda r: (Fraction(r[0], 4), Fraction(r[0] + r[1], 4))
)
RESOLUTIONS = st.sampled_from([Fraction(1, 10), Fraction(1, 200), Fraction(3, 7)])
RATES = st.sampled_from([Fraction(0), Fraction(1), Fraction(5, 3)])


@st.composite
def questions(draw: st.DrawFn) -> tuple[Solved, Fraction]:
    (lower, upper), maximize = draw(RANGES), draw(st.booleans())
    wanted = Solved("t", maximize, lower, upper, draw(RESOLUTIONS), lower, rate=draw(RATES))
    return wanted, lower + (upper - lower) * Fraction(draw(st.integers(-10, 110)), 100)


@given(questions())
@settings(max_examples=200, deadline=None)
def test_the_bracket_holds_the_best_value_and_is_within_the_resolution(question: tuple[Solved, Fraction]) -> None:
    wanted, at = question
    assert wanted.upper is not None
    found = Threshold(wanted, at).bracket()
    easy, hard = (wanted.lower, wanted.upper) if wanted.maximize else (wanted.upper, wanted.lower)
    sign = 1 if wanted.maximize else -1
    if sign * (at - easy) < 0:
        assert found.proved is None
        assert found.refuted is not None
        assert found.refuted.value == easy
        assert len(found.probes) == 1
        return
    assert found.proved is not None
    assert sign * (at - found.proved.value) >= 0
    if sign * (at - hard) >= 0:
        assert found.proved.value == hard
        return
    assert found.refuted is not None
    assert sign * (found.refuted.value - at) > 0
    assert abs(found.refuted.value - found.proved.value) <= wanted.resolution


@given(questions(), st.sampled_from([Fraction(1, 50), Fraction(2, 3)]))
@settings(max_examples=100, deadline=None)
def test_what_stays_open_makes_the_bracket_wider_and_no_end_wrong(
    question: tuple[Solved, Fraction], blur: Fraction
) -> None:
    wanted, at = question
    assert wanted.upper is not None
    found = Threshold(wanted, at, blur).bracket()
    sign = 1 if wanted.maximize else -1
    easy, hard = (wanted.lower, wanted.upper) if wanted.maximize else (wanted.upper, wanted.lower)
    if found.proved is not None:
        assert sign * (at - found.proved.value) >= blur
    if found.refuted is not None:
        assert sign * (found.refuted.value - at) >= blur
    if sign * (at - easy) >= blur and sign * (hard - at) >= blur:
        assert found.proved is not None
        assert found.refuted is not None
        assert abs(found.refuted.value - found.proved.value) <= 2 * blur + 2 * wanted.resolution


@given(questions(), st.sampled_from(["certified", "violated"]))
@settings(max_examples=50, deadline=None)
def test_one_side_alone_is_followed_as_far_as_it_goes(question: tuple[Solved, Fraction], silent: str) -> None:
    wanted, at = question
    assert wanted.upper is not None
    found = Threshold(wanted, at, silent=silent).bracket()
    sign = 1 if wanted.maximize else -1
    easy, hard = (wanted.lower, wanted.upper) if wanted.maximize else (wanted.upper, wanted.lower)
    inside = sign * (at - easy) > 0 and sign * (hard - at) > 0
    if silent == "certified":
        assert found.proved is None
        if inside:
            assert found.refuted is not None
            assert 0 < sign * (found.refuted.value - at) <= wanted.resolution
    else:
        assert found.refuted is None
        if inside:
            assert found.proved is not None
            assert 0 <= sign * (at - found.proved.value) <= wanted.resolution


@given(st.booleans(), st.integers(0, 5000), RATES)
@settings(max_examples=50, deadline=None)
def test_without_an_upper_end_the_range_is_doubled(maximize: bool, at: int, rate: Fraction) -> None:
    wanted = Solved("t", maximize, Fraction(0), None, Fraction(1, 10), Fraction(0), rate=rate)
    found = Threshold(wanted, Fraction(at, 3)).bracket()
    assert found.proved is not None
    assert found.refuted is not None or (not maximize and found.proved.value == 0)
    if found.refuted is not None:
        assert abs(found.refuted.value - found.proved.value) <= wanted.resolution


def test_bounds_save_questions() -> None:
    """With the value of the worst point known, a handful of questions does what halving needs a dozen for."""
    wanted = Solved("t", False, Fraction(0), Fraction(10), Fraction(1, 200), Fraction(10))
    halving, jumping = (
        Threshold(wanted, Fraction(31, 17)),
        Threshold(replace(wanted, rate=Fraction(1)), Fraction(31, 17)),
    )
    halving.bracket()
    jumping.bracket()
    assert len(halving.asked) >= 12
    assert len(jumping.asked) <= 6


def test_being_told_to_stop_ends_it_with_what_is_known() -> None:
    wanted = Solved("t", True, Fraction(0), Fraction(10), Fraction(1, 200), Fraction(0))
    known = Threshold(wanted, Fraction(3))

    def ask(value: Fraction, seconds: float) -> Probe:
        probe = known(value, seconds)
        if len(known.asked) < 4:
            return probe
        return replace(probe, outcome=Outcome("unknown", "interrupted", 0.0, 0.0, stopped=True))

    search = Bracketing(wanted, ask, lambda probe, toward: probe, time.monotonic() + 60)
    search.run()
    assert len(known.asked) == 4
    assert search.stopped == "interrupted"
    assert search.proved is not None
    assert search.refuted is not None
