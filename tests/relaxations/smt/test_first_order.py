"""Querying the attack: counts against the optimum, real attacks, broken axioms, networks, infinitesimal models."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.smt import cover, first_order, refutation, z3_solver
from relaxations.smt.answers import Contradicted, Satisfied
from relaxations.smt.axioms import Axioms, Known, Point
from relaxations.smt.encode import Question, vector
from relaxations.smt.first_order import (
    Attack,
    AxiomsBroken,
    Fictitious,
    Proved,
    Rule,
    Setting,
    Unfinished,
    query_the_attack,
)
from relaxations.smt.formula import All, Formula, Some, at_least, at_most, below_zero
from tests.relaxations.smt.questions import random_network

F = Fraction
ONE = Axioms(1, F(1))
UNIT = Setting.on_box(ONE, (F(0),), (F(1),))
RULES: tuple[Rule, ...] = ("frontier", "lowest", "any")
MARGINS = {F(1, 2): 1, F(1, 10): 5, F(1, 20): 10, F(1, 50): 25}


def constant(value: Fraction):
    return lambda point: value


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("margin", MARGINS)
def test_a_constant_is_proved_with_no_fewer_queries_than_is_possible(margin: Fraction, rule: Rule) -> None:
    """An answer m makes safe an interval of length 2m: ceil(1 / 2m) are needed, and fewer would be a false proof."""
    optimum = MARGINS[margin]
    assert optimum == ceil(1 / (2 * margin))
    found = query_the_attack(UNIT, constant(margin), 100, 100, rule)
    assert isinstance(found, Proved)
    assert optimum <= len(found.known) <= 2.5 * optimum
    assert cover.covers(ONE, found.known, (F(0),), (F(1),), found.proof)
    if rule == "frontier":
        assert len(found.known) <= optimum + 1


def conjoined(formula: Formula) -> Formula:
    """The mistake: both sides of |t| demanded where one is enough."""
    return All(formula.parts) if isinstance(formula, Some) else formula


def test_an_unsound_encoding_of_the_distance_is_noticed_by_its_queries() -> None:
    """With every disjunction made a conjunction, one answer 'proves' what needs five; no check accepts that."""
    known = (Known((F(1, 2),), F(1, 10)),)
    assertions = UNIT.assertions(known)
    wrong = {name: conjoined(formula) for name, formula in assertions.items()}
    assert isinstance(z3_solver.solve(wrong, 10), Contradicted)
    assert len(known) < MARGINS[F(1, 10)]
    assert isinstance(z3_solver.solve(assertions, 10), Satisfied)
    proof = refutation.decide(wrong)
    assert not isinstance(proof, Satisfied)
    assert isinstance(cover.find(ONE, known, (F(0),), (F(1),)), cover.Uncovered)


def test_the_loop_does_not_believe_a_solver_that_calls_everything_contradictory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(z3_solver, "solve", lambda assertions, seconds: Contradicted(tuple(assertions)))
    found = query_the_attack(UNIT, constant(F(1, 10)), 10, 10)
    assert isinstance(found, Unfinished)
    assert "could not be proved" in found.reason


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("place", [F(37, 100), F(113, 127), F(1, 200), F(1, 3), F(1)])
def test_a_narrow_dip_is_found(place: Fraction, rule: Rule) -> None:
    """Below zero on 0.008 of the interval only; the answers slope toward it."""
    dip = lambda point: min(F(1, 2), abs(point[0] - place) - F(4, 1000))  # noqa: E731
    found = query_the_attack(UNIT, dip, 10, 30, rule)
    assert isinstance(found, Attack)
    last = found.known[-1]
    assert last.value == dip(last.point) < 0
    assert abs(last.point[0] - place) < F(4, 1000)


@pytest.mark.parametrize("seed", range(6))
def test_random_functions_end_in_the_truth(seed: int) -> None:
    """Zigzags of slope at most 1 whose least value is known: proved exactly if it is not negative."""
    rng = random.Random(seed)
    corners = [(F(rng.randint(0, 40), 40), F(rng.randint(-3, 12), 40)) for _ in range(4)]
    zigzag = lambda point: min(v + abs(point[0] - x) for x, v in corners)  # noqa: E731
    least = min(v for _, v in corners)
    found = query_the_attack(UNIT, zigzag, 60, 60)
    if least < 0:
        assert isinstance(found, Attack)
    elif least > 0:
        assert isinstance(found, Proved)


def test_two_dimensions_lipschitz_and_monotone() -> None:
    """An answer m makes safe a square of side 2m, with monotony all to the right of it: 16 squares or 4 strips."""
    alone = Axioms(2, F(1), lower=F(-1), upper=F(1))
    both = replace(alone, increasing=frozenset([0]))
    box = (F(0), F(0)), (F(1), F(1))
    found = {}
    for axioms, optimum in ((alone, 16), (both, 4)):
        found[optimum] = query_the_attack(Setting.on_box(axioms, *box), constant(F(1, 8)), 60, 100)
        assert isinstance(found[optimum], Proved)
        assert len(found[optimum].known) >= optimum
        assert cover.covers(axioms, found[optimum].known, *box, found[optimum].proof)
    assert len(found[4].known) <= 2.5 * 4
    assert not cover.covers(alone, found[4].known, *box, found[4].proof)
    bad = query_the_attack(Setting.on_box(both, *box), lambda p: p[0] - F(1, 20), 60, 100)
    assert isinstance(bad, Attack)


def test_the_joint_distance_proves_what_single_axioms_at_the_points_do_not() -> None:
    """One answer 1/4 at (1, 0), with monotony toward smaller x_0: (0, 1/4) is safe only by the point in between."""
    axioms = Axioms(2, F(1), decreasing=frozenset([0]))
    known = (Known((F(1), F(0)), F(1, 4)),)
    box = (F(0), F(0)), (F(1), F(1, 4))
    assert isinstance(query_the_attack(Setting.on_box(axioms, *box), constant(F(0)), 0, 30, known=known), Proved)
    single = (Axioms(2, F(1)), Axioms(2, decreasing=frozenset([0])))
    apart = {
        f"{k} {name}": formula
        for k, axioms in enumerate(single)
        for name, formula in Setting.on_box(axioms, *box).assertions(known).items()
    }
    assert isinstance(z3_solver.solve(apart, 10), Satisfied)


def test_the_sum_norm_is_proved_by_cases_where_halving_does_not_end() -> None:
    axioms = Axioms(2, F(1), norm="1")
    setting = Setting.on_box(axioms, (F(0), F(0)), (F(1), F(1)))
    found = query_the_attack(setting, constant(F(1, 2)), 30, 100)
    assert isinstance(found, Proved)
    # A ball of radius 1/2 has the area 1/2.
    assert len(found.known) >= 2
    if isinstance(found.proof, cover.Cell | cover.Cut):
        assert cover.covers(axioms, found.known, (F(0), F(0)), (F(1), F(1)), found.proof)
    else:
        assertions = setting.assertions(found.known)
        assert refutation.refutes({name: assertions[name] for name in found.rests_on}, found.proof)


def test_the_budget_ends_with_the_model_to_ask_next() -> None:
    found = query_the_attack(UNIT, constant(F(1, 10)), 3, 30)
    assert isinstance(found, Fictitious)
    assert len(found.known) == 3
    assert found.value < 0
    assert ONE.least(found.known, found.point) <= found.value
    later = query_the_attack(UNIT, constant(F(1, 10)), 10, 30, known=found.known)
    assert isinstance(later, Proved)
    assert later.known[:3] == found.known


def test_answers_that_break_the_axioms_end_the_loop() -> None:
    jump = lambda p: F(1, 4) if p[0] > F(2, 5) else F(9, 10)  # noqa: E731
    found = query_the_attack(UNIT, jump, 20, 30)
    assert isinstance(found, AxiomsBroken)
    a, b = found.culprits
    assert abs(a.value - b.value) > abs(a.point[0] - b.point[0])


def test_what_the_proof_rests_on_is_enough_and_nothing_in_it_is_idle() -> None:
    axioms = Axioms(1, F(1), lower=F(-5), upper=F(5))
    setting = Setting.on_box(axioms, (F(0),), (F(1),))
    known = (*(Known((F(2 * i + 1, 10),), F(1, 10)) for i in range(5)), Known((F(1, 2) + F(1, 40),), F(1, 10)))
    found = query_the_attack(setting, constant(F(0)), 0, 30, known=known)
    assert isinstance(found, Proved)
    assertions = setting.assertions(known)
    core = {name: assertions[name] for name in found.rests_on}
    assert isinstance(z3_solver.solve(core, 10), Contradicted)
    for name in core:
        assert isinstance(z3_solver.solve({n: f for n, f in core.items() if n != name}, 10), Satisfied)
    assert not any("range" in name for name in core)
    assert len([name for name in core if name.startswith("answer")]) == 5


def test_time_is_obeyed() -> None:
    setting = Setting.on_box(Axioms(3, F(1), norm="1"), (F(0),) * 3, (F(1),) * 3)
    start = time.monotonic()
    found = query_the_attack(setting, constant(F(1, 20)), 10_000, 1.0)
    assert time.monotonic() - start < 5.0
    assert isinstance(found, Unfinished)


# --- a network before the function ------------------------------------------------------------------------------------


def composed(scale: float, seed: int = 0) -> tuple[Question, Query]:
    """Rows are the outputs of a network: where the function is used."""
    network = random_network([2, 5, 1], seed)
    rows = Rows(np.zeros((1, 2)), np.full((1, 1), scale), np.zeros(1))
    query = Query.over_box(network, rows, -np.ones(2), np.ones(2))
    return Question.of(query), query


@pytest.mark.parametrize("seed", range(3))
def test_a_function_of_a_networks_output(seed: int) -> None:
    """Answers m make safe 2m of the network's range and no more; the proof is by cases of phases and distances."""
    question, query = composed(0.25, seed)
    values = query.margins(np.random.default_rng(0).uniform(-1, 1, (20_000, 2)))[:, 0]
    margin = F(1, 10)
    setting = Setting.after(ONE, question)
    found = query_the_attack(setting, constant(margin), 40, 100)
    assert isinstance(found, Proved)
    assertions = setting.assertions(found.known)
    assert refutation.refutes({name: assertions[name] for name in found.rests_on}, found.proof)
    # Every place that was asked about is an output of the network, and together they cover the sampled range.
    assert len(found.known) >= ceil((values.max() - values.min()) / (2 * float(margin)))
    for value in values[:200]:
        assert ONE.least(found.known, (F(float(value)),)) >= -F(1, 10**12)


