"""The dual bound under ReLU phases: its gradient, and how it compares with exact minima, linear programs and CROWN."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.dual import Duals, Frame, evaluate, lines
from tests.unit.relaxations.nodes import Node

SEEDS = range(12)


def moved(duals: Duals, by: float) -> Iterator[tuple[str, int, int, Duals]]:
    """Every dual variable in turn, by name, layer and place, and the duals with this one changed."""
    for name in ("slopes", "multipliers", "weights"):
        parts = getattr(duals, name) if name != "weights" else (duals.weights,)
        for layer, values in enumerate(parts):
            for i in range(values.shape[1]):
                changed = values.copy()
                changed[0, i] += by
                put = tuple(changed if k == layer else v for k, v in enumerate(parts))
                yield name, layer, i, duals._replace(**{name: put if name != "weights" else changed})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    """The bound is piecewise smooth; at random duals no kink lies within the step."""
    node, step, compared = Node(seed), 1e-6, 0
    gradient = node.evaluate(node.duals).gradient
    for (name, layer, i, above), (*_, below) in zip(moved(node.duals, step), moved(node.duals, -step), strict=True):
        if name == "multipliers" and node.phases[layer][0, i] == 0:
            continue  # the multiplier of a neuron that is not split has no meaning
        slope = (node.evaluate(above).bound[0] - node.evaluate(below).bound[0]) / (2 * step)
        part = gradient.weights if name == "weights" else getattr(gradient, name)[layer]
        assert slope == pytest.approx(part[0, i], rel=1e-5, abs=1e-7)
        compared += 1
    assert compared >= 11


@pytest.mark.parametrize("seed", SEEDS)
def test_no_input_of_the_phases_lies_below_the_bound(seed: int) -> None:
    node = Node(seed)
    values = node.sampled(4000) @ node.duals.weights[0]
    bound = node.evaluate(node.duals).bound[0]
    assert len(values)
    assert values.min() >= bound - 1e-9 * (1 + abs(bound))


@pytest.mark.parametrize("split", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_is_at_most_the_exact_minimum_under_the_phases(seed: int, split: float) -> None:
    node = Node(seed, split)
    least = float(node.minimum(node.duals.weights[0]))
    slack = 1e-9 * (1 + abs(least))
    assert node.evaluate(node.duals).bound[0] <= least + slack
    better = ascended(node, node.duals, steps=200)
    assert better <= least + slack
    assert least <= node.sampled(4000).dot(node.duals.weights[0]).min(initial=np.inf) + slack


def ascended(node: Node, duals: Duals, steps: int) -> float:
    """The best bound of the row found by ascent from these duals, its weights kept."""
    drawn = lines(node.frame, node.phases, np)
    found = ascend(node.network, node.target, node.frame, drawn, duals, steps, Rates(0.1, 0.1, 0.995))
    assert all(((s >= 0) & (s <= 1)).all() for s in found.slopes)
    assert all((m >= 0).all() for m in found.multipliers if m is not None)
    assert (found.weights == duals.weights).all()
    return float(node.evaluate(found).bound[0])


@pytest.mark.peer
@pytest.mark.parametrize("split", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_ascent_reaches_the_optimum_of_the_triangle_relaxation(seed: int, split: float) -> None:
    pytest.importorskip("scipy")
    node = Node(seed, split)
    optimum = node.triangle_optimum(node.duals.weights[0])
    start = node.crown_duals(node.duals.weights)
    reached, first = ascended(node, start, steps=1500), float(node.evaluate(start).bound[0])
    slack = 1e-7 * (1 + abs(optimum))
    assert first <= optimum + slack
    assert reached <= optimum + slack
    assert reached >= optimum - 0.02 * (1 + abs(optimum))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_default_slopes_give_crown_and_ascent_nothing_looser(seed: int) -> None:
    node = Node(seed, split=0.0, rows=3)
    start = node.crown_duals(np.eye(3))
    assert node.evaluate(start).bound == pytest.approx(node.crown.lower[0], rel=1e-12, abs=1e-12)
    drawn = lines(node.frame, node.phases, np)
    for steps in (0, 1, 2, 10):
        found = ascend(node.network, node.target, node.frame, drawn, start, steps, Rates(weights=0.0))
        assert (node.evaluate(found).bound >= node.evaluate(start).bound).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_layers_without_phases_are_layers_of_zeros(seed: int) -> None:
    """Also in part: only one of the layers may have splits."""
    node = Node(seed)
    zero = tuple(np.zeros_like(p) for p in node.phases)
    for left in ((None, None), (None, node.phases[1]), (node.phases[0], None)):
        filled = tuple(z if p is None else p for p, z in zip(left, zero, strict=True))
        duals = node.duals._replace(
            multipliers=tuple(None if p is None else m for p, m in zip(left, node.duals.multipliers, strict=True))
        )
        without, with_zeros = node.evaluate(duals, left, True), node.evaluate(node.duals, filled, True)
        assert without.bound == pytest.approx(with_zeros.bound, rel=1e-14)
        assert without.point.tolist() == with_zeros.point.tolist()
        for part in ("coefs", "cost"):
            for a, b in zip(getattr(without, part), getattr(with_zeros, part), strict=True):
                np.testing.assert_array_equal(a, b)
        for k, (a, b) in enumerate(zip(without.gradient.multipliers, with_zeros.gradient.multipliers, strict=True)):
            assert (a is None) == (left[k] is None)
            assert a is None or (a == b).all()
        for a, b in zip(without.gradient.slopes, with_zeros.gradient.slopes, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_a_batch_do_not_know_of_each_other(seed: int) -> None:
    """Each row with its own box bounds, phases and duals gives what it gives alone."""
    nodes = [Node(seed), Node(seed, split=1.0), Node(seed, split=0.0)]

    def together(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))

    frame = Frame(
        nodes[0].frame.mid,
        nodes[0].frame.rad,
        *(together([getattr(node.frame, side) for node in nodes]) for side in ("lower", "upper")),
    )
    duals = Duals(
        together([node.duals.slopes for node in nodes]),
        together([node.duals.multipliers for node in nodes]),
        np.concatenate([node.duals.weights for node in nodes]),
    )
    batch = nodes[0]
    batch.frame, phases = frame, together([node.phases for node in nodes])
    found = batch.evaluate(duals, phases)
    for row, split in enumerate((0.4, 1.0, 0.0)):
        alone = Node(seed, split)
        assert found.bound[row] == pytest.approx(alone.evaluate(alone.duals).bound[0], rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_on_a_box_that_is_a_point_the_bound_is_the_value(seed: int) -> None:
    """There every neuron is stable, and the relaxation is exact."""
    node = Node(seed, split=0.0)
    point = node.lower + 0.3 * (node.upper - node.lower)
    seen, outputs = node.network.preactivations(point[None])
    node.frame = Frame(point, np.zeros(2), tuple(seen), tuple(seen))
    expected = outputs[0] @ node.duals.weights[0]
    assert node.evaluate(node.duals).bound[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_target_may_read_the_first_layers_only(seed: int) -> None:
    """The second layer's own arguments as the target: bounded through the first layer alone."""
    node = Node(seed)
    target = node.network.layers[1]
    first = lines(node.frame, node.phases[:1], np)
    duals = Duals(node.duals.slopes[:1], node.duals.multipliers[:1], np.eye(4)[:1])
    found = ascend(node.network, target, node.frame, first, duals, 20, Rates())
    points = np.random.default_rng(1).uniform(node.lower, node.upper, size=(3000, 2))
    seen, _ = node.network.preactivations(points)
    here = (seen[0] * node.phases[0] >= 0).all(axis=1)
    bound = evaluate(node.network, target, node.frame, first, found, np).bound[0]
    assert here.any()
    assert seen[1][here, 0].min() >= bound - 1e-9 * (1 + abs(bound))
