"""Lemma R1 against exact fractions: whatever hints a leaf brings, its bound stays below the rows there.

Leaves are made around a point: their splits are the signs of neurons there, so the point belongs to the leaf.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.test_rounding import HALF_ULP, dot, exact, hostile_box, hostile_network, hostile_rows, points
from verifier.checker.bounds import Bounder, Boxes, Rows
from verifier.checker.exact import evaluate
from verifier.checker.network import Affine, Gather, Input, Network, Relu, Scale
from verifier.checker.phases import Leaf, _bound


def relus(network: Network) -> list[int]:
    return [k for k, node in enumerate(network.nodes) if isinstance(node, Relu)]


def argument(network: Network, k: int, x: list[Fraction]) -> list[Fraction]:
    node = network.nodes[k]
    assert isinstance(node, Relu)
    return evaluate(Network(network.nodes[: node.parent + 1], network.sizes[: node.parent + 1]), x)


def leaf_around(network: Network, neurons: np.ndarray, rows: int, x: list[Fraction], rng: random.Random) -> Leaf:
    """Random splits with the signs at x (either one where the argument is 0), random hints of any magnitude."""
    splits = []
    for ordinal, k in enumerate(relus(network)):
        for i, z in enumerate(argument(network, k, x)):
            for _ in range(rng.choice([0, 0, 1, 2])):
                splits.append((ordinal, i, (z > 0) - (z < 0) or rng.choice([-1, 1])))

    def magnitudes(count: int) -> np.ndarray:
        return np.array([rng.choice([0.0, 1.0, 10.0 ** rng.uniform(-40, 10)]) for _ in range(count)], dtype=np.float32)

    slopes = np.array([rng.choice([0, 255, rng.randrange(256)]) for _ in neurons]) / 255.0
    weights, multipliers = magnitudes(rows).astype(np.float64), magnitudes(len(splits)).astype(np.float64)
    return Leaf(0, tuple(splits), weights, slopes, multipliers)


def broken(network: Network, boxes: Boxes, rows: Rows, neurons: np.ndarray, leaves: list[Leaf], xs) -> list[int]:
    """Leaves whose bound exceeds the combination of rows at the point they were made around."""
    bounder = Bounder(network)
    with np.errstate(all="ignore"):
        low = _bound(bounder, rows, bounder.relax(boxes), relus(network), neurons, tuple(leaves))
    found = []
    for number, (leaf, x, bound) in enumerate(zip(leaves, xs, low.tolist(), strict=True)):
        y = evaluate(network, x)
        values = [dot(rows.x[r], x) + dot(rows.y[r], y) + exact(rows.constant)[r] for r in range(len(rows.constant))]
        combined = sum((Fraction(w) * v for w, v in zip(leaf.weights.tolist(), values, strict=True)), Fraction(0))
        if np.isfinite(bound) and Fraction(bound) > combined:
            found.append(number)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_no_hint_lifts_a_bound_above_the_rows(seed: int) -> None:
    network, rng = hostile_network(seed), random.Random(seed)
    lower, upper = hostile_box(seed, network.sizes[0])
    xs = points(seed, lower, upper, count=8)
    rows = hostile_rows(seed, network)
    named = [(ordinal, i) for ordinal, k in enumerate(relus(network)) for i in range(network.sizes[k])]
    neurons = np.array([pair for pair in named if rng.random() < 0.7] + named[:1])
    leaves = [leaf_around(network, neurons, len(rows.constant), x, rng) for x in xs]
    assert broken(network, Boxes.of(lower[None], upper[None]), rows, neurons, leaves, xs) == []


def test_a_large_multiplier_does_not_swallow_a_small_coefficient() -> None:
    """z has two readers: coefficients e and 1 of z >= 0, where the multiplier 1 takes the 1 away and e rounds off."""
    one = Gather(np.zeros(1, dtype=np.int64))
    nodes = (
        Input(1),
        Affine(((0, Scale(np.ones(1))),), np.zeros(1)),
        Relu(1),
        Affine(((2, Scale(np.array([-HALF_ULP]))),), np.zeros(1)),
        Affine(((3, one), (1, one)), np.zeros(1)),
    )
    network = Network(nodes, (1,) * 5)
    leaf = Leaf(0, ((0, 0, 1),), np.ones(1), np.ones(1), np.ones(1))
    rows = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    boxes = Boxes.of(-np.ones((1, 1)), np.ones((1, 1)))
    assert broken(network, boxes, rows, np.array([[0, 0]]), [leaf], [[Fraction(1)]]) == []
    with np.errstate(all="ignore"):
        bounder = Bounder(network)
        low = _bound(bounder, rows, bounder.relax(boxes), [2], np.array([[0, 0]]), (leaf,))[0]
    assert Fraction(low) <= Fraction(-HALF_ULP)  # the real coefficient of z that is left is -e


@pytest.mark.parametrize("sign", [1, -1])
def test_a_multiplier_of_the_wrong_sign_would_be_noticed(sign: int) -> None:
    """On the side of its split a multiplier lowers the row; handed to the other side it would raise it."""
    network = Network((Input(1), Affine(((0, Scale(np.ones(1))),), np.zeros(1)), Relu(1)), (1, 1, 1))
    rows, boxes = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1)), Boxes.of(-np.ones((1, 1)), np.ones((1, 1)))
    x = [Fraction(sign)]
    right = Leaf(0, ((0, 0, sign),), np.ones(1), np.ones(1), np.array([0.5]))
    assert broken(network, boxes, rows, np.array([[0, 0]]), [right], [x]) == []
    wrong = Leaf(0, ((0, 0, sign),), np.zeros(1), np.ones(1), np.array([-2.0]))  # no file can hold it
    row = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    shifted = Boxes.of(np.array([[0.5 * sign - 0.25]]), np.array([[0.5 * sign + 0.25]]))
    assert broken(network, shifted, row, np.array([[0, 0]]), [wrong], [[Fraction(sign, 2)]]) == [0]