def test_a_real_attack_through_a_network_is_a_place_the_network_reaches() -> None:
    question, query = composed(1.0)
    values = query.margins(np.random.default_rng(0).uniform(-1, 1, (20_000, 2)))[:, 0]
    place = F(float(np.quantile(values, 0.7)))
    dip = lambda p: min(F(1, 2), abs(p[0] - place) - F(1, 50))  # noqa: E731
    found = query_the_attack(Setting.after(ONE, question), dip, 40, 100)
    assert isinstance(found, Attack)
    assert values.min() - 0.1 <= float(found.known[-1].point[0]) <= values.max() + 0.1
    assert dip(found.known[-1].point) < 0


def test_the_place_of_a_model_is_the_networks_exact_output() -> None:
    question, _ = composed(1.0)
    setting = Setting.after(ONE, question)
    answer = z3_solver.solve(setting.assertions(()), 10)
    assert isinstance(answer, Satisfied)
    x = vector([answer.values["x0"], answer.values["x1"]])
    assert setting.place_at(answer.values) == tuple(question.run(x)[1])


# --- finite and infinite ----------------------------------------------------------------------------------------------


def on_part(lower: Fraction, open_end: bool) -> Setting:
    """``g(x) > 0`` is required for x from ``lower``, itself excluded if ``open_end``, to 1."""
    x = {"x0": F(1)}
    start = below_zero({"x0": F(-1)}, lower) if open_end else at_least(x, -lower)
    return Setting(ONE, UNIT.place, {"start": start, "end": at_most(x, -1)}, strict=True)


