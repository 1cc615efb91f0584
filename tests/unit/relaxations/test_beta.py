"""The dual bound under fixed ReLU phases: its gradient, and that it never exceeds the exact minimum."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from relaxations.bounds.beta import Duals, Frame, Pass, evaluate
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.network import Layer, ReluNetwork
from tests.oracle import Network, Row, minimum
from tests.oracle.network import Unit

SEEDS = range(12)


class Node:
    """A random network with a skip connection, a box, rows, and random duals under phases that some input has."""

    def __init__(self, seed: int, split: float = 0.4, rows: int = 2) -> None:
        rng = np.random.default_rng(seed)
        sizes = (2, 5, 4)
        first = Layer(((0, rng.normal(size=(5, 2))),), rng.normal(size=5) / 4)
        second = Layer(((0, rng.normal(size=(4, 2)) / 2), (1, rng.normal(size=(4, 5)))), rng.normal(size=4) / 4)
        output = Layer(((1, rng.normal(size=(2, 5))), (2, rng.normal(size=(2, 4)))), rng.normal(size=2))
        self.network = ReluNetwork(2, (first, second), output)
        self.rows = Rows(rng.normal(size=(rows, 2)), rng.normal(size=(rows, 2)), rng.normal(size=rows))
        self.lower = rng.normal(size=2) / 2 - 0.6
        self.upper = self.lower + 1.2
        ranges = BoxBounder(self.network, self.rows).bounds(self.lower[None], self.upper[None]).ranges
        mid, rad = (self.lower + self.upper) / 2, (self.upper - self.lower) / 2
        self.frame = Frame(mid, rad, [l[0] for l, _ in ranges], [u[0] for _, u in ranges])
        unstable = [(l < 0) & (u > 0) for l, u in zip(self.frame.lower, self.frame.upper)]
        seen, _ = self.network.preactivations(rng.uniform(self.lower, self.upper)[None])  # an input of these phases
        self.phases = [
            np.where(where & (rng.random(z.shape) < split), np.sign(z), 0) for where, z in zip(unstable, seen)
        ]
        self.duals = Duals(
            [rng.uniform(0.05, 0.95, size=(1, n)) for n in sizes[1:]],
            [np.abs(p) * rng.uniform(0.05, 0.5, size=p.shape) for p in self.phases],
            rng.uniform(0.1, 1, size=(1, rows)),
        )

    def evaluate(self, duals: Duals) -> Pass:
        return evaluate(self.network, self.rows, self.frame, self.phases, duals, np)

    def points(self, count: int) -> np.ndarray:
        return np.random.default_rng(0).uniform(self.lower, self.upper, size=(count, 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    """The bound is piecewise smooth; at random duals no kink lies within the step."""
    node, step = Node(seed), 1e-6
    gradient = node.evaluate(node.duals).gradient
    compared = 0
    for name in ("slopes", "multipliers", "weights"):
        whole, slope = getattr(node.duals, name), getattr(gradient, name)
        parts = [(None, whole, slope)] if name == "weights" else list(zip(range(2), whole, slope))
        for layer, values, expected in parts:
            for i in range(values.shape[1]):
                if layer is not None and name == "multipliers" and node.phases[layer][0, i] == 0:
                    continue  # the multiplier of a neuron that is not split has no meaning
                ends = []
                for sign in (-1, 1):
                    moved = values.copy()
                    moved[0, i] += sign * step
                    put = moved if layer is None else [moved if k == layer else v for k, v in enumerate(whole)]
                    ends.append(node.evaluate(replace(node.duals, **{name: put})).bound[0])
                assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(expected[0, i], rel=1e-5, abs=1e-7)
                compared += 1
    assert compared >= 11


@pytest.mark.parametrize("seed", SEEDS)
def test_no_input_of_the_phases_lies_below_the_bound(seed: int) -> None:
    node = Node(seed)
    points = node.points(4000)
    seen, outputs = node.network.preactivations(points)
    rows = points @ node.rows.x.T + outputs @ node.rows.y.T + node.rows.constant
    combined = rows @ node.duals.weights[0]
    here = np.all([(z * phase >= 0).all(axis=1) for z, phase in zip(seen, node.phases)], axis=0)
    bound = node.evaluate(node.duals).bound[0]
    assert here.any()
    assert combined[here].min() >= bound - 1e-9 * (1 + abs(bound))


@pytest.mark.parametrize("seed", SEEDS)
def test_without_splits_the_bound_is_at_most_the_exact_minimum(seed: int) -> None:
    node = Node(seed, split=0.0, rows=1)
    node.duals.weights[:] = 1
    row = Row(terms(node.rows.x[0]), terms(node.rows.y[0]), Fraction(float(node.rows.constant[0])))
    least = float(minimum(exact(node.network), node.lower, node.upper, row))
    bound = node.evaluate(node.duals).bound[0]
    assert bound <= least + 1e-9 * (1 + abs(least))


@pytest.mark.parametrize("seed", SEEDS)
def test_with_all_neurons_stable_the_bound_is_the_value(seed: int) -> None:
    """On a box that is a point every neuron is stable, and the relaxation is exact."""
    node = Node(seed, split=0.0)
    point = node.points(1)[0]
    seen, outputs = node.network.preactivations(point[None])
    value = (point @ node.rows.x.T + outputs @ node.rows.y.T + node.rows.constant)[0] @ node.duals.weights[0]
    node.frame = Frame(point, np.zeros(2), [z[0] for z in seen], [z[0] for z in seen])
    assert node.evaluate(node.duals).bound[0] == pytest.approx(value, rel=1e-12)


def terms(values: np.ndarray) -> tuple[tuple[int, Fraction], ...]:
    return tuple((i, Fraction(float(v))) for i, v in enumerate(values))


def exact(network: ReluNetwork) -> Network:
    """The network of the oracle with the same weights."""
    starts, units = [0], []
    for layer in (*network.layers, network.output):
        begin = network.input_size + len(units)
        for i, constant in enumerate(layer.bias):
            read = tuple((starts[s] + j, Fraction(float(w))) for s, m in layer.terms for j, w in enumerate(m[i]))
            units.append(Unit(read, Fraction(float(constant)), relu=layer is not network.output))
        starts.append(begin)
    return Network(network.input_size, tuple(units), tuple(range(starts[-1], network.input_size + len(units))))
