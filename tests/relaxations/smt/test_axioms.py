"""The axioms as one quasi-metric: what follows from them, and that nothing more is said."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import pytest

from relaxations.smt import z3_solver
from relaxations.smt.answers import Contradicted, Satisfied
from relaxations.smt.axioms import Axioms, Known, Linear, Term
from relaxations.smt.formula import at_least, below_zero, true_at

F = Fraction
KINDS = [
    Axioms(2, F(1)),
    Axioms(2, F(2), norm="1"),
    Axioms(2, F(1), increasing=frozenset([0])),
    Axioms(2, F(3, 2), norm="1", increasing=frozenset([0]), decreasing=frozenset([1])),
    Axioms(3, F(1), decreasing=frozenset([2]), lower=F(-1), upper=F(1)),
    Axioms(1, F(1), lower=F(0)),
]


def points(rng: random.Random, axioms: Axioms, count: int) -> list[tuple[Fraction, ...]]:
    """On a coarse grid, so that many agree in a coordinate."""
    return [tuple(F(rng.randint(-4, 4), 4) for _ in range(axioms.dimension)) for _ in range(count)]


def norm(axioms: Axioms, a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> Fraction:
    parts = [abs(x - y) for x, y in zip(a, b)]
    return max(parts) if axioms.norm == "inf" else sum(parts)


def fitting(rng: random.Random, axioms: Axioms, count: int) -> list[Known]:
    """Answers that some function gives: each between what the ones before it leave."""
    known: list[Known] = []
    for x in dict.fromkeys(points(rng, axioms, count)):
        low = axioms.least(known, x)
        highs = [one.value + axioms.allowance(x, one.point) for one in known]
        high = min([*highs, *([axioms.upper] if axioms.upper is not None else [])], default=F(1))
        low = min(low if low is not None else F(-1), high)
        known.append(Known(x, low + (high - low) * F(rng.randint(0, 4), 4)))
    return known


@pytest.mark.parametrize("axioms", KINDS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_the_extension_has_the_answers_and_meets_every_axiom(axioms: Axioms, seed: int) -> None:
    """G(x) = max_i(g_i - L rho(x_i, x)), and the range: Lipschitz, monotone, in range, and equal to what is known."""
    rng = random.Random(seed)
    known = fitting(rng, axioms, 6)
    assert axioms.contradiction(known) == ()
    for one in known:
        assert axioms.least(known, one.point) == one.value
    for a, b in product(points(rng, axioms, 12), repeat=2):
        at_a, at_b = axioms.least(known, a), axioms.least(known, b)
        assert at_a - at_b <= axioms.lipschitz * norm(axioms, a, b)
        for k in axioms.increasing | axioms.decreasing:
            if all(x == y for i, (x, y) in enumerate(zip(a, b)) if i != k):
                rising = (a[k] <= b[k]) == (k in axioms.increasing) or a[k] == b[k]
                assert at_a <= at_b if rising else at_a >= at_b
        if axioms.lower is not None:
            assert at_a >= axioms.lower
        if axioms.upper is not None:
            assert at_a <= axioms.upper


@pytest.mark.parametrize("axioms", KINDS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_no_function_that_fits_is_below_the_least_one_and_some_is_there(axioms: Axioms, seed: int) -> None:
    """The solver's least value at a fixed point is the closed form, exactly."""
    rng = random.Random(seed)
    known = fitting(rng, axioms, 5)
    for x in points(rng, axioms, 3):
        terms = {f"answer {i}": Term.of(one) for i, one in enumerate(known)}
        terms["here"] = Term(tuple(Linear((), c) for c in x), Linear.variable("g"))
        found = z3_solver.minimise(axioms.instances(terms), {"g": F(1)}, 20)
        assert isinstance(found, tuple)
        assert found[0] == axioms.least(known, x)


@pytest.mark.parametrize("axioms", KINDS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_instances_say_what_the_distance_says(axioms: Axioms, seed: int) -> None:
    """At concrete points the formulas hold exactly if the values fit."""
    rng = random.Random(seed)
    for a, b in zip(points(rng, axioms, 20), points(rng, axioms, 20)):
        values = F(rng.randint(-8, 8), 8), F(rng.randint(-8, 8), 8)
        names = {f"{which}{k}": c for which, point in (("a", a), ("b", b)) for k, c in enumerate(point)}
        terms = {
            which: Term(
                tuple(Linear.variable(f"{which}{k}") for k in range(axioms.dimension)), Linear.variable(f"g{which}")
            )
            for which in "ab"
        }
        holds = all(
            true_at(formula, {**names, "ga": values[0], "gb": values[1]})
            for formula in axioms.instances(terms).values()
        )
        assert holds == (axioms.contradiction([Known(a, values[0]), Known(b, values[1])]) == ())


def test_lipschitz_and_monotone_one_by_one_are_weaker_than_together() -> None:
    """g(1, 0) = 0 and L = 1: at (0, 1/4) monotony has nothing to say and Lipschitz allows 1; together, at most 1/4."""
    both = Axioms(2, F(1), increasing=frozenset([0]))
    known, x = Known((F(1), F(0)), F(0)), (F(0), F(1, 4))
    lipschitz = Axioms(2, F(1)).allowance(x, known.point)
    monotone = Axioms(2, increasing=frozenset([0])).allowance(x, known.point)
    assert (lipschitz, monotone, both.allowance(x, known.point)) == (F(1), None, F(1, 4))
    # The point in between shows it: g(0, 1/4) <= g(1, 1/4) <= g(1, 0) + 1/4.
    between = (F(1), F(1, 4))
    assert Axioms(2, increasing=frozenset([0])).allowance(x, between) == 0
    assert Axioms(2, F(1)).allowance(between, known.point) == F(1, 4)


def test_monotone_alone_and_range_alone() -> None:
    axioms = Axioms(1, increasing=frozenset([0]), lower=F(0))
    known = [Known((F(1, 2),), F(3))]
    assert axioms.least(known, (F(3, 4),)) == 3
    assert axioms.least(known, (F(1, 4),)) == 0
    assert Axioms(1).least(known, (F(1, 4),)) is None
    here = {"a": Term.of(known[0]), "x": Term((Linear.variable("x"),), Linear.variable("g"))}
    low = {"g": below_zero({"g": F(1)}, -3), **axioms.instances(here)}
    assert isinstance(z3_solver.solve({**low, "x": at_least({"x": F(1)}, F(-1, 2))}, 10), Contradicted)
    assert isinstance(z3_solver.solve({**low, "x": below_zero({"x": F(1)}, F(-1, 2))}, 10), Satisfied)


def test_answers_that_do_not_fit_are_named() -> None:
    axioms = Axioms(1, F(1), increasing=frozenset([0]), lower=F(-1), upper=F(1))
    good, steep, falling, large = (
        Known((F(0),), F(0)),
        Known((F(1, 2),), F(3, 4)),
        Known((F(1),), F(-1, 8)),
        Known((F(2),), F(2)),
    )
    assert axioms.contradiction([good]) == ()
    assert set(axioms.contradiction([good, steep])) == {good, steep}
    assert axioms.contradiction([good, falling]) == (good, falling)
    assert axioms.contradiction([good, large]) == (large,)
