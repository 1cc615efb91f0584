"""Coverage counted again, one example and one unit at a time."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from specs.hulls import activations
from specs.hulls.coverage import arrays_of, layer_of
from tests.unit.specs.compose.modules import dense


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_those_of_brute_force(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-2, 3, (60, 4)).astype(float)
    layer = layer_of(values)
    points = values.tolist()
    for i in range(4):
        column = [point[i] for point in points]
        assert layer.positive[i] == sum(v > 0 for v in column)
        assert layer.negative[i] == sum(v < 0 for v in column)
        assert (layer.lowest[i], layer.highest[i]) == (min(column), max(column))
    counted = Counter(tuple(v > 0 for v in point) for point in points)
    found = {tuple(p): n for p, n in zip(layer.patterns.tolist(), layer.frequencies.tolist())}
    assert found == dict(counted)
    assert layer.frequencies.tolist() == sorted(counted.values(), reverse=True)
    assert layer.missing_mass == Fraction(sum(n == 1 for n in counted.values()), 60)


def test_a_dead_unit_is_listed() -> None:
    """Unit 1 is relu(x0 - 2) on data in [0, 1]: never active. Unit 2 is relu(x0 + 1): always."""
    graph = dense(([[1, 1, 1]], [-0.5, -2, 1]), ([[1], [1], [1]], [0]))
    x = np.linspace(0, 1, 11)[:, None]
    layer = layer_of(activations(graph, x, ["pre1"]).values["pre1"])
    assert layer.never_active == [1]
    assert layer.always_active == [2]
    assert layer.positive.tolist() == [5, 0, 11]


def test_good_turing_estimates_what_a_second_sample_shows() -> None:
    """Patterns with probabilities 2^-k: over many samples the estimates average to the mass that was missing."""
    rng = np.random.default_rng(0)
    estimates, missing = [], []
    for _ in range(300):
        kind = np.minimum(rng.geometric(0.2, 50), 30)
        values = (kind[:, None] == np.arange(1, 31)).astype(float)
        estimates.append(float(layer_of(values).missing_mass))
        mass = 0.2 * 0.8 ** np.arange(30)
        mass[-1] = 0.8**29
        missing.append(1 - mass[np.unique(kind) - 1].sum())
    error = 3 * np.std(np.array(estimates) - missing) / np.sqrt(300)
    # Good's estimate is of the missing mass of a sample smaller by one: at most 1/50 more.
    assert -error < np.mean(estimates) - np.mean(missing) < 1 / 50 + error


def test_patterns_are_stored_packed() -> None:
    values = np.random.default_rng(1).normal(size=(20, 11))
    layer = layer_of(values)
    stored = arrays_of({"pre1": layer})
    unpacked = np.unpackbits(stored["pre1.patterns"], axis=1)[:, :11].astype(bool)
    assert np.array_equal(unpacked, layer.patterns)
    assert stored["pre1.frequencies"].sum() == 20
