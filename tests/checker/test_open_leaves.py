"""Open leaves of trees in zonotopes: what has to be proved below them, and what an earlier item lets them off.

The network is y = relu(x) - relu(-x) of ``test_exact_phases``. Rows are y - x > -9, which every bound shows, and
y - x > -1/4, which is true and takes splits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.checker.judging import Judge
from tests.checker.phase_words import (
    EMPTY,
    END,
    OPEN,
    Cut,
    certificate,
    chunk,
    frame,
    multiplied,
    proof,
    random_tree,
    split,
    words,
    zonotope,
)
from tests.checker.test_exact_phases import MIDDLE, NEURONS, QUARTER, case, checker_of, in_zonotope, positions, row
from tests.unit.verifier.engine.made_phases import asked
from verifier.checker.boxes import Boxes
from verifier.checker.check import outward
from verifier.checker.exact_tree import audit
from verifier.checker.phase_tree import PhaseTree, read_phase_tree
from verifier.checker.phases import PhaseProver

EASY, HARD, FALSE = row(Fraction(-9)), row(-QUARTER), row(QUARTER)
TWO_OPEN = Cut(1, (0.0, 0.0), Cut(0, (0.0, 0.0), below=OPEN), Cut(0, (0.0, 0.0), above=OPEN))
COLUMNS = frame(NEURONS)


def by_proof(case: int, multipliers: Sequence[float] = ()) -> list[int]:
    return proof(case, [1], [0, 0], multipliers)


def by_multipliers(case: int, multipliers: Sequence[float] = ()) -> list[int]:
    """No fact about a ReLU is used: the row is at least -4 for every value of the symbols."""
    return multiplied(case, [1], [], ([], [], []), (), multipliers)


def by_cuts(case: int, multipliers: Sequence[float] = ()) -> list[int]:
    return zonotope(case, [1], MIDDLE, in_zonotope(), multipliers)


def left_open(case: int, multipliers: Sequence[float] = ()) -> list[int]:
    return zonotope(case, [1], MIDDLE, TWO_OPEN, multipliers)


WAYS = [by_proof, by_multipliers, by_cuts]


def tree_of(words_of: list[int], cases: int) -> PhaseTree:
    return read_phase_tree(words(words_of), 1, [2], [1] * cases)


def of_endings(words_of: list[int], cases: int) -> list[int]:
    return [node.position for node in tree_of(words_of, cases).nodes]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_proved_before_need_not_be_proved_below_open_leaves(
    way: Callable[..., list[int]], judge: Judge
) -> None:
    here = chunk([0], COLUMNS, way(0), left_open(0), [END], [END], [END])
    assert judge(checker_of(case(EASY)), certificate(1, here)).accepted
    below = chunk([0], COLUMNS, way(0), split(0, 0), left_open(0, [0.0]), [END], [END], [END], [END])
    assert judge(checker_of(case(EASY)), certificate(1, below)).accepted


def test_what_is_not_proved_before_has_to_be_proved_below_open_leaves(judge: Judge) -> None:
    """Each of the two ends is refused, where it stands; so is one of them alone."""
    bare = chunk([0], COLUMNS, left_open(0), [END], [END], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, bare))) == of_endings(bare, 1)[1:]
    nothing = [0.0, 0.0]
    first = chunk([0], COLUMNS, left_open(0), [END], [*by_proof(0, nothing), END], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, first))) == of_endings(first, 1)[2:]
    second = chunk([0], COLUMNS, left_open(0), [END], [END], [*by_proof(0, nothing), END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, second))) == of_endings(second, 1)[1:2]


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_after_the_splits_does_not_count(way: Callable[..., list[int]], judge: Judge) -> None:
    after = chunk([0], COLUMNS, left_open(0), way(0), [END], [END], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, after))) == of_endings(after, 1)[1:]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_proved_below_a_node_does_not_count_beside_it(way: Callable[..., list[int]], judge: Judge) -> None:
    """A proof on one side of a split, or below one open leaf, says nothing about the other."""
    other_side = chunk([0], COLUMNS, split(0, 0), way(0, [0.0]), [END], left_open(0, [0.0]), [END], [END], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, other_side))) == of_endings(other_side, 1)[-2:]
    other_leaf = chunk([0], COLUMNS, left_open(0), [END], [*way(0, [0.0, 0.0]), END], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, other_leaf))) == of_endings(other_leaf, 1)[-1:]


@pytest.mark.parametrize("way", WAYS)
def test_only_the_case_of_the_item_is_proved(way: Callable[..., list[int]], judge: Judge) -> None:
    """Case numbers mixed up: the proof of another case, in every order of the cases and of their numbers."""
    for named in ([0, 1], [1, 0]):
        easy = named.index(0)
        checker = checker_of(case(EASY), case(EASY))
        mixed = chunk(named, COLUMNS, way(easy), left_open(1 - easy), [END], [END], [END])
        assert sorted(set(positions(judge(checker, certificate(2, mixed))))) == of_endings(mixed, 2)[1:]
        twice = chunk(named, COLUMNS, way(easy), left_open(easy), left_open(1 - easy), [END], *[[END]] * 4)
        assert sorted(set(positions(judge(checker, certificate(2, twice))))) == of_endings(twice, 2)[3:]
        swapped = chunk(named, COLUMNS, way(1 - easy), left_open(easy), left_open(1 - easy), [END], *[[END]] * 4)
        assert not judge(checker, certificate(2, swapped)).accepted


@pytest.mark.parametrize("way", WAYS)
def test_an_earlier_proof_that_does_not_hold_refuses_the_tree(way: Callable[..., list[int]], judge: Judge) -> None:
    false = chunk([0], COLUMNS, way(0), left_open(0), [END], [END], [END])
    item = tree_of(false, 1).nodes[0].items[1]
    assert positions(judge(checker_of(case(FALSE)), certificate(1, false))) == [item.position]


def test_splits_about_what_is_proved_before_may_be_false(judge: Judge) -> None:
    """Not so where the proof stands behind them, is of another case, or is missing."""
    nothing = zonotope(0, [0], MIDDLE, in_zonotope())
    checker = checker_of(case(HARD), case(EASY))
    easy = by_proof(1)
    assert judge(checker, certificate(2, chunk([0, 1], COLUMNS, easy, by_cuts(0), nothing, [END]))).accepted
    for items in ([nothing, by_cuts(0)], [nothing, easy], [easy, nothing], [nothing]):
        refused = chunk([0, 1], COLUMNS, *items, [END])
        at = next(i for i in tree_of(refused, 2).nodes[0].items if getattr(i, "weights", [1])[0] == 0).position
        assert at in positions(judge(checker, certificate(2, refused)))


def test_the_first_of_two_trees_in_zonotopes_has_to_prove_the_case(judge: Judge) -> None:
    """The second may leave anything open; the first is not helped by the second."""
    checker = checker_of(case(HARD))
    first = chunk([0], COLUMNS, by_cuts(0), left_open(0), [END], [END], [END])
    assert judge(checker, certificate(1, first)).accepted
    second = chunk([0], COLUMNS, left_open(0), by_cuts(0), [END], [END], [END])
    assert positions(judge(checker, certificate(1, second))) == of_endings(second, 1)[1:]
    both = chunk([0], COLUMNS, left_open(0), left_open(0), [END], *[[END]] * 4)
    assert positions(judge(checker, certificate(1, both))) == of_endings(both, 1)[1:3]


def test_splits_below_an_open_leaf_go_on_with_what_it_has_to_prove(judge: Judge) -> None:
    """Trees in zonotopes below open leaves, with open leaves of their own: nothing is handed back upward."""
    here = zonotope(0, [1], MIDDLE, OPEN)
    deep = zonotope(0, [1], MIDDLE, OPEN)
    for innermost, accepted in (([*by_proof(0), END], True), ([END], False), ([*by_proof(1), END], False)):
        nested = chunk([0, 1], COLUMNS, by_proof(1), here, [END], deep, [END], innermost)
        assert judge(checker_of(case(EASY), case(EASY)), certificate(2, nested)).accepted == accepted


def test_an_open_leaf_with_nothing_to_prove_is_still_not_empty(judge: Judge) -> None:
    called_empty = chunk([0], COLUMNS, by_proof(0), left_open(0), [END], [EMPTY], [END])
    assert positions(judge(checker_of(case(EASY)), certificate(1, called_empty))) == of_endings(called_empty, 1)[1:2]


def test_proofs_below_an_open_leaf_have_to_hold_even_where_nothing_is_left_to_prove(judge: Judge) -> None:
    needless = chunk([0], COLUMNS, by_proof(0), left_open(0), [END], [*proof(0, [0], [0, 0], [0.0, 0.0]), END], [END])
    assert len(positions(judge(checker_of(case(EASY)), certificate(1, needless)))) == 1


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 7, 40])
@pytest.mark.parametrize("way", WAYS)
def test_a_proof_counts_in_every_part_and_is_checked_in_one(way: Callable[..., list[int]], parts: int) -> None:
    """Cases whose proofs are in the first part, their open leaves in all the others."""
    count = 4
    opened = [word for k in range(count) for word in left_open(k)]
    tree = chunk(range(count), COLUMNS, *(way(k) for k in range(count)), opened, [END], [END] * (2 * count))
    assert checker_of(*[case(EASY)] * count).check(certificate(count, tree), None, parts).accepted
    for bad in range(count):
        cases = [case(FALSE if k == bad else EASY) for k in range(count)]
        verdict = checker_of(*cases).check(certificate(count, tree), None, parts)
        assert positions(verdict) == [tree_of(tree, count).nodes[0].items[1 + bad].position]
    behind = chunk(range(count), COLUMNS, opened, *(way(k) for k in range(count)), [END], [END] * (2 * count))
    verdict = checker_of(*[case(EASY)] * count).check(certificate(count, behind), None, parts)
    assert sorted(positions(verdict)) == of_endings(behind, count)[1:]


def test_a_part_alone_neither_proves_nor_refuses_what_is_in_another() -> None:
    """The root's false proof is seen by the part with the root's first ending, and by no other."""
    tree = tree_of(chunk([0], COLUMNS, by_proof(0), left_open(0), [END], [END], [END]), 1)
    checker = checker_of(case(FALSE))
    rows = [question.rows for question in checker.questions]
    box = Boxes.of(np.array([[-1.0]]), np.array([[1.0]]))
    refused = [PhaseProver(checker.bounder, tree, rows, box).prove(e, e + 1) for e in range(tree.ends)]
    assert refused == [[tree.nodes[0].items[1].position]] + [[]] * (tree.ends - 1)


@pytest.mark.parametrize("seed", range(40))
def test_parts_refuse_together_what_the_whole_refuses_and_the_twin_does_alike(seed: int, tmp_path: Path) -> None:
    """Random trees with proofs, multipliers and open leaves anywhere, most of them with something missing."""
    rng, one = random.Random(seed), asked(seed, tmp_path, "far", cases=3)
    checker = one.checker()
    network, rows = checker.bounder.network, [len(rows) for rows in one.cases]
    lower, upper = outward(one.lower, one.upper)
    for _ in range(4):
        made = random_tree(rng, checker, 2)
        tree = read_phase_tree(words(made), network.sizes[0], network.widths, rows)

        def refused(first: int, last: int, tree: PhaseTree = tree) -> list[int]:
            box = Boxes.of(lower[None], upper[None])
            of_cases = [checker.questions[k].rows for k in tree.cases]
            return PhaseProver(checker.bounder, tree, of_cases, box).prove(first, last)

        whole = refused(0, tree.ends)
        cuts = sorted({0, tree.ends, *(rng.randint(0, tree.ends) for _ in range(4))})
        assert sorted(at for f, g in pairwise(cuts) for at in refused(f, g)) == sorted(whole)
        exact = audit(checker, certificate(3, made))
        assert set(positions(exact)) <= set(whole), "rational arithmetic refuses what holds even with rounding"
        if exact.accepted:
            assert all(value > 0 for value in one.optima())
