"""A fault that sampling does not see, and that the relaxed adversary walks into."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.planted import STRENGTH, THRESHOLD, planted
from tests.triangle_program import solve_triangle
from verifier.relaxed.extrapolation import extrapolate

SEEDS = (0, 1, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_relaxed_attack_becomes_a_real_one_where_a_million_samples_see_nothing(seed: int) -> None:
    one = planted(seed)
    query = one.query
    rng = np.random.default_rng(seed)
    most = max(one.difference(rng.random((100_000, 20), dtype=np.float32)).max() for _ in range(10))
    assert most < THRESHOLD
    assert one.difference(one.data).max() == pytest.approx(42, abs=1e-3)
    started = time.perf_counter()
    value, action = solve_triangle(query)
    real = float(one.difference(action.x[None])[0])
    seconds = time.perf_counter() - started
    assert real > THRESHOLD
    assert real > most + 100
    assert value + THRESHOLD >= real
    assert query.score(action.x[None])[0] == pytest.approx(real - THRESHOLD, rel=1e-5)
    assert seconds < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_gate_there_is_a_proof(seed: int) -> None:
    one = planted(seed, gate=False)
    value, _ = solve_triangle(one.query)
    assert value < 0
    assert one.difference(one.data).max() - THRESHOLD <= value


def test_the_gate_is_all_that_differs_and_opens_in_one_corner() -> None:
    one, plain = planted(0), planted(0, gate=False)
    rng = np.random.default_rng(5)
    points = rng.uniform(size=(10_000, 20))
    assert np.abs(one.difference(points) - plain.difference(points)).max() < 1e-4
    raised = one.difference(one.corner[None]) - plain.difference(one.corner[None])
    assert raised[0] == pytest.approx(STRENGTH, rel=1e-5)
    near = one.corner + (0.6 / 20) * (0.5 - one.corner) * 2  # 0.6 away in sum: the gate is closed again
    assert one.difference(near[None])[0] == pytest.approx(plain.difference(near[None])[0], abs=1e-4)


def test_on_the_extrapolated_network_the_attack_is_worth_all_that_the_relaxation_says() -> None:
    one = planted(0)
    query = one.query
    value, action = solve_triangle(query)
    found = extrapolate(one.graph, query, action)
    y = found.graph.evaluate_flat(found.action.x)
    assert y[0] - y[1] - THRESHOLD == pytest.approx(value, rel=1e-9)
    assert value > query.score(found.action.x[None])[0] + 1  # more than the network itself gives
