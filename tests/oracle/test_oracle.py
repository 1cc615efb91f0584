"""The oracle against closed forms, dense samples and mixed-integer programming."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from tests.oracle import Network, Row, Unit, counterexample, holds, minimum, minimum_of_max, number_of_regions

F = Fraction
Y = ((0, F(1)),)
ABSOLUTE = [([[1], [-1]], [0, 0]), ([[1, 1]], [0])]  # |x|
IDENTITY = [([[1], [-1]], [0, 0]), ([[1, -1]], [0])]  # relu(x) - relu(-x) = x
TENT = [([[2], [4]], [0, -2]), ([[1, -1]], [0])]  # 2x up to 1/2, then 2 - 2x


def row(
    y: Sequence[tuple[int, int | Fraction]] = Y, x: Sequence[tuple[int, int]] = (), c: object = 0, strict: bool = True
) -> Row:
    return Row(tuple((i, F(a)) for i, a in x), tuple((i, F(a)) for i, a in y), F(str(c)), strict)


def random_layers(rng: random.Random, sizes: Sequence[int]) -> list[tuple[list[list[Fraction]], list[Fraction]]]:
    def number() -> Fraction:
        return F(rng.choice((-7, -4, -3, -2, -1, -1, 0, 0, 1, 1, 2, 3, 5)), rng.choice((1, 2, 4, 8)))

    return [
        ([[number() for _ in range(a)] for _ in range(b)], [number() for _ in range(b)])
        for a, b in itertools.pairwise(sizes)
    ]


def test_absolute_value() -> None:
    assert minimum_of_max(ABSOLUTE, [-3], [2], [row()]) == (0, (F(0),))
    assert minimum(ABSOLUTE, [-3], [2], row([(0, -1)])) == -3
    assert minimum(ABSOLUTE, [F(1, 3)], [2], row()) == F(1, 3)
    assert number_of_regions(ABSOLUTE, [-3], [2]) == 2
    assert number_of_regions(ABSOLUTE, [0], [2]) == 1


def test_rows_over_inputs_and_outputs_cancel_exactly() -> None:
    assert minimum(IDENTITY, [-5], [7], row([(0, 1)], x=[(0, -1)])) == 0
    assert minimum(IDENTITY, [-5], [7], row([(0, -1)], x=[(0, 1)], c="0.25")) == F(1, 4)


def test_iterated_tent_has_its_known_pieces_and_extremes() -> None:
    """k tents in a row oscillate: 2^k linear pieces on [0, 1], between 0 and 1."""
    layers = [TENT[0], ([[2, -2], [4, -4]], [0, -2]), ([[2, -2], [4, -4]], [0, -2]), TENT[1]]
    assert number_of_regions(layers, [0], [1]) == 8
    assert minimum(layers, [0], [1], row([(0, -1)])) == -1
    assert minimum(layers, [F(1, 16)], [F(3, 16)], row()) == F(1, 2)


def test_maximum_of_the_inputs_by_skip_connections() -> None:
    """max(a, b, c) as a + relu(b - a), then again: a network that is not a chain of layers."""
    one = F(1)
    network = Network(
        3,
        (
            Unit(((1, one), (0, -one)), relu=True),
            Unit(((0, one), (3, one))),
            Unit(((2, one), (4, -one)), relu=True),
            Unit(((4, one), (5, one))),
        ),
        (6,),
    )
    assert network.evaluate([F(2), F(9), F(-4)]) == (F(9),)
    assert minimum(network, [-1, 2, 0], [5, 3, F(7, 2)], row()) == 2
    assert minimum(network, [-1, 2, 0], [5, 3, F(7, 2)], row([(0, -1)])) == -5
    assert minimum(network, [0, 0, 0], [1, 1, 1], row([(0, 1)], x=[(0, -1), (1, -1), (2, -1)])) == -2


def test_minimum_of_max_is_not_the_max_of_minima() -> None:
    rows = [row([(0, 1)]), row([(0, -1)], c=1)]  # max(x, 1 - x)
    assert minimum_of_max(IDENTITY, [0], [1], rows) == (F(1, 2), (F(1, 2),))
    assert holds(IDENTITY, [0], [1], rows)


def test_strictness_decides_at_the_optimum() -> None:
    assert counterexample(ABSOLUTE, [-1], [1], [row()]) == (F(0),)
    assert holds(ABSOLUTE, [-1], [1], [row(strict=False)])
    assert holds(ABSOLUTE, [-1], [1], [row(c="1e-30")])
    assert counterexample(ABSOLUTE, [-1], [1], [row(c="-1e-30", strict=False)]) is not None


def test_mixed_strictness_is_decided_exactly() -> None:
    """At x = 0 the row x > 0 is false, and whether -x >= 0 or -x > 0 saves the property is a matter of strictness."""
    strict, loose = row([(0, 1)]), row([(0, -1)], strict=False)
    assert holds(IDENTITY, [-1], [1], [strict, loose])
    assert counterexample(IDENTITY, [-1], [1], [strict, row([(0, -1)])]) == (F(0),)
    assert holds(IDENTITY, [-1], [1], [row([(0, 1)], strict=False), row([(0, -1)])])
    assert counterexample(IDENTITY, [-1], [1], [strict, row([(0, -1)], c="-0.5", strict=False)]) is not None


def test_no_row_never_holds() -> None:
    assert counterexample(ABSOLUTE, [-1], [1], []) is not None


def test_points_dead_and_repeated_neurons() -> None:
    dead = [([[0], [0], [1], [1], [-1]], [0, -1, 0, 0, 0]), ([[9, 9, 1, 1, 2]], [0])]  # 2|x|
    assert number_of_regions(dead, [-1], [1]) == 2
    assert minimum(dead, [-1], [1], row()) == 0
    assert minimum(dead, [F(1, 3)], [F(1, 3)], row()) == F(2, 3)


def test_floats_are_taken_at_their_exact_value() -> None:
    weight, bias = np.array([[0.1]], dtype=np.float32), np.array([0.2])
    layers = [(weight, bias), (np.ones((1, 1)), np.zeros(1))]
    assert minimum(layers, [1], [1], row()) == F(float(np.float32(0.1))) + F(0.2)


@pytest.mark.parametrize("bounds", [([0], [-1]), ([0, 0], [1, 1]), ([0], [1, 1])])
def test_an_empty_or_misfit_box_is_an_error(bounds: tuple[list[int], list[int]]) -> None:
    with pytest.raises(ValueError, match=r"box is empty|bounds for"):
        minimum(ABSOLUTE, *bounds, row())


def test_agrees_with_evaluation_in_floating_point() -> None:
    rng = random.Random(3)
    layers = random_layers(rng, (3, 5, 4, 2))
    x = [F(rng.randint(-8, 8), 4) for _ in range(3)]
    h = np.array([float(v) for v in x])
    for depth, (weight, bias) in enumerate(layers):
        h = np.array(weight, dtype=float) @ h + np.array(bias, dtype=float)
        h = h if depth == 2 else np.maximum(h, 0)
    assert [float(v) for v in Network.dense(layers).evaluate(x)] == h.tolist()  # dyadic and small: no rounding


@pytest.mark.parametrize("seed", range(25))
def test_optimum_is_attained_and_beats_every_sample(seed: int) -> None:
    rng = random.Random(seed)
    n = rng.randint(1, 3)
    layers = random_layers(rng, (n, rng.randint(1, 6), rng.randint(1, 5), 2))
    lower = [F(rng.randint(-8, 8), 4) for _ in range(n)]
    upper = [low + F(rng.randint(0, 12), 4) for low in lower]
    rows = [row([(0, 1), (1, -1)], x=[(0, 1)]), row([(1, 2)], c="0.5"), row([(0, -3)])][: rng.randint(1, 3)]
    network = Network.dense(layers)
    best, where = minimum_of_max(network, lower, upper, rows)
    assert all(low <= v <= up for low, v, up in zip(lower, where, upper))
    assert max(network.margin(r, where) for r in rows) == best
    steps = {1: 400, 2: 20, 3: 7}[n]
    grid = itertools.product(
        *([low + (up - low) * i / steps for i in range(steps + 1)] for low, up in zip(lower, upper))
    )
    assert all(max(network.margin(r, x) for r in rows) >= best for x in grid)
    for shift, truth in ((0, best > 0), (-best, False), (-best + F(1, 10**30), True), (-best - F(1, 10**30), False)):
        moved = [Row(r.x, r.y, r.constant + shift) for r in rows]
        assert holds(network, lower, upper, moved) is truth
        found = counterexample(network, lower, upper, moved)
        assert truth or (found is not None and max(network.margin(r, found) for r in moved) <= 0)
    assert holds(network, lower, upper, [Row(r.x, r.y, r.constant - best, strict=False) for r in rows])


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_mixed_integer_programming(seed: int) -> None:
    """The big-M encoding, solved by HiGHS: another method and another program."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    sizes = (int(rng.integers(2, 5)), int(rng.integers(3, 8)), int(rng.integers(3, 7)), 1)
    layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in itertools.pairwise(sizes)]
    lower = rng.normal(size=sizes[0])
    upper = lower + rng.uniform(0.2, 1.5, size=sizes[0])
    ours = minimum(layers, lower.tolist(), upper.tolist(), row())
    assert float(ours) == pytest.approx(big_m_minimum(optimize, layers, lower, upper), abs=1e-5)


