"""Climbing from region to region: never worse than the start, never above the truth, and at the optimum of a region."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lp.climbing import climb
from relaxations.lp.phase_program import PhaseProgram
from relaxations.network import Layer, ReluNetwork
from tests.relaxations.queries import exact_optimum, random_queries

ROUNDING = 1e-7  # of a linear program's solution


def reached(query: Query, x: np.ndarray, seconds: float = 10.0) -> float:
    found = climb(PhaseProgram(query), x, seconds)
    assert ((found >= query.lower) & (found <= query.upper)).all()
    return float(query.score(found[None])[0])


def test_between_the_start_and_the_truth_on_random_networks() -> None:
    """From the relaxation's own input the truth itself is reached on most of them."""
    optimal = 0
    queries = list(random_queries(60))
    for query in queries:
        truth = float(exact_optimum(query))
        action = PhaseProgram(query).solve().action
        assert action is not None
        x = np.clip(action.x, query.lower, query.upper)
        value = reached(query, x)
        assert float(query.score(x[None])[0]) <= value <= truth + ROUNDING * (1 + abs(truth))
        optimal += value >= truth - ROUNDING * (1 + abs(truth))
    assert optimal >= 0.8 * len(queries)


def test_where_no_neuron_is_unstable_it_is_the_optimum_of_all_rows_together() -> None:
    """The largest of |x_0 - 1/4|, |x_1 + 1/2|, ... is least, 0, at one point; no gradient of one row leads there."""
    target = np.array([0.25, -0.5, 0.125])
    network = ReluNetwork(3, (), Layer(((0, np.eye(3)),), np.zeros(3)))
    rows = Rows(np.zeros((6, 3)), np.vstack([np.eye(3), -np.eye(3)]), np.concatenate([-target, target]))
    query = Query.over_box(network, rows, np.full(3, -1.0), np.full(3, 1.0))
    found = climb(PhaseProgram(query), np.zeros(3), 10.0)
    assert found == pytest.approx(target, abs=1e-6)


def test_it_crosses_into_the_next_region() -> None:
    """The score x + 2 relu(-x) - relu(x - 1/2)/4 on [-1, 1] has its maxima at both ends; from 1/4 the end is 1."""
    hidden = Layer(((0, np.array([[-1.0], [1.0]])),), np.array([0.0, -0.5]))
    output = Layer(((0, np.array([[1.0]])), (1, np.array([[2.0, -0.25]]))), np.zeros(1))
    network = ReluNetwork(1, (hidden,), output)
    query = Query.over_box(network, Rows(np.zeros((1, 1)), -np.ones((1, 1)), np.zeros(1)), -np.ones(1), np.ones(1))
    assert climb(PhaseProgram(query), np.array([0.25]), 10.0) == pytest.approx(np.ones(1))
    assert reached(query, np.array([0.25])) == pytest.approx(1 - 0.125)


def test_without_time_it_stays() -> None:
    query = next(iter(random_queries(1)))
    x = (query.lower + query.upper) / 2
    assert (climb(PhaseProgram(query), x, 0.0) == x).all()
