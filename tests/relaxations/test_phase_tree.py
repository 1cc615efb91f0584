"""Trees over phases: their leaves cover, each bound is what its multipliers prove, and the whole is the truth."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from relaxations.lp.safe_dual import no_multipliers, phases_of, safe_dual
from relaxations.lp.triangle import Triangle
from relaxations.milp.big_m import BigM
from relaxations.milp.tree import PhaseLeaf, PhaseTree, cover, search
from tests.relaxations.queries import exact_optimum, hard_query, inputs_of, random_queries, random_query

ROUNDING = 1e-9
SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_leaf_bounds_the_inputs_that_have_its_phases(seed: int) -> None:
    query, rng = random_query(seed), np.random.default_rng(seed)
    tree = search(query)
    points = inputs_of(query, rng, 2000)
    seen, _ = query.network.preactivations(points)
    scores, covered = query.score(points), np.zeros(len(points), dtype=bool)
    for leaf in tree.leaves:
        here = np.all([np.ones(len(points), dtype=bool), *(s * seen[k][:, i] >= 0 for k, i, s in leaf.splits)], axis=0)
        covered |= here
        assert leaf.bound == safe_dual(query, leaf.dual, phases_of(query, leaf.splits)).value
        if leaf.bound == -np.inf:
            assert not here.any()
        else:
            assert scores[here].max(initial=-np.inf) <= leaf.bound + ROUNDING * (1 + abs(leaf.bound))
        assert all(value >= 0 for value in leaf.signs(query))
        assert len(leaf.signs(query)) == len(leaf.splits)
    assert covered.all()
    assert cover(tree.leaves)
    assert tree.value == BigM(query).bound(tree)
    assert tree.open == 0
    assert tree.score == query.score(tree.attack[None])[0]


def test_some_leaves_are_empty_and_show_it() -> None:
    leaves = [leaf for seed in SEEDS for leaf in search(random_query(seed)).leaves]
    empty = [leaf for leaf in leaves if leaf.bound == -np.inf]
    assert len(empty) >= 5
    assert not any(leaf.dual.weights.any() for leaf in empty)
    assert any(
        max(leaf.signs(random_query(seed)), default=0) > 0
        for seed in SEEDS
        for leaf in search(random_query(seed)).leaves
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_proof_stops_when_it_has_enough(seed: int) -> None:
    query = random_query(seed, neurons=20)
    truth, relaxed = float(exact_optimum(query)), Triangle(query).solve().value
    enough = (truth + relaxed) / 2
    tree, whole = search(query, enough=enough), search(query)
    assert truth - ROUNDING * (1 + abs(truth)) <= tree.value <= enough + 1e-6 * (1 + abs(enough))
    assert len(tree.leaves) <= len(whole.leaves)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_proof_to_find_the_search_ends_at_an_attack(seed: int) -> None:
    query = random_query(seed, neurons=20)
    enough = float(exact_optimum(query)) - 0.1
    tree = search(query, enough=enough)
    assert tree.score > enough
    assert tree.value >= enough + 0.1 - ROUNDING * (1 + abs(enough))
    assert cover(tree.leaves)
    assert tree.solved <= search(query).solved


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1])
def test_out_of_time_the_value_includes_what_is_open(seconds: float) -> None:
    query = hard_query()
    started = time.monotonic()
    tree = search(query, seconds=seconds)
    assert time.monotonic() - started < seconds + 1.0
    assert tree.open > 0
    assert cover(tree.leaves)
    assert tree.value == BigM(query).bound(tree)
    assert tree.value >= query.score(inputs_of(query, np.random.default_rng(0), 5000)).max()
    assert tree.value <= safe_dual(query, no_multipliers(query)).value


def test_leaves_that_leave_phases_out_are_no_bound() -> None:
    query = next(q for q in random_queries(100) if len(search(q).leaves) >= 4)
    tree = search(query)
    for left_out in range(len(tree.leaves)):
        rest = tree.leaves[:left_out] + tree.leaves[left_out + 1 :]
        assert not cover(rest)
        with pytest.raises(ValueError, match="cover"):
            BigM(query).bound(replace(tree, leaves=rest))
    assert not cover(())
    changed = replace(tree.leaves[0], splits=(*tree.leaves[0].splits[:-1], (0, 99, 1)))
    assert not cover((changed, *tree.leaves[1:]))


def test_a_single_leaf_without_splits_covers() -> None:
    query = random_query(2)
    leaf = PhaseLeaf((), no_multipliers(query), 0.0)
    assert cover((leaf,))
    assert BigM(query).bound(PhaseTree((leaf,), query.lower, 0.0)) == Triangle(query).bound(leaf.dual)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mixed_integer_search_may_begin_with_an_attack(seed: int) -> None:
    query = random_query(seed)
    attack = inputs_of(query, np.random.default_rng(seed), 1)[0]
    solution = BigM(query).solve(attack=attack)
    assert solution.attained >= query.score(attack[None])[0]
    assert solution.attained == pytest.approx(float(exact_optimum(query)), abs=1e-6 * (1 + abs(solution.attained)))
    assert solution.dual is None
    assert BigM(query).outside(solution.action) <= ROUNDING * (1 + max(np.abs(z).max() for z in solution.action.z))
    assert BigM(query).tighten(solution.action) == []


def test_a_mixed_integer_search_out_of_time_has_a_real_action() -> None:
    query = hard_query()
    started = time.monotonic()
    solution = BigM(query).solve(0.05)
    assert time.monotonic() - started < 2.0
    assert not solution.finished
    assert solution.attained == query.score(solution.action.x[None])[0]
    assert solution.value >= solution.attained


def test_invented_outputs_are_outside() -> None:
    query = next(q for q in random_queries(100) if len(search(q).leaves) >= 4)
    invented = Triangle(query).solve().action
    assert BigM(query).outside(invented) == pytest.approx(max(gap.max() for gap in invented.gaps()))
    assert BigM(query).outside(invented) > 1e-3
