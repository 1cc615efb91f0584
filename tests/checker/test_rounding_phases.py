"""Lemmas R1 and R2 against exact fractions: whatever hints a tree brings, no bound in it is above what it bounds.

Trees are made around a point: a path whose splits are the signs of neurons there, so that the point belongs to every
region on it. Frames, their ranges included, and the proof at its end may carry any hints.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.checker.phase_words import END, Refined, chunk, frame, proof, random_frame, relu_widths, split, words
from tests.checker.test_rounding import HALF_ULP, dot, exact, hostile_box, hostile_network, hostile_rows, points
from verifier.checker.bounds import Bounder, Boxes, Rows
from verifier.checker.exact import evaluate
from verifier.checker.network import Affine, Gather, Input, Network, Relu, Scale
from verifier.checker.phase_tree import PhaseTree, Proof, read_phase_tree
from verifier.checker.phases import PhaseProver

Point = list[Fraction]
Ranges = dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]


class Recorder(PhaseProver):
    """Keeps the ranges of the root and of every frame, and the least value of every claim."""

    def __init__(self, bounder: Bounder, tree: PhaseTree, rows: Rows, boxes: Boxes) -> None:
        super().__init__(bounder, tree, [rows], boxes)
        self.ranges: list[Ranges] = []
        self.least: list[float] = []

    def _root(self):
        return self._kept(super()._root())

    def _framed(self, *of):
        return self._kept(super()._framed(*of))

    def _kept(self, region):
        self.ranges.append(region.ranges)
        return region

    def _settle(self) -> None:
        whole = self.bounder.combined
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.bounder, "combined", lambda *of: self._noted(whole(*of)))
            super()._settle()

    def _noted(self, found):
        self.least += found[3].tolist()
        return found


@dataclass(frozen=True)
class Seen:
    """What one tree around a point claims there and what is true."""

    broken: list[str]
    ranges: int  # finite ends that were compared
    proofs: int


def relus(network: Network) -> list[int]:
    return [k for k, node in enumerate(network.nodes) if isinstance(node, Relu)]


def arguments(network: Network, x: Point) -> list[list[Fraction]]:
    """Exact arguments of every ReLU layer at x."""
    nodes = [network.nodes[k] for k in relus(network)]
    ends = [node.parent + 1 for node in nodes if isinstance(node, Relu)]
    return [evaluate(Network(network.nodes[:end], network.sizes[:end]), x) for end in ends]


def sign(z: Fraction, rng: random.Random) -> int:
    return (z > 0) - (z < 0) or rng.choice([-1, 1])


def tree_around(network: Network, rows: int, x: Point, rng: random.Random) -> list[int]:
    """A path of random splits with the signs at x, random frames on it, and a proof at its end."""
    widths, z = relu_widths(network), arguments(network, x)
    neurons = [(layer, i) for layer, width in enumerate(widths) for i in range(width)]
    path: list[tuple[int, int]] = []
    columns, found = random_frame(rng, widths, path) if rng.random() < 0.8 else ([], [])
    behind: list[int] = []  # endings of the halves that are not entered, the deepest first
    for layer, i in (rng.choice(neurons) for _ in range(rng.choice((0, 1, 3, 6)))):
        path.append((layer, i))
        found += split(layer, i)
        if sign(z[layer][i], rng) > 0:
            found.append(END)
        else:
            behind.append(END)
        if rng.random() < 0.5:
            columns, more = random_frame(rng, widths, path)
            found += more
    slopes = [rng.choice((0, 255, rng.randrange(256))) for _ in columns]
    weights, multipliers = magnitudes(rng, rows), magnitudes(rng, len(path))
    return chunk([0], found, proof(0, weights, slopes, multipliers), [END], behind)


def magnitudes(rng: random.Random, count: int) -> list[float]:
    return [rng.choice([0.0, 1.0, 10.0 ** rng.uniform(-40, 10)]) for _ in range(count)]


def seen(network: Network, boxes: Boxes, rows: Rows, tree: PhaseTree, x: Point, bounder: Bounder | None = None) -> Seen:
    """Claims of a tree with one proof, all of whose frames stand on a path that x belongs to."""
    prover = Recorder(Bounder(network) if bounder is None else bounder, tree, rows, boxes)
    prover.prove(0, tree.ends)
    broken, compared = [], 0
    z = arguments(network, x)
    for number, ranges in enumerate(prover.ranges if prover.within_caps else []):
        for layer, k in enumerate(relus(network)):
            for i, value in enumerate(z[layer]):
                low, up = (side[0, i].item() for side in ranges[k])
                compared += int(np.isfinite(low)) + int(np.isfinite(up))
                if (np.isfinite(low) and Fraction(low) > value) or (np.isfinite(up) and Fraction(up) < value):
                    broken.append(f"range {number} of neuron {i} on layer {layer}")
    (claim,) = [item for node in tree.nodes for item in node.items if isinstance(item, Proof)]
    y = evaluate(network, x)
    values = [dot(rows.x[r], x) + dot(rows.y[r], y) + exact(rows.constant)[r] for r in range(len(rows.constant))]
    combined = sum((Fraction(w) * v for w, v in zip(claim.weights.tolist(), values, strict=True)), Fraction(0))
    (least,) = prover.least
    if np.isfinite(least) and Fraction(least) > combined:
        broken.append("the bound of the proof")
    return Seen(broken, compared, int(np.isfinite(least)))


def read(network: Network, rows: Rows, tree: list[int]) -> PhaseTree:
    return read_phase_tree(words(tree), relu_widths(network), [len(rows.constant)])


@pytest.mark.parametrize("seed", range(60))
def test_no_hint_lifts_a_bound_above_what_it_bounds(seed: int) -> None:
    network, rng = hostile_network(seed), random.Random(seed)
    lower, upper = hostile_box(seed, network.sizes[0])
    rows, boxes = hostile_rows(seed, network), Boxes.of(lower[None], upper[None])
    all_seen = []
    for x in points(seed, lower, upper, count=8):
        tree = read(network, rows, tree_around(network, len(rows.constant), x, rng))
        all_seen.append(seen(network, boxes, rows, tree, x))
        assert all_seen[-1].broken == []
    assert sum(each.ranges for each in all_seen) > 100
    assert sum(each.proofs for each in all_seen) >= 4


def one_neuron() -> tuple[Network, Boxes]:
    return (
        Network((Input(1), Affine(((0, Scale(np.ones(1))),), np.zeros(1)), Relu(1)), (1, 1, 1)),
        Boxes.of(-np.ones((1, 1)), np.ones((1, 1))),
    )


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
    rows = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    boxes = Boxes.of(-np.ones((1, 1)), np.ones((1, 1)))
    tree = read(network, rows, chunk([0], frame([(0, 0)]), split(0, 0), [END], proof(0, [1], [255], [1]), [END]))
    assert seen(network, boxes, rows, tree, [Fraction(1)]).broken == []
    prover = Recorder(Bounder(network), tree, rows, boxes)
    prover.prove(0, tree.ends)
    assert Fraction(prover.least[0]) <= Fraction(-HALF_ULP)  # the real coefficient of z that is left is -e


@pytest.mark.parametrize("side", [1, -1])
def test_a_multiplier_of_the_wrong_sign_would_be_noticed(side: int) -> None:
    """On the side of its split a multiplier lowers the row; handed to the other side it would raise it."""
    network, boxes = one_neuron()
    rows = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    hinted = [*proof(0, [1], [255], [0.5]), END]
    halves = ([END], hinted) if side > 0 else (hinted, [END])
    tree = read(network, rows, chunk([0], frame([(0, 0)]), split(0, 0), *halves))
    assert seen(network, boxes, rows, tree, [Fraction(side)]).broken == []
    shifted = Boxes.of(np.array([[0.5 * side - 0.25]]), np.array([[0.5 * side + 0.25]]))
    zero = Rows(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1))
    x = [Fraction(side, 2)]
    assert seen(network, shifted, zero, tree, x).broken == []
    for node in tree.nodes:  # no file can hold this
        node.items = tuple(
            replace(item, multipliers=np.array([-2.0])) for item in node.items if isinstance(item, Proof)
        )
    assert seen(network, shifted, zero, tree, x).broken == ["the bound of the proof"]


@pytest.mark.parametrize("gamma", [1.0, 1e-3])
def test_a_smaller_gamma_would_be_noticed_in_the_ranges_of_a_frame(gamma: float) -> None:
    """Below the split x >= 0 the least value of relu(x) + e relu(x) + e relu(x) + ... - 1/2 is found backward."""
    first, _ = one_neuron()
    lossy = tuple((2, Scale(np.array([factor]))) for factor in (1.0, *[HALF_ULP] * 300))
    network = Network((*first.nodes, Affine(lossy, np.array([-0.5])), Relu(3)), (1,) * 5)
    boxes, rows = Boxes.of(np.ones((1, 1)), np.ones((1, 1))), Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    below = frame([(0, 0)], Refined(1, [0], False, [[15], [15]], [[0.0], [0.0]]))
    tree = read(network, rows, chunk([0], frame([]), split(0, 0), [END], below, proof(0, [1], [255], [0]), [END]))
    bounder = Bounder(network)
    bounder.gamma *= gamma
    found = seen(network, boxes, rows, tree, [Fraction(1)], bounder).broken
    assert ("range 1 of neuron 0 on layer 1" in found) == (gamma < 1)


def test_intervals_without_generators_hold() -> None:
    """The root of a phase tree relaxes without generators: its ranges and sizes contain what the network computes."""
    for seed in range(30):
        network = hostile_network(seed)
        lower, upper = hostile_box(seed, network.sizes[0])
        with np.errstate(all="ignore"):
            relaxation = Bounder(network).relax(Boxes.of(lower[None], upper[None]), lambda *_: None)
        for x in points(seed, lower, upper):
            for k, (l, u) in relaxation.ranges.items():
                node = network.nodes[k]
                assert isinstance(node, Relu)
                value = evaluate(Network(network.nodes[: node.parent + 1], network.sizes[: node.parent + 1]), x)
                assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in zip(l[0].tolist(), value, u[0].tolist()))
            for k, size in relaxation.sizes.items():
                value = evaluate(Network(network.nodes[: k + 1], network.sizes[: k + 1]), x)
                assert all(abs(v) <= Fraction(s) for v, s in zip(value, size[0].tolist(), strict=True))
