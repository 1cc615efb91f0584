"""Deciding polynomial questions: brackets, points found by search, and what is kept when there is no proof."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cvxpy")

from specs.language.polynomials.spec import read_polynomial_spec
from specs.polynomial_problem import PolynomialCase, PolynomialProblem
from tests.polynomials import judged, number, square_box, van_der_pol, written, x, y
from verifier.polynomials.decide import decide
from verifier.polynomials.search import Numeric, search

ALWAYS = 1e12


def spec(folder: Path, condition: str, more: str = "", engine: str = "[sample, sos]"):
    file = folder / "spec.yaml"
    file.write_text(
        'certify: "1.0"\nname: t\ninputs:\n  x: {shape: [2], box: {lo: -1, hi: 1}}\n'
        f'require:\n  - id: r\n    assert: "{condition}"\n{more}engine: {{methods: {engine}}}\n'
    )
    return read_polynomial_spec(file, {})


def decided(folder: Path, condition: str, more: str = "", engine: str = "[sample, sos]"):
    read = spec(folder, condition, more, engine)
    return decide(read.questions[0], read, time.monotonic() + 60, 0)


def test_a_smallest_parameter_is_bracketed_from_the_other_side(tmp_path):
    solve_for = "    solve_for: {c: {minimize: true, range: [0, 4], resolution: 0.01}}\n"
    found = decided(tmp_path, "x[0]**2 + x[0]*x[1] + x[1]**2 <= c", solve_for)
    assert found.refuted.value < 3 <= found.proved.value, "the maximum is 3, at two corners"
    assert found.proved.value - found.refuted.value <= Fraction(3, 100)
    assert found.refuted.problem.violated(found.refuted.found.point) is not None


def test_a_parameter_that_is_always_good_is_proved_at_its_far_end(tmp_path):
    solve_for = "    solve_for: {c: {maximize: true, range: [0, 1]}}\n"
    found = decided(tmp_path, "x[0]**2 + 2 >= c", solve_for)
    assert found.proved.value == 1
    assert found.refuted is None


def test_a_parameter_that_is_never_good_is_refuted_at_its_near_end(tmp_path):
    solve_for = "    solve_for: {c: {maximize: true, range: [0, 1]}}\n"
    found = decided(tmp_path, "x[0]**2 - 1 >= c", solve_for)
    assert found.proved is None
    assert found.refuted.value <= Fraction(1, 1000)


def test_only_the_methods_named_are_used(tmp_path):
    sampled = decided(tmp_path, "x[0]**2 >= -1", engine="[sample]")
    assert (sampled.proved, sampled.refuted) == (None, None)
    assert sampled.reason.startswith("incomplete")
    proved = decided(tmp_path, "x[0] >= 0", engine="[sos]")
    assert (proved.proved, proved.refuted) == (None, None)


def test_flat_moments_lead_to_a_violation_that_is_exact(tmp_path):
    # Equality at one point only: x = 1/2, y = -1/2. The assertion fails there and nowhere else.
    found = decided(tmp_path, "(2*x[0] - 1)**2 + (2*x[1] + 1)**2 > 0")
    assert found.refuted.found.point == (Fraction(1, 2), Fraction(-1, 2))


def test_several_cases_are_proved_one_by_one(tmp_path):
    found = decided(tmp_path, "x[0]**2 <= 1 and x[1]**4 <= 2 and x[0]*x[1] != 3")
    assert len(found.proved.proofs) == 3
    assert judged(written(found.proved.problem, found.proved.proofs)).accepted


def test_what_is_tight_everywhere_is_proved_in_simple_fractions(tmp_path):
    for condition in ("x[0]**2 <= 1", "(x[0] - x[1])**2 >= 0", "x[0]*x[1] <= 1"):
        assert decided(tmp_path, condition).proved is not None, condition


def test_no_time_is_no_answer(tmp_path):
    read = spec(tmp_path, "x[0] >= -1")
    found = decide(read.questions[0], read, time.monotonic() - 1, 0)
    assert found.reason == "timeout"
    assert (found.proved, found.refuted) == (None, None)


def test_gradients_are_those_of_the_values():
    rng = np.random.default_rng(0)
    p = Numeric(van_der_pol(Fraction(2)).weak[0], 2)
    for point in rng.uniform(-2, 2, (5, 2)):
        for k in range(2):
            step = np.eye(2)[k] * 1e-6
            slope = (p(point + step) - p(point - step)) / 2e-6
            assert p.gradient(point)[k] == pytest.approx(slope, abs=1e-6)
    points = rng.uniform(-2, 2, (7, 2))
    np.testing.assert_allclose(p.at_all(points), [p(point) for point in points], atol=1e-12)


def test_what_search_finds_is_in_the_set_and_an_empty_set_has_nothing():
    lower, upper = square_box(2)
    rng = np.random.default_rng(0)
    thin = PolynomialCase((x * y - number("0.999"), number("1.001") - x * x), (number("1.001") - y * y,))
    found = search(PolynomialProblem(("x", "y"), lower, upper, (thin,)), rng, 12, ALWAYS)
    assert found is not None
    assert thin.contains(found.point)
    empty = PolynomialCase((x - number(1), number(1) - x))
    assert search(PolynomialProblem(("x", "y"), lower, upper, (empty,)), rng, 12, ALWAYS) is None


def test_equations_are_met_exactly_or_not_at_all():
    lower, upper = square_box(2)
    rng = np.random.default_rng(0)
    line = PolynomialCase((x,), (), (x - number(2) * y,))
    found = search(PolynomialProblem(("x", "y"), lower, upper, (line,)), rng, 12, ALWAYS)
    assert found is None or line.contains(found.point)
