"""The search over phases against the exact oracle, and its trees before the independent checker."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from relaxations.smt import reluplex, z3_solver
from relaxations.smt.answers import Contradicted, Satisfied
from relaxations.smt.bounds import root_ranges
from relaxations.smt.encode import Question, vector
from relaxations.smt.farkas import Constraint, greatest
from relaxations.smt.formula import inputs as inputs_of
from relaxations.smt.formula import network, true_at
from relaxations.smt.limits import Deadline
from relaxations.smt.node import Node
from relaxations.smt.reluplex import Model, Refutation, Undecided, leaf_of
from relaxations.smt.simplex import Conflict
from relaxations.smt.tree import Leaf, convertible, holds, leaf_bound, leaves, refutes
from tests.relaxations.smt.questions import exact_question, random_query
from tests.strategies import Question as Asked
from tests.strategies import question
from verifier.certificate.refutation import phase_words, root_words
from verifier.certificate.write import Draft, Source, save
from verifier.checker.check import Checker
from verifier.checker.container import Certificate
from verifier.checker.container import Source as Nowhere
from verifier.checker.exact_tree import audit
from verifier.checker.onnx import read_network
from verifier.checker.vnnlib import read_query

SEEDS = range(120)
remembered = cache(question)


@pytest.mark.parametrize("seed", SEEDS)
def test_decides_as_the_oracle_does_with_no_tolerance(seed: int) -> None:
    """Optima far from, near, just beside and exactly at the threshold, strict and not."""
    asked = remembered(seed)
    exact = exact_question(asked)
    answer = reluplex.decide(exact, 60)
    if asked.holds:
        assert isinstance(answer, Refutation)
        assert refutes(exact, answer.tree)
    else:
        assert isinstance(answer, Model)
        assert exact.violated_by(answer.x)
        margins = [asked.network.margin(row, list(answer.x)) for row in asked.rows]
        assert all(m < 0 or (m == 0 and row.strict) for m, row in zip(margins, asked.rows))


@pytest.mark.parametrize("seed", range(25))
def test_exact_ranges_hold(seed: int) -> None:
    exact = exact_question(remembered(seed))
    ranges = root_ranges(exact)
    rng = random.Random(seed)
    for _ in range(20):
        x = vector([l + (u - l) * Fraction(rng.random()) for l, u in zip(exact.lower, exact.upper)])
        seen, _ = exact.run(x)
        assert all((l <= z).all() and (z <= u).all() for z, (l, u) in zip(seen, ranges))


def checker_of(asked: Asked, folder: Path) -> tuple[Checker, Path, Path]:
    model, spec = asked.write(folder)
    checker = Checker(
        read_network(model.read_bytes()),
        read_query(spec.read_text(encoding="utf-8"), asked.net.inputs, asked.net.outputs),
    )
    return checker, model, spec


def near_and_true(seed: int) -> bool:
    """With a margin, and without weights of magnitudes that float32 multipliers are too coarse for."""
    return remembered(seed, "near").holds and remembered(seed, "near").kind != "mixed"


@pytest.mark.parametrize("seed", list(filter(near_and_true, SEEDS))[:40])
def test_the_checker_accepts_the_tree_and_not_one_of_a_false_claim(seed: int, tmp_path: Path) -> None:
    asked = remembered(seed, "near")
    exact = exact_question(asked)
    answer = reluplex.decide(exact, 60, rounded=True)
    assert isinstance(answer, Refutation)
    ranges = root_ranges(exact)
    assert convertible(exact, answer.tree, ranges)
    checker, _, _ = checker_of(asked, tmp_path)
    words = phase_words(exact, ranges, answer.tree)
    certificate = Certificate(Nowhere("", "", None), Nowhere("", "", None), 1, (root_words(1), words), "")
    assert checker.check(certificate, None).accepted
    assert audit(checker, certificate).accepted
    # The same words about rows that fail somewhere: no tree may prove them.
    (case,) = checker.cases
    lowered = [replace(row, constant=row.constant - asked.optimum - Fraction(1, 10**6)) for row in case.rows]
    false = Checker(checker.bounder.network, (replace(case, rows=tuple(lowered)),))
    assert not false.check(certificate, None).accepted
    assert not audit(false, certificate).accepted


def test_a_certificate_file_is_accepted_by_the_checker_as_a_process(tmp_path: Path) -> None:
    seed = next(s for s in SEEDS if remembered(s, "near").holds and len(remembered(s, "near").net.layers) > 2)
    asked = remembered(seed, "near")
    exact = exact_question(asked)
    answer = reluplex.decide(exact, 60, rounded=True)
    assert isinstance(answer, Refutation)
    _, model, spec = checker_of(asked, tmp_path)
    sources = [Source(path.read_bytes(), str(path), embed=False) for path in (model, spec)]
    chunks = [root_words(1), phase_words(exact, root_ranges(exact), answer.tree)]
    path = tmp_path / "proof.nncert"
    save(Draft(*sources, 1, chunks, "the property holds", {}), path)
    command = [sys.executable, "-m", "verifier.checker", str(path), "--exact"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    damaged = [chunks[0], np.array([*chunks[1][:-6], 0, 0, 0, 0, 0, chunks[1][-1]], dtype=np.uint16)]
    save(Draft(*sources, 1, damaged, "the property holds", {}), path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("seed", range(8))
def test_a_leaf_is_a_farkas_certificate_of_its_own_constraints(seed: int) -> None:
    """The substitution of a leaf and the explicit sum of rows, signs and triangles are one number."""
    query = random_query([3, 6, 5, 2], seed)
    exact = Question.of(query)
    ranges = root_ranges(exact)
    rng = random.Random(seed)
    free = Node.of(exact, ranges, {}).free
    path = tuple((neuron, rng.choice((-1, 1))) for neuron in rng.sample(free, 3))
    node = Node.of(exact, ranges, dict(path))
    slopes = {neuron: Fraction(rng.randint(0, 8), 8) for neuron in node.free}
    leaf = Leaf(vector([1]), slopes, tuple(Fraction(rng.randint(0, 8), 4) for _ in path))
    box = {i: (l, u) for i, (l, u) in enumerate(zip(exact.lower, exact.upper))}
    constraints, multipliers = explicit(node, leaf, path)
    assert greatest(constraints, multipliers, box) == -leaf_bound(exact, ranges, path, leaf)


def explicit(node: Node, leaf: Leaf, path: tuple) -> tuple[list[Constraint], list[Fraction]]:
    """Multipliers of all forms: outputs are removed from the last layer on, as their lines say."""
    forms = {(form.kind, form.owner): form for form in node.forms}
    chosen = [(-1, forms["row", 0], leaf.weights[0])]
    chosen += [(1, forms["sign", neuron], multiplier) for (neuron, _), multiplier in zip(path, leaf.multipliers)]
    inputs = len(node.question.lower)
    for j in reversed(range(len(node.free))):
        neuron = node.free[j]
        total = sum(sign * multiplier * form.coefs[inputs + j] for sign, form, multiplier in chosen)
        if total < 0:  # the sum wants the output to be small: its lower lines
            slope = leaf.slopes[neuron]
            chosen.append((1, forms["above", neuron], -total * slope))
            chosen.append((1, forms["positive", neuron], -total * (1 - slope)))
        else:
            chosen.append((1, forms["chord", neuron], total))
    constraints = [Constraint(dict(enumerate(sign * f.coefs)), sign * f.constant) for sign, f, _ in chosen]
    return constraints, [multiplier for _, _, multiplier in chosen]


@pytest.mark.parametrize("seed", range(30))
def test_tampered_leaves_prove_nothing_that_is_false(seed: int) -> None:
    """Random duals under a true tree's splits, for a question that has a model: never a refutation."""
    asked = next(q for s in range(seed * 40, seed * 40 + 40) if not (q := remembered(s, "just below", True)).holds)
    exact = exact_question(asked)
    ranges = root_ranges(exact)
    rng = random.Random(seed)
    free = Node.of(exact, ranges, {}).free
    path = tuple((neuron, 0) for neuron in rng.sample(free, min(2, len(free))))
    good = []
    for signs in [(a, b)[: len(path)] for a in (-1, 1) for b in (-1, 1)]:
        here = tuple((neuron, sign) for (neuron, _), sign in zip(path, signs))
        weights = vector([Fraction(rng.random()) for _ in asked.rows])
        leaf = Leaf(weights, {n: Fraction(rng.random()) for n in free}, tuple(Fraction(rng.random()) for _ in here))
        good.append(leaf_bound(exact, ranges, here, leaf) > 0)
    assert not all(good)


