"""Attacks beside the search take their share of the time and no more, and go where violations are likely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.verifier.engine.made import made
from verifier.engine import attacks as attacks_module
from verifier.engine.attacks import FIRST_STARTS, MOST_STARTS, SHARE, Schedule, timed
from verifier.engine.deadline import Deadline
from verifier.engine.scheduler import attack_on


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_the_share_of_the_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(attacks_module, "time", clock)
    schedule = Schedule(seed=0, started=clock.now)
    rounds, longest = 0, 0.5
    for _ in range(2000):
        clock.now += 0.05  # the search at work
        if schedule.due:
            clock.now += longest
            schedule.spent += longest
            rounds += 1
        passed = clock.now - 100.0
        assert schedule.spent <= SHARE * passed + longest
    assert schedule.spent >= SHARE * (clock.now - 100.0) - longest
    assert rounds >= 20


def test_each_round_has_more_starts_and_another_seed() -> None:
    schedule = Schedule(seed=7)
    rounds = [schedule.next({0: 1.0}) for _ in range(12)]
    counts = [count for _, count, _ in rounds]
    assert counts[0] > FIRST_STARTS
    assert counts == sorted(counts)
    assert counts[-1] == MOST_STARTS
    assert len({seed for *_, seed in rounds}) == 12


def test_the_case_nearest_to_failing_comes_first_and_no_case_is_forgotten() -> None:
    schedule = Schedule(seed=0)
    chosen = [schedule.next({0: 5.0, 1: 0.1, 2: 1.0})[0] for _ in range(18)]
    assert chosen[0] == 1
    assert {chosen.count(case) for case in (0, 1, 2)} == {6}


def test_an_attack_stays_in_the_box_and_reports_what_it_found(tmp_path: Path) -> None:
    found = 0
    for seed in range(200, 215):
        one = made(seed, tmp_path)
        [(_, best)], seconds = timed(attack_on([one.case()], 48, 0, Deadline.after(5)))
        assert (one.lower <= best.point).all()
        assert (best.point <= one.upper).all()
        assert best.value == pytest.approx(one.explorer.values(best.point[None])[0])
        assert best.value >= float(one.question.optimum) - 1e-6 * (1 + abs(best.value))
        assert 0 <= seconds < 5
        found += best.value <= 0
        assert best.value > 0 or not one.question.holds
    assert found >= 3


def test_an_attack_that_has_no_time_still_reports_a_point(tmp_path: Path) -> None:
    one = made(200, tmp_path)
    [(_, best)], _ = timed(attack_on([one.case()], 48, 0, Deadline.after(-1)))
    assert np.isfinite(best.value)
