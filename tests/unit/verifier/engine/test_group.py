"""Groups: parts of a box cut by inputs, what is known of them together, and the tree they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.checker.phase_words import NOWHERE, words
from tests.unit.verifier.engine.made_phases import Asked, asked, go_on, never, written
from verifier.checker.container import Certificate
from verifier.checker.exact_tree import audit
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.group import Group
from verifier.engine.phases.search import PhaseSearch

SEEDS = range(700, 720)


def with_symbols(search: PhaseSearch) -> PhaseSearch:
    """The same search, with nothing done, whose root is bounded by a zonotope too."""
    old = search.bounding
    return PhaseSearch.over_box(Bounding(old.exact, old.target, old.lower, old.upper, symbols=True))


def in_parts(one: Asked, depth: int) -> Group:
    """Each part is halved down to some depth, by the input that loosens its relaxation most, and searched."""
    group = Group(tuple(range(len(one.cases))), {0: with_symbols(one.search())})
    group.whole.start(never)
    waiting = [(0, 0)]
    while waiting:
        part, level = waiting.pop()
        search = group.searches[part]
        if search.closed or level == depth:
            go_on(search)
            continue
        worst = min(search.unproved, key=lambda node: node.bound)
        dim = int(search.bounding.loosened(worst).argmax())
        for half, begun in zip(group.halve(part, dim), search.halves(dim), strict=True):
            group.searches[half] = begun
            begun.start(never)
            waiting.append((half, level + 1))
    return group


def certificate(one: Asked, group: Group) -> Certificate:
    cases = len(one.cases)
    chunks = {part: cases + i for i, part in enumerate(group.parts)}
    trees = [written(group.searches[part], range(cases)) for part in group.parts]
    roots = [group.words(chunks).tolist()] * cases
    return Certificate(NOWHERE, NOWHERE, cases, tuple(map(words, [*roots, *trees])), "")


@pytest.mark.parametrize("cases", [1, 3])
def test_what_closes_in_parts_is_true_and_both_checkers_accept_it(cases: int, tmp_path: Path) -> None:
    accepted = cut = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, cases=cases)
        group = in_parts(one, 2)
        if not group.closed:
            continue
        assert min(one.optima()) > 0, "closed, though it does not hold"
        evidence = certificate(one, group)
        verdict = one.checker().check(evidence, None)
        if verdict.accepted:  # else float32 has rounded too much, which the engine mends
            assert audit(one.checker(), evidence).accepted
            accepted += 1
            cut += bool(group.halved)
    assert accepted > len(SEEDS) // 4
    assert cut > 0


def test_halves_cover_the_box(tmp_path: Path) -> None:
    search = with_symbols(asked(SEEDS[0], tmp_path).search())
    lower, upper = search.bounding.lower, search.bounding.upper
    for dim in range(len(lower)):
        below, above = (half.bounding for half in search.halves(dim))
        assert below.upper[dim] == above.lower[dim]
        others = np.arange(len(lower)) != dim
        for half in (below, above):
            np.testing.assert_array_equal(half.lower[others], lower[others])
            np.testing.assert_array_equal(half.upper[others], upper[others])
        assert below.lower[dim] == lower[dim]
        assert above.upper[dim] == upper[dim]


def test_a_half_that_is_not_searched_is_as_open_as_the_part_it_comes_from(tmp_path: Path) -> None:
    for seed in SEEDS:
        one = asked(seed, tmp_path)
        whole = with_symbols(one.search())
        whole.start(never)
        if not whole.unproved:
            continue
        group = Group((0,), {0: whole})
        first, second = group.halve(0, 0)
        assert group.parts == [first, second]
        assert not group.closed
        assert [node for _, node in group.unproved] == whole.unproved
        assert group.bound == whole.unproved[0].bound
        group.searches[first] = replace(whole, open=[], stuck=[])
        assert not group.closed
        assert [node for _, node in group.unproved] == whole.unproved
        group.searches[second] = replace(whole, open=[], stuck=[])
        assert group.closed
        assert group.bound == np.inf
        return
    pytest.fail("every question was closed at its root")


def test_the_tree_over_parts_is_in_preorder() -> None:
    """Split 3; its second half is split 1: the words are the split, the first half, the second split and its halves."""
    group = Group((0,), {})
    first, second = group.halve(0, 3)
    third, fourth = group.halve(second, 1)
    assert group.words({first: 7, third: 8, fourth: 1 << 16}).tolist() == [16 + 3, 3, 0, 7, 16 + 1, 3, 0, 8, 3, 1, 0]
