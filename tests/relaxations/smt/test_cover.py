"""Covers and case refutations: found where there is one, and checked by functions that believe nobody."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from relaxations.smt import cover, refutation
from relaxations.smt.answers import Satisfied
from relaxations.smt.axioms import Axioms, Known
from relaxations.smt.cover import BY_RANGE, Cell, Cut, Uncovered
from relaxations.smt.first_order import Setting
from relaxations.smt.formula import All, Formula, Some, at_least, at_most, below_zero, true_at
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.refutation import Cases, Impossible, Refutation
from tests.relaxations.smt.test_axioms import KINDS, fitting

F = Fraction
ONE = Axioms(1, F(1))
UNIT = (F(0),), (F(1),)
FIVE = [Known((F(2 * i + 1, 10),), F(1, 10)) for i in range(5)]


def test_five_answers_of_a_tenth_cover_the_unit_interval_and_four_do_not() -> None:
    found = cover.find(ONE, FIVE, *UNIT)
    assert not isinstance(found, Uncovered)
    assert cover.covers(ONE, FIVE, *UNIT, found)
    assert cover.size(found) == 5
    for missing in range(5):
        rest = FIVE[:missing] + FIVE[missing + 1 :]
        open_ = cover.find(ONE, rest, *UNIT)
        assert isinstance(open_, Uncovered)
        assert ONE.least(rest, open_.point) < 0
        assert not cover.covers(ONE, rest, *UNIT, found)


def test_a_touching_cover_is_not_strict() -> None:
    """The least function is 0 at 1/5: acceptable as g >= 0, not as g > 0."""
    found = cover.find(ONE, FIVE, *UNIT)
    assert not isinstance(found, Uncovered)
    assert not cover.covers(ONE, FIVE, *UNIT, found, strict=True)
    assert isinstance(cover.find(ONE, FIVE, *UNIT, strict=True), Uncovered)
    higher = [Known(one.point, one.value + F(1, 1000)) for one in FIVE]
    strictly = cover.find(ONE, higher, *UNIT, strict=True)
    assert not isinstance(strictly, Uncovered)
    assert cover.covers(ONE, higher, *UNIT, strictly, strict=True)


def test_wrong_covers_are_refused() -> None:
    """A cell by the wrong answer, a cut beyond the cell, an answer that was made up."""
    assert not cover.covers(ONE, FIVE, *UNIT, Cell(2))
    assert not cover.covers(ONE, FIVE, *UNIT, Cell(BY_RANGE))
    assert cover.covers(Axioms(1, F(1), lower=F(0)), FIVE, *UNIT, Cell(BY_RANGE))
    assert not cover.covers(ONE, FIVE, *UNIT, Cut(-1, F(1, 2), Cell(0), Cell(4)))
    assert not cover.covers(ONE, FIVE, *UNIT, Cut(1, F(1, 2), Cell(0), Cell(4)))
    with pytest.raises(ValueError, match="zip"):
        cover.covers(Axioms(2, F(1)), [Known((F(0), F(0)), F(9))], *UNIT, Cell(0))
    beyond = Cut(0, F(7), Cell(0), Cell(4))
    assert not cover.covers(ONE, FIVE, *UNIT, beyond)
    assert not cover.covers(ONE, FIVE[:1], *UNIT, Cell(3))
    assert not cover.covers(ONE, FIVE, *UNIT, Cell(-3))


@pytest.mark.parametrize("axioms", [kind for kind in KINDS if kind.norm == "inf"], ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_in_the_greatest_norm_every_box_is_decided(axioms: Axioms, seed: int) -> None:
    """A cover that holds, or a point where the least function fails; the refutation by cases says the same."""
    rng = random.Random(seed)
    known = [Known(one.point, one.value + F(rng.randint(0, 6), 4)) for one in fitting(rng, axioms, 6)]
    low, up = (F(-1),) * axioms.dimension, (F(1),) * axioms.dimension
    found = cover.find(axioms, known, low, up)
    assertions = Setting.on_box(axioms, low, up).assertions(tuple(known))
    if isinstance(found, Uncovered):
        assert found.point is not None
        assert axioms.least(known, found.point) < 0
        if axioms.contradiction(known) == ():
            assert isinstance(refutation.decide(assertions, 20), Satisfied)
        return
    assert cover.covers(axioms, known, low, up, found)
    assert not isinstance(answer := refutation.decide(assertions, 20), Satisfied)
    assert refutation.refutes(assertions, answer)
    for _ in range(50):
        x = tuple(F(rng.randint(-100, 100), 100) for _ in low)
        assert axioms.least(known, x) >= 0


def test_halving_in_the_sum_norm_ends() -> None:
    """|x| + |y| <= 1 touches the corners of a square of half the size only at its corners."""
    axioms, known = Axioms(2, F(1), norm="1"), [Known((F(0), F(0)), F(1))]
    inside = cover.find(axioms, known, (F(-1, 2),) * 2, (F(1, 2),) * 2)
    assert inside == Cell(0)
    outside = cover.find(axioms, known, (F(-1),) * 2, (F(1),) * 2)
    assert isinstance(outside, Uncovered)
    with pytest.raises(OutOfTime):
        cover.find(axioms, known, (F(-1),) * 2, (F(1),) * 2, deadline=Deadline.within(-1))


def random_formula(rng: random.Random, depth: int) -> Formula:
    if depth and rng.random() < 0.6:
        parts = tuple(random_formula(rng, depth - 1) for _ in range(rng.randint(1, 3)))
        return All(parts) if rng.random() < 0.4 else Some(parts)
    terms = {v: F(rng.randint(-2, 2)) for v in "xyz"}
    return rng.choice((at_least, at_most, below_zero))(terms, rng.randint(-2, 2))


def grid(formulas: list[Formula]) -> bool:
    values = [F(i, 2) for i in range(-8, 9)]
    return any(
        all(true_at(f, {"x": x, "y": y, "z": z}) for f in formulas) for x in values for y in values for z in values
    )


@pytest.mark.parametrize("seed", range(60))
def test_formulas_have_a_model_or_a_refutation(seed: int) -> None:
    """Whatever the formulas: a model makes them true, and no point of a grid escapes a refutation."""
    rng = random.Random(seed)
    assertions = {str(i): random_formula(rng, 2) for i in range(6)}
    answer = refutation.decide(assertions, 20)
    if isinstance(answer, Satisfied):
        values = {**dict.fromkeys("xyz", F(0)), **answer.values}
        assert all(true_at(formula, values) for formula in assertions.values())
    else:
        assert refutation.refutes(assertions, answer)
        assert not grid(list(assertions.values()))


def test_refutations_of_what_has_a_model_are_refused() -> None:
    """Multipliers changed, a case left out, another disjunction: none is believed."""
    x = {"x": F(1)}
    assertions = {
        "either": Some((at_least(x, -1), at_most(x, 1))),
        "above": at_least(x, F(1, 2)),
        "below": at_most(x, F(-1, 2)),
    }
    answer = refutation.decide(assertions)
    assert isinstance(answer, Cases)
    assert refutation.refutes(assertions, answer)
    satisfiable = {**assertions, "below": at_most(x, -2)}
    assert not refutation.refutes(satisfiable, answer)
    with pytest.raises(ValueError, match="zip"):
        refutation.refutes(assertions, Cases(0, answer.parts[:1]))

    def zeroed(node: Refutation) -> Refutation:
        if isinstance(node, Impossible):
            return Impossible((F(0),) * len(node.multipliers))
        return Cases(node.choice, tuple(map(zeroed, node.parts)))

    assert not refutation.refutes(satisfiable, zeroed(answer))
    with pytest.raises(ValueError, match="negative"):
        refutation.refutes({"above": at_least(x, 1), "far": at_least(x, 2)}, Impossible((F(-1), F(1))))
