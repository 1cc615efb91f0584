"""Proofs kept in a file: what is read back, and that a tree is the same wherever its items are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.verifier.engine.made_phases import Asked, asked, go_on, never, written
from verifier.engine.phases import bounding
from verifier.engine.phases.search import PhaseSearch
from verifier.engine.phases.store import Store
from verifier.engine.phases.tree import ENTRY

# Coefficients of a question placed exactly "at" may exceed float32: the search then says nothing useful.
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]


@pytest.mark.parametrize("in_memory", [1, 1 << 20])
def test_pieces_come_back_in_any_order(in_memory: int, tmp_path: Path) -> None:
    pieces = [bytes([i]) * (i * 37 % 101) for i in range(200)]
    with Store(tmp_path, in_memory) as store:
        places = [store.put(piece) for piece in pieces[:100]]
        assert store.get(places[3]) == pieces[3]  # reading in between does not move where the next one goes
        places += [store.put(piece) for piece in pieces[100:]]
        assert [store.get(place) for place in reversed(places)] == pieces[::-1]


def test_a_tree_is_the_same_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what other processes have found, whose trees have no file of their own."""
    monkeypatch.setattr(bounding, "LARGEST_ZONOTOPE", -1)
    compared = 0
    with Store(tmp_path, 1) as store:
        for seed in range(500, 540):
            one = asked(seed, tmp_path, cases=3)
            in_memory, stored = searched_in_parts(one, None), searched_in_parts(one, store)
            if not in_memory.closed or not in_memory.tree.split:
                continue
            compared += 1
            assert written(in_memory, range(3)) == written(stored, range(3))
            assert in_memory.tree.size == stored.tree.size
            items = [item for of_node in in_memory.tree.items.values() for item in of_node]
            assert in_memory.tree.held == sum(map(len, items))
            assert stored.tree.held == ENTRY * len(items)
    assert compared >= 2


def searched_in_parts(one: Asked, store: Store | None) -> PhaseSearch:
    """A search whose first open nodes are searched as parts by themselves."""
    search = one.search()
    search.tree.store = store
    search.start(never)
    search.deepen()
    go_on(search, nodes=3)
    for part in [search.part([node], k << 40) for k, node in enumerate(list(search.open), start=1)]:
        search.merge(go_on(part, nodes=40))
    return search