def test_a_theory_whose_only_failing_models_are_infinitesimal_says_so() -> None:
    """g(1) = 1 and slope at most 1 give g(x) >= x > 0 on (0, 1]: positive everywhere, by no fixed amount.

    For every s > 0 some function that fits and some x have g(x) <= s; none has g(x) <= 0.
    """
    at_one = (Known((F(1),), F(1)),)
    found = query_the_attack(on_part(F(0), True), constant(F(1)), 0, 30, known=at_one)
    assert isinstance(found, Proved)
    assert found.tight
    assert "no slack" in found.note
    for s in (F(1, 10), F(1, 10**9)):
        less = (Known((F(1),), 1 - s),)  # of g - s, which is to be positive
        below = query_the_attack(on_part(F(0), True), constant(F(1)), 0, 30, known=less)
        assert isinstance(below, Fictitious)
        assert 0 < below.point[0] <= s
    apart = query_the_attack(on_part(F(1, 8), False), constant(F(1)), 0, 30, known=at_one)
    assert isinstance(apart, Proved)
    assert not apart.tight
    assert apart.note == ""


def test_the_loop_asks_at_points_of_the_box_and_hands_answers_through_exactly() -> None:
    asked: list[Point] = []

    def third(point: Point) -> Fraction:
        asked.append(point)
        return F(1, 3)

    found = query_the_attack(UNIT, third, 20, 30)
    assert isinstance(found, first_order.Proved)
    assert [one.point for one in found.known] == asked
    assert all(0 <= point[0] <= 1 for point in asked)
    assert {one.value for one in found.known} == {F(1, 3)}
