"""The refutation trees of ``smt`` as certificates of the frontier: true ones are accepted, damaged ones are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from relaxations.lowering import lower
from relaxations.smt.encode import vector
from relaxations.smt.relaxed import Models
from relaxations.smt.tree import Leaf, Split, Tree, size
from specs.loading import load_model
from specs.problem import Problem
from tests.soundness.deciding import checker_of
from tests.strategies import question
from verifier.certificate.refutation import root_words
from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit
from verifier.engine.frontier.proofs import trees_of
from verifier.engine.frontier.roots import Root, roots_of

NOWHERE = Source("", "", None)
SHARE = 0.5  # of the optimum, as the frontier asks for
SEEDS = [s for s in range(60) if question(s, "far").holds and question(s, "far").kind != "mixed"]


def asked(seed: int, folder: Path) -> tuple[Checker, Root]:
    one = question(seed, "far")
    model, spec = one.write(folder)
    graph = load_model(model)
    [root] = roots_of(Problem(graph, (one.case,)), lower(graph), lambda: False)
    return checker_of(model, spec), root


def refuted(root: Root) -> tuple[Models, Tree]:
    relaxation = Models(root.queries[0])
    best = relaxation.solve()
    found = relaxation.prove(enough=SHARE * best.value)
    assert best.value <= found.value <= SHARE * best.value < 0
    return relaxation, found.dual


def accepted(checker: Checker, root: Root, relaxation: Models, tree: Tree) -> bool:
    [(cases, words)] = trees_of("smt", [root], [[(relaxation, tree)]], list)
    assert cases == root.cases
    certificate = Certificate(NOWHERE, NOWHERE, 1, (root_words(1), words), "")
    try:
        found = checker.check(certificate, None).accepted
    except CheckError:  # words that are none of a certificate
        return False
    assert audit(checker, certificate).accepted == found
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_true_tree_is_accepted_and_proves_nothing_that_is_false(seed: int, tmp_path: Path) -> None:
    checker, root = asked(seed, tmp_path)
    relaxation, tree = refuted(root)
    assert accepted(checker, root, relaxation, tree)
    [case] = checker.cases
    beyond = question(seed, "far").optimum + Fraction(1, 10**6)
    rows = tuple(replace(row, constant=row.constant - beyond) for row in case.rows)
    assert not accepted(Checker(checker.bounder.network, (replace(case, rows=rows),)), root, relaxation, tree)


def damaged(tree: Tree, change: Callable[[Leaf], Leaf | None]) -> Iterator[Tree]:
    """The tree with one leaf changed, for every leaf that the change applies to."""
    if isinstance(tree, Leaf):
        other = change(tree)
        if other is not None:
            yield other
        return
    for below in damaged(tree.below, change):
        yield Split(tree.neuron, below, tree.above)
    for above in damaged(tree.above, change):
        yield Split(tree.neuron, tree.below, above)


def nothing(leaf: Leaf) -> Leaf:
    return Leaf(vector([0] * len(leaf.weights)), leaf.slopes, tuple(0 * m for m in leaf.multipliers))


def weightless(leaf: Leaf) -> Leaf | None:
    """As if the leaf's part of the box had no input; where it has, that cannot be shown."""
    return Leaf(vector([0] * len(leaf.weights)), leaf.slopes, leaf.multipliers) if any(leaf.weights) else None


@pytest.mark.parametrize("change", [nothing, weightless])
def test_a_tree_with_a_damaged_leaf_is_refused(change: Callable[[Leaf], Leaf | None], tmp_path: Path) -> None:
    tried = 0
    for seed in SEEDS:
        checker, root = asked(seed, tmp_path)
        relaxation, tree = refuted(root)
        for broken in damaged(tree, change):
            assert not accepted(checker, root, relaxation, broken)
            tried += 1
    assert tried >= len(SEEDS)


def test_a_leaf_does_not_stand_for_the_other_side_of_its_split(tmp_path: Path) -> None:
    """Sides exchanged, or one side alone: what is accepted then is true of the rows, and most are refused."""
    tried = refused = 0
    for seed in SEEDS:
        checker, root = asked(seed, tmp_path)
        relaxation, tree = refuted(root)
        if size(tree) < 2:
            continue
        assert isinstance(tree, Split)
        tried += 1
        refused += not accepted(checker, root, relaxation, Split(tree.neuron, tree.above, tree.below))
        cut = Split(tree.neuron, tree.below, Leaf(vector([1] * len(root.queries[0].rows.constant)), {}, (0 * SHARE,)))
        refused += not accepted(checker, root, relaxation, cut)
    assert tried >= 3
    assert refused >= tried


def test_a_chunk_that_ends_early_is_refused(tmp_path: Path) -> None:
    checker, root = asked(SEEDS[0], tmp_path)
    relaxation, tree = refuted(root)
    [(_, words)] = trees_of("smt", [root], [[(relaxation, tree)]], list)
    for end in (1, len(words) // 2, len(words) - 1):
        certificate = Certificate(NOWHERE, NOWHERE, 1, (root_words(1), np.array(words[:end])), "")
        with pytest.raises(CheckError):
            checker.check(certificate, None)
