"""Numbers and words of a report."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.problem import Box, Case, Problem, Row
from specs.property import Requirement as Stated
from verifier.engine.outcome import Attack, Outcome
from verifier.question import Requirement
from verifier.report.report import Answer, Report
from verifier.report.sentence import claim_class, down
from verifier.report.words import number, property_in_words, set_in_words
from verifier.soundness import contradiction

HALF = Fraction(1, 2)


def problem(*cases: Case) -> Problem:
    return Problem(None, cases)  # words look at cases alone


def case(lower, upper, *rows: Row) -> Case:
    return Case(Box(tuple(map(Fraction, lower)), tuple(map(Fraction, upper))), rows)


ROW = Row(((0, Fraction(-2)),), ((1, Fraction(1)),), -HALF)


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_stated_slack_is_never_more_than_the_proved_one(value):
    stated = float(down(value))
    assert stated <= value
    assert stated >= value * (1 - 1e-5)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_they_were(value):
    assert float(number(value)) == value


def test_sets_in_words():
    assert set_in_words(problem(case([-1], [1], ROW))) == "[-1, 1]"
    assert set_in_words(problem(case([0, "1/2"], [1, "3/4"], ROW))) == "[0, 1] x [0.5, 0.75]"
    assert set_in_words(problem(case([0] * 9, [1] * 9, ROW))) == "[0, 1]^9"
    assert set_in_words(problem(case([0] * 9, [*([1] * 8), 0], ROW))) == "a box of 9 inputs, 8 of them free"
    assert set_in_words(problem(case([0], [1], ROW), case([2], [3], ROW))) == "2 boxes of 1 inputs"
    assert set_in_words(problem()) == "the empty set"


def test_properties_in_words():
    other = Row((), ((0, Fraction(1)), (1, Fraction(-1))), Fraction(0), strict=False)
    assert property_in_words(problem(case([0], [1], ROW, other))) == "-2*X_0 + Y_1 - 0.5 > 0 OR Y_0 - Y_1 >= 0"
    assert property_in_words(problem(case([0], [1], *[ROW] * 5))) == ""
    assert property_in_words(problem(case([0], [1]))) == "false"


def answer(verdict: str, severity: str = "malign", name: str = "one") -> Answer:
    stated = Stated(name, severity, problem(case([0], [1], ROW)), "text")
    requirement = Requirement(stated, "[0, 1]", "text", (), id=name)
    return Answer(requirement, Outcome(verdict, "", float("inf"), float("-inf")), 0.0, {"certify": "0"}, {})


@pytest.mark.parametrize(
    ("answers", "verdict", "exit_code"),
    [
        ([("certified", "malign"), ("certified", "benign")], "certified", 0),
        ([("certified", "malign"), ("unknown", "benign")], "unknown", 3),
        ([("unknown", "malign"), ("violated", "benign")], "violated", 1),
        ([("certified", "malign"), ("violated", "info")], "certified", 0),
        ([("violated", "info")], "violated", 0),
        ([], "unknown", 3),
    ],
)
def test_the_gravest_verdict_decides_and_info_never_does(answers, verdict, exit_code):
    report = Report(tuple(answer(*given, name=str(i)) for i, given in enumerate(answers)))
    assert (report.verdict, report.exit_code) == (verdict, exit_code)


def test_infinities_are_null():
    assert answer("unknown").to_json()["bracket"] == [float("inf"), float("-inf")]
    assert Report((answer("unknown"),)).to_json()["bracket"] == [None, None]
    assert "Infinity" not in Report((answer("unknown"),)).json_text()


def test_the_class_of_a_violation_is_that_of_the_arithmetic_that_proved_it():
    def violated(proved: str) -> Outcome:
        return Outcome("violated", "", -1.0, 0.0, attack=Attack((HALF,), None, 0, -1.0, proved, None))

    assert claim_class(violated("every row fails at the point (rational arithmetic)")) == "exact"
    assert claim_class(violated("every row fails at the point (outward-rounded float64)")) == "sound"
    assert claim_class(violated("")) == "heuristic"
    assert claim_class(Outcome("unknown", "timeout", 0.0, 0.0)) == "heuristic"


def test_a_property_that_was_compiled_wrongly_is_noticed():
    """The compiled row fails at the attack, the property as written holds there."""
    row = Row((), ((0, Fraction(1)),), Fraction(0))
    attack = Attack((HALF,), [-1.0], 0, -1.0, "every row fails", None)
    outcome = Outcome("violated", "", -1.0, 0.0, attack=attack)
    compiled = problem(case([0], [1], row))
    assert contradiction(Stated("r", "malign", compiled, "y > 0"), outcome) == ""
    wrong = Stated("r", "malign", compiled, "y > -2", judge=lambda x, y: not y[0] > -2)
    assert "as written holds and the compiled one fails" in contradiction(wrong, outcome)
