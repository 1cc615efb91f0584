"""Splits in a zonotope: the line search against brute force, and closed trees against exact optima."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.zonotope import Zonotope, zonotope
from relaxations.network import Layer, ReluNetwork
from tests.unit.relaxations.nodes import Node
from tests.unit.relaxations.test_zonotope import bands, made
from tests.unit.verifier.engine.made_phases import asked, searched
from tests.unit.verifier.engine.test_phases import judge
from verifier.engine.phases import cutting
from verifier.engine.phases.batch import whole
from verifier.engine.phases.cutting import CutSearch, _best_factor, _stored

SEEDS = range(60)


def never() -> bool:
    return False


def lifted(form: Zonotope, by: float) -> Zonotope:
    return replace(form, offset=form.offset + by)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_factor_is_where_the_bound_is_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    g, a = rng.normal(size=(8, 12)), rng.normal(size=(8, 12)) * (rng.random((8, 12)) < 0.7)
    b = rng.uniform(-1, 1, size=8) * np.abs(a).sum(axis=1)
    best = _best_factor(g, a, b)

    def value(t: np.ndarray) -> np.ndarray:
        return t * b - np.abs(g + t[:, None] * a).sum(axis=1)

    kinks = np.where(a != 0, -g / np.where(a != 0, a, 1), 0)
    largest = np.max([value(kinks[:, i]) for i in range(12)], axis=0)  # concave and piecewise linear
    np.testing.assert_allclose(value(best), largest, atol=1e-9)


def test_where_no_factor_is_best_the_last_kink_is_taken() -> None:
    g, a = np.array([[1.0, -2.0]]), np.array([[1.0, 1.0]])
    assert _best_factor(g, a, np.array([3.0])) == [2.0]
    assert _best_factor(g, a, np.array([-3.0])) == [-1.0]
    assert _best_factor(g, np.zeros((1, 2)), np.array([3.0])) == [0.0]


def test_multipliers_are_rounded_to_the_upper_half_of_a_float32() -> None:
    values = np.array([0.0, 1.0, 1.004, 1e-40, 3e38, np.inf])
    stored = whole(_stored(values))
    np.testing.assert_allclose(stored[:3], values[:3], rtol=2**-8)
    assert (stored >= 0).all()
    assert np.isfinite(stored).all()


def test_what_closes_is_true() -> None:
    """Rows a little below zero at their exact minimum, and rows clearly above it."""
    closed = 0
    for seed in SEEDS:
        node = Node(seed, split=0.0)
        exact = float(node.minimum(node.duals.weights[0]))
        form = made(node, bands(node, node.duals))
        search = CutSearch.of(lifted(form, -exact - 1e-3), 0.0)
        search.run(never, 10_000)
        assert not search.closed
        search = CutSearch.of(lifted(form, -exact + 1.0), 0.0)
        search.run(never, 10_000)
        assert not search.open
        closed += search.closed
        left = sum(2.0**-node.depth for node in search.hard.values())
        assert search.done + left == pytest.approx(1.0)
        assert all(node.fixed.all() or (node.form[form.inputs :] == 0).any() for node in search.hard.values())
    assert closed >= 0.8 * len(SEEDS)


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_one_split_makes_one_neuron_exact(slope: float) -> None:
    """One input and one ReLU: either side of the split is linear, and the multiplier is the best one but for 8 bits."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        weight, bias, out = rng.normal(), rng.normal() / 3, rng.normal(size=2)
        if abs(bias) >= abs(weight):
            continue
        layer = Layer(((0, np.array([[weight]])),), np.array([bias]))
        target = Layer(((0, out[None, :1]), (1, out[None, 1:])), np.zeros(1))
        network = ReluNetwork(1, (layer,), target)
        ends = np.array([[-1.0], [1.0], [-bias / weight]])
        exact = float(network.evaluate(ends).min())
        bounds = [np.array([bias - abs(weight)])], [np.array([bias + abs(weight)])]
        form = zonotope(network, target, np.ones(1), (np.zeros(1), np.ones(1)), bounds, [np.array([slope])])
        search = CutSearch.of(lifted(form, -exact + 0.02), 0.0)
        search.run(never, 3)
        assert search.closed
        search = CutSearch.of(lifted(form, -exact - 1e-9), 0.0)
        search.run(never, 3)
        assert not search.closed


@pytest.mark.parametrize("few", [2, 8])
def test_parts_that_are_left_become_nodes_that_prove_them(
    few: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hardly any nodes for a part, trees are left open everywhere and go on below; all of it is checked."""
    for name, value in {"EARLY": 2, "AT_LEAST_EARLY": 0.0, "AT_FIRST": 2, "WORTHWHILE": 0.0, "FEW": few}.items():
        monkeypatch.setattr(cutting, name, value)
    monkeypatch.setattr(cutting, "UNIT_DEPTH", 2)
    close = CutSearch.close
    monkeypatch.setattr(CutSearch, "close", lambda self, over, in_parts: close(self, over, True))
    seen: Counter[str] = Counter()
    left = 0
    for seed in range(500, 515):
        one = asked(seed, tmp_path, cases=3)
        search = searched(one)
        result = judge(one, search)
        seen[result] += 1
        left += result == "closed" and any(search.tree.below.values())
    assert seen["closed"] >= 4
    assert seen["open, false"] >= 2
    assert left >= 1
