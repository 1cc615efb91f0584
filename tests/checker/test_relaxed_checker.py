"""Statements about natural inputs by way of a relaxed checker: honest ones are accepted, and say what is true."""

from __future__ import annotations

import math

from tests.checker.relaxed_statements import CONFIDENCE, F, composed, verdict
from verifier.checking import run_checker


def test_an_honest_composition_is_accepted_and_covers(tmp_path):
    data, natural = composed(tmp_path)
    found = verdict(data)
    assert found.accepted, found.reason
    truth = math.pi / 4 * 0.25**2 * 4  # of the quarter disc, under the uniform law on a quarter of the square
    assert truth <= float(natural.upper) < 10 * truth
    assert natural.confidence == 2 * CONFIDENCE - 1 == F(98, 100)
    assert natural.missed.failures == 0
    assert natural.upper >= 4 * F(natural.flagged.failures, 300)
    for words in ("points near a corner", "at confidence 49/50", "objections that it misses", "dP/dQ <= 4"):
        assert words in found.reason


def test_the_command_judges_it(tmp_path):
    composed(tmp_path)
    result = run_checker(tmp_path / "natural.nnstat", None, None, False, {})
    assert result.accepted, result.reason
    assert result.kind == "statistical"
