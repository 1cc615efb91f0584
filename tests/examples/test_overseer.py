"""The example with a slow overseer: no objection in 300 draws, from beginning to end."""

from __future__ import annotations

import runpy
from fractions import Fraction
from pathlib import Path

from verifier.checking import run_checker

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "overseer"


def test_the_audit_states_what_no_failure_in_300_draws_says(tmp_path):
    statement = runpy.run_path(str(FOLDER / "audit.py"))["audit"](tmp_path)
    # The answer is at least 2 - 1/2 - 1 > 0 on the whole box, so no draw can fail.
    assert (statement.answered, statement.failures) == (300, 0)
    assert (1 - statement.bounds.upper) ** 300 <= Fraction(1, 1000) < (1 - statement.bounds.upper * 9999 / 10000) ** 300
    result = run_checker(tmp_path / "audit.nnstat", None, None, False, {})
    assert result.accepted, result.reason