def big_m_minimum(
    optimize: object, layers: Sequence[tuple[np.ndarray, np.ndarray]], lower: np.ndarray, upper: np.ndarray
) -> float:
    """Least output of a network with one output; variables are x, then (a, phase) for each hidden neuron."""
    size = len(lower) + 2 * sum(len(bias) for _, bias in layers[:-1])
    bounds, integrality = [np.zeros(size), np.ones(size)], np.zeros(size)
    bounds[0][: len(lower)], bounds[1][: len(lower)] = lower, upper
    previous, low, up, used, constraints = np.arange(len(lower)), lower, upper, len(lower), []
    for weight, bias in layers[:-1]:
        z_low = np.maximum(weight, 0) @ low + np.minimum(weight, 0) @ up + bias
        z_up = np.maximum(weight, 0) @ up + np.minimum(weight, 0) @ low + bias
        a, phase = used + np.arange(len(bias)), used + len(bias) + np.arange(len(bias))
        used += 2 * len(bias)
        integrality[phase] = 1
        for i in range(len(bias)):
            z, gap = np.zeros(size), np.zeros(size)
            z[a[i]], z[previous] = 1, -weight[i]  # a - w . previous
            gap[phase[i]] = 1
            constraints.append(optimize.LinearConstraint(z, bias[i], np.inf))  # a >= z
            constraints.append(
                optimize.LinearConstraint(z - min(z_low[i], 0) * gap, -np.inf, bias[i] - min(z_low[i], 0))
            )
            active = np.zeros(size)
            active[a[i]] = 1
            constraints.append(optimize.LinearConstraint(active - max(z_up[i], 0) * gap, -np.inf, 0))  # a <= U phase
            bounds[1][a[i]] = max(z_up[i], 0)
        previous, low, up = a, np.maximum(z_low, 0), np.maximum(z_up, 0)
    cost = np.zeros(size)
    cost[previous] = layers[-1][0][0]
    solved = optimize.milp(
        cost,
        constraints=constraints,
        bounds=optimize.Bounds(*bounds),
        integrality=integrality,
        options={"mip_rel_gap": 0},
    )
    assert solved.status == 0
    return float(solved.fun + layers[-1][1][0])
