"""Networks of which only lemmas are known: every one that satisfies them is safe, or one of them is not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from relaxations.smt import refutation
from relaxations.smt.answers import Satisfied, Unanswered
from relaxations.smt.axioms import Axioms
from relaxations.smt.bounds import root_ranges
from relaxations.smt.encode import Question, exact, vector
from relaxations.smt.formula import network, true_at
from relaxations.smt.lemmas import Lemmas, Row
from relaxations.smt.relaxed import Models
from relaxations.smt.settle import Refuted, settle
from tests.relaxations.smt.questions import random_network, random_query

F = Fraction
UNIT = (F(0),), (F(1),)


def steepness(sizes: list[int], seed: int) -> Fraction:
    """A Lipschitz constant of the network's outputs in the greatest norm: the product of the layers' row sums."""
    net = random_network(sizes, seed)
    product = F(1)
    for layer in (*net.layers, net.output):
        product *= max(sum(abs(c) for c in row) for row in exact(layer.terms[0][1]))
    return product


def test_two_data_points_and_a_slope_make_every_network_safe_or_not() -> None:
    """y(0) = y(1) = 1 with slope at most L: y >= 1 - L / 2 everywhere, and some function reaches it in the middle."""
    wanted = [Row((F(0),), (F(1),), F(0))]
    data = (((F(0),), (F(1),)), ((F(1),), (F(1),)))
    for slope, safe in ((F(199, 100), True), (F(2), False), (F(3), False)):
        assertions = Lemmas((Axioms(1, slope),), data).assertions(*UNIT, wanted)
        answer = settle(assertions, 20)
        if safe:
            assert isinstance(answer, Refuted)
            assert refutation.refutes({name: assertions[name] for name in answer.core}, answer.proof)
        else:
            assert isinstance(answer, Satisfied)
            x, y = answer.values["x0"], answer.values["y0"]
            assert 1 - slope * min(x, 1 - x) <= y <= 0


def test_what_the_safety_rests_on_names_the_data() -> None:
    """Only the two outer of four data points matter near the ends, and the slope of the second output does not."""
    axioms = Axioms(1, F(1))
    data = tuple(((F(k, 3),), (F(1), F(5))) for k in range(4))
    assertions = Lemmas((axioms, axioms), data).assertions((F(9, 10),), (F(1),), [Row((F(0),), (F(1), F(0)), F(-1, 2))])
    answer = settle(assertions, 20)
    assert isinstance(answer, Refuted)
    assert not any(name.startswith("output 1") for name in answer.core)
    assert len([name for name in answer.core if name.startswith("output 0")]) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_network_satisfies_its_own_lemmas(seed: int) -> None:
    """A row that it fails cannot be proved of all networks with these lemmas; one with room for the slope can."""
    sizes = [1, 3, 1]
    net, slope = random_network(sizes, seed), steepness(sizes, seed)
    question = Question.of(random_query(sizes, seed))
    weight, bias = exact(net.output.terms[0][1]), exact(net.output.bias)
    data = []
    for x in (F(k, 4) for k in range(5)):
        hidden, _ = question.run(vector([x]))
        data.append(((x,), tuple(weight @ np.maximum(hidden[-1], F(0)) + bias)))
    lemmas = Lemmas((Axioms(1, slope),), tuple(data))
    samples = net.evaluate(np.linspace(0, 1, 1001)[:, None])[:, 0]
    true_least = F(float(samples.min()))
    false = settle(lemmas.assertions(*UNIT, [Row((F(0),), (F(1),), -true_least - F(1, 1000))]), 20)
    assert isinstance(false, Satisfied)
    easy = settle(lemmas.assertions(*UNIT, [Row((F(0),), (F(1),), slope - true_least)]), 20)
    assert isinstance(easy, Refuted)


@pytest.mark.parametrize("seed", range(4))
def test_forgetting_a_layers_weights_keeps_what_its_bounds_prove(seed: int) -> None:
    """Between the bound by ranges alone and the exact optimum: forgotten layers make more models, never fewer."""
    query = random_query([2, 4, 3, 1], seed)
    models = Models(query)
    best = models.exact_bound(models.solve(30).dual)
    assert best is not None
    ranges = root_ranges(models.question)
    step = F(1, 100)
    known = network(models.question.above(best + step), ranges)
    assert not isinstance(settle(known, 20), Satisfied | Unanswered)
    for forgotten in (frozenset([0]), frozenset([1]), frozenset([0, 1])):
        reachable = network(models.question.above(best - step), ranges, forgotten)
        found = settle(reachable, 20)
        assert isinstance(found, Satisfied), "the real network is one of those that fit"
        assert all(true_at(formula, found.values) for formula in reachable.values())
        # Far above what the ranges allow, every network that fits is safe.
        high = best + sum(sum(u - l for l, u in zip(*r)) for r in ranges) * 100 + 100
        assert isinstance(settle(network(models.question.above(high), ranges, forgotten), 20), Refuted)
