"""The relaxed attack is what it says: a point, what the relaxation makes of it, and the neurons it lies about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder
from tests.unit.verifier.engine.made import Made, made
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.relaxed import LISTED, relaxed_attack
from verifier.engine.scheduler import Place

SEEDS = range(400, 420)


def test_every_field_follows_from_the_point(tmp_path: Path) -> None:
    told = proved = 0
    for seed in SEEDS:
        one = made(seed, tmp_path)
        found = relaxed_attack([one.case()])
        assert found is not None
        point = np.array(found.point)
        assert ((point == one.lower) | (point == one.upper)).all()  # a linear function is least at a corner
        bounds = BoxBounder(one.explorer.network, one.explorer.rows).bounds(one.lower[None], one.upper[None])
        assert found.bound == pytest.approx(bounds.lower[0].max(), rel=1e-12, abs=1e-12)
        assert found.value == pytest.approx(one.explorer.values(point[None])[0])
        assert found.bound <= found.value + 1e-9 * (1 + abs(found.value))
        assert found.bound <= float(one.question.optimum) + 1e-9 * (1 + abs(found.bound))
        if found.action is None:  # nothing stands in the way of a proof
            assert found.bound > 0
            proved += 1
            continue
        assert found.action.score == pytest.approx(-found.bound)
        shares = lines_at(one, bounds.ranges, found)
        for exploit in found.exploits:
            assert exploit.cost > 0
            assert exploit.cost == pytest.approx(shares[exploit.layer][exploit.neuron])
            l, u = (side[0, exploit.neuron] for side in bounds.ranges[exploit.layer])
            assert l < 0 < u
            units = found.action.content.units
            z, a = units.z[exploit.layer][exploit.neuron], units.a[exploit.layer][exploit.neuron]
            assert exploit.gap == pytest.approx(a - max(z, 0))
        costs = [exploit.cost for exploit in found.exploits]
        assert costs == sorted(costs, reverse=True)
        assert len(costs) <= LISTED
        told += bool(costs)
    assert told + proved >= 15
    assert told >= 5


def lines_at(one: Made, ranges: list, found: RelaxedAttack) -> list[np.ndarray]:
    """What each neuron's relaxation takes from the row at the point, by derivatives of the row along the lines.

    A change of one unit's output by d, all later units staying on their lines, changes the row by coefficient * d.
    """
    network, units = one.explorer.network, found.action.content.units
    seen, _ = network.preactivations(np.array(found.point)[None])
    line = []  # (slope, offset) of each unit, told from which of its two lines it is on
    for k, (z, a) in enumerate(zip(units.z, units.a)):
        l, u = (side[0] for side in ranges[k])
        unstable = (l < 0) & (u > 0)
        chord = np.where(unstable, u / np.where(unstable, u - l, 1), l >= 0)
        above = np.where(unstable, chord * (z - l), chord * z)
        below = np.where(unstable & (units.below[k] == 0), 0 * z, np.where(unstable, z, chord * z))
        on_chord = np.abs(a - above) <= np.abs(a - below)
        line.append((np.where(on_chord, chord, units.below[k]), np.where(on_chord & unstable, -chord * l, 0)))

    def row(change: dict[tuple[int, int], float]) -> float:
        values = [np.array(found.point)[None]]
        for k, layer in enumerate(network.layers):
            a = line[k][0] * layer.apply(values) + line[k][1]
            for (where, i), d in change.items():
                if where == k:
                    a[0, i] += d
            values.append(a)
        rows = one.explorer.rows
        return float(
            found.action.weights @ (rows.x @ values[0][0] + rows.y @ network.output.apply(values)[0] + rows.constant)
        )

    base = row({})
    assert base == pytest.approx(found.bound, rel=1e-9, abs=1e-9)
    return [
        np.array(
            [
                (row({(k, i): 1.0}) - base) * (max(z[0, i], 0) - line[k][0][i] * z[0, i] - line[k][1][i])
                for i in range(z.shape[1])
            ]
        )
        for k, z in enumerate(seen)
    ]


def test_what_is_exploited_adds_up_to_the_whole_gap(tmp_path: Path) -> None:
    """The row's real value less its bound is what all units together take from it."""
    for seed in SEEDS:
        one = made(seed, tmp_path)
        found = relaxed_attack([one.case()])
        if found.action is None:
            continue
        bounds = BoxBounder(one.explorer.network, one.explorer.rows).bounds(one.lower[None], one.upper[None])
        real = one.explorer.rows
        x = np.array(found.point)
        values = real.x @ x + real.y @ one.explorer.network.evaluate(x[None])[0] + real.constant
        whole = sum(share.sum() for share in lines_at(one, bounds.ranges, found))
        assert whole == pytest.approx(float(found.action.weights @ values) - found.bound, rel=1e-6, abs=1e-9)


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