@pytest.mark.parametrize("seed", range(12))
def test_exact_conflicts_of_whole_regions_become_leaves(seed: int) -> None:
    """Where every unstable ReLU has a phase, what the exact simplex says is a leaf that holds."""
    asked = remembered(seed, "just above")
    exact = exact_question(asked)
    ranges = root_ranges(exact)
    rng = random.Random(seed)
    path = tuple((neuron, rng.choice((-1, 1))) for neuron in Node.of(exact, ranges, {}).free)
    node = Node.of(exact, ranges, dict(path))
    answer = node.feasible(Deadline.never())
    assert isinstance(answer, Conflict), "the property holds on every region"
    leaf = leaf_of(node, answer.multipliers, path)
    assert holds(exact, ranges, path, leaf)
    nothing = Leaf(vector([0] * len(asked.rows)), {}, (Fraction(0),) * len(path))
    assert not holds(exact, ranges, path, nothing)


@pytest.mark.peer
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if remembered(seed).network.relus <= 10][:20])
def test_z3_agrees(seed: int) -> None:
    asked = remembered(seed)
    exact = exact_question(asked)
    assertions = network(exact, root_ranges(exact))
    answer = z3_solver.solve(assertions, 60)
    if isinstance(answer, Satisfied):
        assert not asked.holds
        assert all(true_at(formula, answer.values) for formula in assertions.values())
        assert exact.violated_by(vector(inputs_of(answer.values, asked.net.inputs)))
    else:
        assert isinstance(answer, Contradicted)
        assert asked.holds
        assert isinstance(z3_solver.solve({name: assertions[name] for name in answer.core}, 60), Contradicted)


def hard_question() -> Question:
    """Far too many phases for the time it is given: a threshold just beyond what samples and corners reach."""
    query = random_query([8, 40, 40, 1], 0)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=8)))
    inputs = np.concatenate([np.random.default_rng(0).uniform(-1, 1, (5000, 8)), corners])
    lowest = query.margins(inputs).min()
    return Question.of(replace(query, rows=replace(query.rows, constant=query.rows.constant - lowest + 0.2)))


def test_time_is_obeyed_and_what_was_found_covers_the_box() -> None:
    exact = hard_question()
    ranges = root_ranges(exact)
    start = time.monotonic()
    answer = reluplex.decide(exact, 0.5, ranges)
    assert time.monotonic() - start < 10.0  # of a search that takes minutes; machines may be busy
    assert isinstance(answer, Undecided)
    assert not refutes(exact, answer.tree, ranges)
    assert sum(Fraction(1, 2 ** len(path)) for path, _ in leaves(answer.tree)) == 1
    start = time.monotonic()
    z3_solver.solve(network(exact, ranges), 0.5)
    assert time.monotonic() - start < 5.0
