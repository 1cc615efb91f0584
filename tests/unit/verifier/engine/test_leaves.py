"""Nodes that cannot be split end in a linear program: a proof that the checker accepts, or the region's optimum."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.verifier.engine.made_phases import NODES, asked, go_on, searched, started
from tests.unit.verifier.engine.test_phases import judge
from verifier.engine.phases import bounding, search
from verifier.engine.phases.leaves import Leaf, solve_leaf

pytest.importorskip("onnx")
SEEDS = range(800, 825)


@pytest.fixture(autouse=True)
def _without_zonotopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node is split down to where nothing is left to split: small questions are else closed before."""
    monkeypatch.setattr(bounding, "LARGEST_ZONOTOPE", -1)


def test_what_cannot_be_split_is_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None stays stuck but where a violation has been seen, or rounding leaves the answer open."""
    leaves: list[Leaf] = []

    def kept(*of):
        leaves.append(solve_leaf(*of))
        return leaves[-1]

    monkeypatch.setattr(search, "solve_leaf", kept)
    decided = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, placement="near")
        found = searched(one)
        judge(one, found)
        if found.count >= NODES:
            continue
        shown = min(value for value, _ in found.seen.worst.values()) <= 0
        assert found.closed or shown
        decided += 1
    assert decided >= 20
    assert sum(leaf.dual is not None for leaf in leaves) >= 5
    assert sum(leaf.dual is None and leaf.point is not None for leaf in leaves) >= 3


def test_without_programs_some_stay_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the programs are for: else the test above would show nothing."""
    monkeypatch.setattr(search, "solve_leaf", lambda *of: Leaf(None, np.zeros(0), None))
    ends = [go_on(started(asked(seed, tmp_path, placement="near"))) for seed in SEEDS]
    stuck = [end for end in ends if end.stuck and not end.open]
    unseen = [end for end in stuck if min(value for value, _ in end.seen.worst.values()) > 0]
    assert unseen


def test_without_the_solver_nodes_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    found = [searched(asked(seed, tmp_path, placement="near")) for seed in SEEDS]
    assert any(search.stuck for search in found)
