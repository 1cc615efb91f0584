"""Attacks on many cases find what is known to be there, stay in each case's box and report true values."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.network import Layer, ReluNetwork
from tests.unit.verifier.attack.aims import attack, plateau, random_network, relu_network, rows
from verifier.attack import group
from verifier.attack.targets import Targets


def classes(count: int, inputs: int, constants: list[float] | None = None) -> list[object]:
    """Output k at most ``-constants[k]``: one case each."""
    return [rows([np.eye(count)[k].tolist()], [(constants or [0.0] * count)[k]], inputs) for k in range(count)]


def test_the_one_case_that_can_fail_is_found_among_others() -> None:
    """Outputs are linear, so the least value of case k is known: |weights| summed below its value in the middle."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(9, 40))
    reach = np.abs(weight).sum(axis=1) / 2
    constants = 1.1 * reach - weight.sum(axis=1) / 2
    constants[6] -= 0.2 * reach[6]
    network = relu_network((weight, np.zeros(9)))
    targets = Targets.of(classes(9, 40, constants.tolist()), [np.zeros(40)] * 9, [np.ones(40)] * 9)  # type: ignore[arg-type]
    found = attack(network, targets)
    assert found[0][0] == 6
    assert found[0][1].value <= 0
    assert all(attempt.value > 0 for _, attempt in found[1:])
    assert [attempt.value for _, attempt in found] == sorted(attempt.value for _, attempt in found)


def test_values_are_those_of_the_float64_network_at_the_points() -> None:
    network = random_network(7, 8, 20, 20, 5)
    low, up = np.full(8, 0.1), np.full(8, 0.4)
    targets = Targets.of(classes(5, 8, [50.0] * 5), [low] * 5, [up] * 5)  # type: ignore[arg-type]
    found = attack(network, targets)
    assert sorted(k for k, _ in found) == [0, 1, 2, 3, 4]
    for k, attempt in found:
        assert attempt.point.dtype == np.float64
        assert (low <= attempt.point).all()
        assert (attempt.point <= up).all()
        assert attempt.value == network.evaluate(attempt.point[None])[0, k] + 50


def test_every_case_is_attacked_in_its_own_box() -> None:
    network = relu_network((np.ones((1, 3)), np.zeros(1)))
    lows = [np.full(3, float(k)) for k in range(30)]
    cases = [rows([[1.0]], [-30.0 - 3 * k], 3) for k in range(30)]  # sum of inputs > 30 + 3k, within 3k to 3k + 3
    for case in cases:
        case.constant[:] += 40
    cases[17].constant[:] -= 11.5  # fails where the inputs sum up to at most 52.5, and 51 can be reached
    targets = Targets.of(cases, lows, [low + 1 for low in lows])
    found = attack(network, targets)
    assert found[0][0] == 17
    assert found[0][1].value <= 0
    for k, attempt in found:
        assert (lows[k] <= attempt.point).all()
        assert (attempt.point <= lows[k] + 1).all()


def test_a_saturated_network_needs_smooth_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """All slopes seen from the middle or a random corner are zero; the only violations are near one corner."""
    targets = Targets.of([rows([[1.0]], [0.0], 60)], [np.zeros(60)], [np.ones(60)])
    ((_, attempt),) = attack(plateau(60, 57.0), targets)
    assert attempt.value <= 0
    monkeypatch.setattr(group, "TEMPERATURES", (0.0, 0.0, 0.0, 0.0))
    ((_, attempt),) = attack(plateau(60, 57.0), targets)
    assert attempt.value == 1


def test_a_point_to_begin_with_is_descended_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the given point there is a slope, from elsewhere none."""
    monkeypatch.setattr(group, "TEMPERATURES", (0.0, 0.0, 0.0, 0.0))
    network, count = plateau(60, 55.0), 60
    targets = Targets.of([rows([[1.0]], [3.5], count)] * 2, [np.zeros(count)] * 2, [np.ones(count)] * 2)
    near = np.full(count, 0.95)  # the sum is 57, two above where the slope begins; the value is 1 - 2 + 3.5
    found = attack(network, targets, count=20, attained=np.array([2.5, 2.5]), begin=[(1, near)])
    assert found[0][1].value == pytest.approx(1 - 5 + 3.5)
    found = attack(network, targets, count=20, attained=np.array([2.5, 2.5]))
    assert found[0][1].value == 4.5


def test_an_attack_is_repeatable_and_seeds_differ() -> None:
    network = random_network(3, 20, 30, 30, 2)
    targets = Targets.of(classes(2, 20, [9.0, 9.0]), [np.zeros(20)] * 2, [np.ones(20)] * 2)  # type: ignore[arg-type]
    first, again, other = (attack(network, targets, 24, seed) for seed in (0, 0, 1))
    assert [a.value for _, a in first] == [a.value for _, a in again]
    assert any((a.point != b.point).any() for (_, a), (_, b) in zip(sorted(first), sorted(other), strict=True))


def test_a_box_finer_than_float32_is_searched_in_float64() -> None:
    """The inputs vary in their tenth digit, and only one end of that fails."""
    low, up = np.ones(4), np.full(4, 1 + 1e-10)
    network = relu_network((np.full((1, 4), -1e10), np.array([4e10])))  # from 0 down to -4 over the box
    targets = Targets.of([rows([[1.0]], [3.5], 4)], [low], [up])
    ((_, attempt),) = attack(network, targets)
    assert attempt.value <= 0
    assert (attempt.point > 1).all()
    assert (attempt.point <= up).all()


def test_numbers_beyond_float32_are_searched_in_float64() -> None:
    network = relu_network((np.full((1, 2), 1e200), np.array([-1e200])))
    targets = Targets.of([rows([[1.0]], [0.5e200], 2)], [np.zeros(2)], [np.ones(2)])
    ((_, attempt),) = attack(network, targets)
    assert attempt.value <= 0


def test_a_network_that_gives_no_numbers_has_no_attempt() -> None:
    network = ReluNetwork(2, (), Layer(((0, np.full((1, 2), np.nan)),), np.zeros(1)))
    assert attack(network, Targets.of([rows([[1.0]], [0.0], 2)], [np.zeros(2)], [np.ones(2)])) == []


def test_a_case_without_rows_fails_everywhere() -> None:
    network = random_network(1, 3, 4, 1)
    cases = [rows([[1.0]], [99.0], 3), rows([], [], 3)]
    cases[1] = type(cases[1])(np.zeros((0, 3)), np.zeros((0, 1)), np.zeros(0))
    found = attack(network, Targets.of(cases, [np.zeros(3)] * 2, [np.ones(3)] * 2))
    assert found[0][0] == 1
    assert found[0][1].value == -np.inf


def test_without_time_the_middle_is_reported() -> None:
    network = random_network(1, 3, 4, 1)
    targets = Targets.of([rows([[1.0]], [99.0], 3)], [np.zeros(3)], [np.ones(3)])
    ((_, attempt),) = attack(network, targets, seconds=-1.0)
    assert attempt.point.tolist() == [0.5, 0.5, 0.5]
