"""The relaxed attack is what it says: a point, what the relaxation makes of it, and the neurons it lies about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder
from tests.unit.verifier.engine.made import made
from verifier.engine.relaxed import LISTED, relaxed_attack
from verifier.engine.scheduler import Place

SEEDS = range(400, 420)


def test_every_field_follows_from_the_point(tmp_path: Path) -> None:
    told = 0
    for seed in SEEDS:
        one = made(seed, tmp_path)
        found = relaxed_attack([one.case()])
        assert found is not None
        point = np.array(found.point)
        assert ((point == one.lower) | (point == one.upper)).all()  # a linear function is least at a corner
        bounds = BoxBounder(one.explorer.network, one.explorer.rows).bounds(one.lower[None], one.upper[None])
        assert found.bound == bounds.lower[0].max()
        assert found.value == pytest.approx(one.explorer.values(point[None])[0])
        assert found.bound <= found.value + 1e-9 * (1 + abs(found.value))
        assert found.bound <= float(one.question.optimum) + 1e-9 * (1 + abs(found.bound))
        preactivations, _ = one.explorer.network.preactivations(point[None])
        for layer, neuron, gap in found.exploits:
            l, u = (side[0, neuron] for side in bounds.ranges[layer])
            z = preactivations[layer][0, neuron]
            assert l < 0 < u
            assert gap == pytest.approx(u * (z - l) / (u - l) - max(z, 0))
            assert gap > 0
        gaps = [gap for *_, gap in found.exploits]
        assert gaps == sorted(gaps, reverse=True)
        assert len(gaps) <= LISTED
        told += bool(gaps)
    assert told >= 10


def test_the_open_box_with_the_least_bound_is_chosen_over_all_cases(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    cases = [made(seed, tmp_path / "one").case() for seed in SEEDS]
    alone = [relaxed_attack([case]) for case in cases]
    best = min(range(len(cases)), key=lambda k: alone[k].bound if k < 5 else np.inf)
    found = relaxed_attack(cases[:5])
    assert (found.case, found.bound) == (best, alone[best].bound)


def test_nothing_is_open(tmp_path: Path) -> None:
    case = made(400, tmp_path).case()
    case.waiting = []
    assert relaxed_attack([case]) is None
    case.stuck = [Place((0, 0), case.root.lower, case.root.upper)]  # what cannot be split is open, too
    assert relaxed_attack([case]) is not None
