"""Ranges by optimisation: they hold, they are nowhere looser, and they are the optima of the linear programs."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lp.tightening import tightened, worth_tightening
from relaxations.lp.triangle import Triangle
from relaxations.network import ReluNetwork
from tests.relaxations.queries import exact_optimum, inputs_of, random_query

ROUNDING = 1e-9
SEEDS = range(20)


def of_neuron(query: Query, layer: int, neuron: int, sign: int) -> Query:
    """The query whose score is the neuron's pre-activation, or its negation."""
    network = ReluNetwork(query.network.input_size, query.network.layers[:layer], query.network.layers[layer])
    unit = np.zeros((1, len(query.network.layers[layer].bias)))
    unit[0, neuron] = -sign
    rows = Rows(np.zeros((1, query.network.input_size)), unit, np.zeros(1))
    return replace(query, network=network, rows=rows, ranges=query.ranges[:layer])


@pytest.mark.parametrize("seed", SEEDS)
def test_ranges_contain_the_exact_ones_and_are_nowhere_looser(seed: int) -> None:
    query = random_query(seed, neurons=9)
    found = tightened(query)
    for k, ((l, u), (low, up)) in enumerate(zip(query.ranges, found.ranges)):
        assert (low >= l).all()
        assert (up <= u).all()
        for i in range(len(l)):
            slack = ROUNDING * (1 + abs(l[i]) + abs(u[i]))
            assert up[i] >= float(exact_optimum(of_neuron(query, k, i, 1))) - slack
            assert low[i] <= -float(exact_optimum(of_neuron(query, k, i, -1))) + slack


@pytest.mark.parametrize("seed", SEEDS)
def test_each_range_is_an_optimum_over_the_layers_before(seed: int) -> None:
    pytest.importorskip("cvxpy")
    from relaxations.lp.reference import triangle_by_cvxpy

    query = random_query(seed, neurons=9)
    found = tightened(query)
    for k in range(1, len(query.ranges)):
        for i in query.unstable(k)[:2]:
            for sign, side in ((1, 1), (-1, 0)):
                optimum, _ = triangle_by_cvxpy(of_neuron(replace(found, ranges=query.ranges), k, int(i), sign))
                again, _ = triangle_by_cvxpy(of_neuron(found, k, int(i), sign))
                reached = sign * found.ranges[k][side][i]
                assert reached == pytest.approx(min(again, sign * query.ranges[k][side][i]), abs=1e-6)
                assert reached <= optimum + 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_the_adversary_gains_nothing_by_it(seed: int) -> None:
    query = random_query(seed)
    before, after = Triangle(query).solve().value, Triangle(tightened(query)).solve().value
    truth = query.score(inputs_of(query, np.random.default_rng(seed), 2000)).max()
    slack = ROUNDING * (1 + abs(before))
    assert truth - slack <= after <= before + slack


def test_something_is_gained_somewhere() -> None:
    gains = [
        Triangle(random_query(s)).solve().value - Triangle(tightened(random_query(s))).solve().value for s in SEEDS
    ]
    assert sum(gain > 1e-3 for gain in gains) >= 5


def test_only_the_chosen_neurons_are_tightened() -> None:
    query = random_query(9, neurons=16)
    relaxation = Triangle(query)
    chosen = worth_tightening(relaxation.tighten(relaxation.solve().action), 2)
    found = tightened(query, chosen)
    changed = {
        (k, int(i))
        for k, (old, new) in enumerate(zip(query.ranges, found.ranges))
        for i in np.flatnonzero((old[0] != new[0]) | (old[1] != new[1]))
    }
    assert len(chosen) == 2
    assert changed <= set(chosen)


def test_without_time_nothing_changes_and_none_is_taken() -> None:
    query = random_query(9, neurons=40)
    started = time.monotonic()
    found = tightened(query, seconds=0.0)
    assert time.monotonic() - started < 2.0
    assert all((a == b).all() for old, new in zip(query.ranges, found.ranges) for a, b in zip(old, new))
