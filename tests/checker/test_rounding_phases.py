"""Lemmas R1 to R3 against exact fractions: whatever hints a tree brings, no bound in it is above what it bounds.

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

from tests.checker.phase_words import (
    CLOSED,
    END,
    OPEN,
    Cut,
    Refined,
    chunk,
    frame,
    phased,
    proof,
    random_frame,
    split,
    words,
    zonotope,
)
from tests.checker.test_rounding import (
    HALF_ULP,
    dot,
    exact,
    hostile_box,
    hostile_network,
    hostile_rows,
    points,
    with_signs,
)
from verifier.checker import zonotope as checker_zonotope
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.exact import evaluate
from verifier.checker.forward import Forward, range_of, summed, with_symbols
from verifier.checker.lines import U, lines_on
from verifier.checker.network import Affine, Dense, Gather, Input, Network, Relu, Scale, Sign
from verifier.checker.phase_tree import Cuts, PhaseTree, Proof, read_phase_tree
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


def arguments(network: Network, x: Point) -> list[list[Fraction]]:
    """Exact arguments of every layer at x."""
    nodes = [network.nodes[k] for k in network.layers]
    ends = [node.parent + 1 for node in nodes if isinstance(node, Relu | Sign)]
    return [evaluate(Network(network.nodes[:end], network.sizes[:end]), x) for end in ends]


def sign(z: Fraction, rng: random.Random) -> int:
    return (z > 0) - (z < 0) or rng.choice([-1, 1])


def enter(
    pair: tuple[int, int], positive: bool, path: list[tuple[int, int]], found: list[int], behind: list[int]
) -> None:
    """Split a neuron and go to one side; ``behind`` are the endings of the sides not entered, the deepest first."""
    path.append(pair)
    found += split(*pair)
    (found if positive else behind).append(END)


def tree_around(network: Network, rows: int, x: Point, rng: random.Random) -> list[int]:
    """A path of random splits with the signs at x, random frames on it, and a proof at its end."""
    neurons, z = phased(network), arguments(network, x)
    path: list[tuple[int, int]] = []
    columns, found = random_frame(rng, network, path) if rng.random() < 0.8 else ([], [])
    behind: list[int] = []
    for layer, i in (rng.choice(neurons) for _ in range(rng.choice((0, 1, 3, 6)) if neurons else 0)):
        enter((layer, i), sign(z[layer][i], rng) > 0, path, found, behind)
        if rng.random() < 0.5:
            columns, more = random_frame(rng, network, path)
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
        for layer, k in enumerate(network.layers):
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
    return read_phase_tree(words(tree), network.sizes[0], network.widths, [len(rows.constant)], network.signs)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_no_hint_lifts_a_bound_above_what_it_bounds(seed: int, signs: bool) -> None:
    network, rng = with_signs(hostile_network(seed), seed) if signs else hostile_network(seed), random.Random(seed)
    lower, upper = hostile_box(seed, network.sizes[0])
    rows, boxes = hostile_rows(seed, network), Boxes.of(lower[None], upper[None])
    all_seen = []
    for x in points(seed, lower, upper, count=8):
        tree = read(network, rows, tree_around(network, len(rows.constant), x, rng))
        all_seen.append(seen(network, boxes, rows, tree, x))
        assert all_seen[-1].broken == []
    assert sum(each.ranges for each in all_seen) > (90 if signs else 100)  # signs are not split: fewer frames
    assert sum(each.proofs for each in all_seen) >= 4


def unstable(network: Network, xs: list[Point]) -> set[tuple[int, int]]:
    """Neurons with arguments of both signs."""
    z = [arguments(network, x) for x in xs]
    seen = [(layer, i) for layer, values in enumerate(z[0]) for i in range(len(values))]
    return {(k, i) for k, i in seen if min(at[k][i] for at in z) < 0 < max(at[k][i] for at in z)}


def cut_tree_around(
    network: Network, rows: int, x: Point, free: set[tuple[int, int]], rng: random.Random
) -> tuple[list[int], list[float]]:
    """As ``tree_around``, with a tree in a zonotope at the end whose one leaf that is not open is where x is.

    Neurons that are ``free`` are split in it. Also the weights of its rows.
    """
    neurons, z = phased(network), arguments(network, x)
    path: list[tuple[int, int]] = []
    columns, found = random_frame(rng, network, path)
    behind: list[int] = []
    for layer, i in (rng.choice(neurons) for _ in range(rng.choice((0, 1, 2)))):
        enter((layer, i), sign(z[layer][i], rng) > 0, path, found, behind)
    tree: Cut | int = CLOSED
    able = [i for i, pair in enumerate(columns) if pair in free and pair not in path]
    taken = rng.sample(able, min(len(able), rng.choice((1, 2, 4))))
    for column in taken:
        layer, i = columns[column]
        below, above = magnitudes(rng, 2)
        sides = (OPEN, tree) if sign(z[layer][i], rng) > 0 else (tree, OPEN)
        tree = Cut(column, (below, above), *sides)
    weights = [float(np.float32(w)) for w in magnitudes(rng, rows)]
    slopes = [rng.choice((0, 65535, rng.randrange(65536))) for _ in columns]
    cut = zonotope(0, weights, slopes, tree, magnitudes(rng, len(path)))
    return chunk([0], found, cut, [END], [END] * len(taken), behind), weights


def test_no_hint_lifts_a_leaf_of_a_zonotope_above_what_it_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    least: list[float] = []

    def positive(constant, total, error, gamma):
        swing = total * (1 + 4 * gamma) + error
        least.extend((constant - swing - 8 * U * (np.abs(constant) + swing)).tolist())
        return constant == constant

    monkeypatch.setattr(checker_zonotope, "_positive", positive)
    compared = 0
    for seed in range(80):
        network, rng = hostile_network(seed), random.Random(seed)
        lower, upper = hostile_box(seed, network.sizes[0])
        rows, boxes, xs = hostile_rows(seed, network), Boxes.of(lower[None], upper[None]), points(seed, lower, upper)
        free = unstable(network, xs)
        for x in xs[:8]:
            tree, weights = cut_tree_around(network, len(rows.constant), x, free, rng)
            least.clear()
            phases = read(network, rows, tree)
            PhaseProver(Bounder(network), phases, [rows], boxes).prove(0, phases.ends)
            y = evaluate(network, x)
            values = [dot(rows.x[r], x) + dot(rows.y[r], y) + exact(rows.constant)[r] for r in range(len(weights))]
            value = sum((Fraction(w) * v for w, v in zip(weights, values, strict=True)), Fraction(0))
            assert len(least) <= 1
            compared += bool(np.isfinite(least).all()) * len(least)
            assert not any(np.isfinite(bound) and Fraction(bound) > value for bound in least)
    assert compared >= 200


@pytest.mark.parametrize("charged", [1.0, 1e-5])
def test_splits_in_a_zonotope_whose_terms_round_away_are_charged(charged: float, monkeypatch) -> None:
    """On x >= 0 the row is 1 + 200 e - x - e x - e x - ..., 300 times; every e is lost when it is added to the 1."""
    count = 300
    monkeypatch.setattr(checker_zonotope, "U", U * charged)
    nodes = (
        Input(1),
        Affine(((0, Dense(np.ones((count, 1)))),), np.zeros(count)),
        Relu(1),
        Affine(((0, Scale(-np.ones(1))), (2, Dense(np.full((1, count), -HALF_ULP)))), np.zeros(1)),
    )
    network = Network(nodes, (1, count, count, 1))
    rows = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.array([1 + 200 * HALF_ULP]))
    columns = [(0, i) for i in range(count)]
    tree: Cut | int = CLOSED
    for i in range(count):
        tree = Cut(i, (0.0, 0.0), OPEN, tree)
    phases = read(network, rows, chunk([0], frame(columns), zonotope(0, [1], [0] * count, tree), [END], [END] * count))
    bounder = Bounder(network)
    bounder.gamma *= charged
    prover = PhaseProver(bounder, phases, [rows], Boxes.of(-np.ones((1, 1)), np.ones((1, 1))))
    (cuts,) = [item for node in phases.nodes for item in node.items if isinstance(item, Cuts)]
    refused = cuts.position in prover.prove(0, phases.ends)
    assert refused == (charged == 1)


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


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("symbols", [False, True])
def test_ranges_and_sizes_at_the_root_hold(symbols: bool, signs: bool) -> None:
    """The root of a phase tree relaxes by intervals, or by a zonotope too: both contain what the network computes."""
    for seed in range(30):
        network = with_signs(hostile_network(seed), seed) if signs else hostile_network(seed)
        lower, upper = hostile_box(seed, network.sizes[0])
        with np.errstate(all="ignore"):
            relaxation = Bounder(network).relax(Boxes.of(lower[None], upper[None]), lambda *_: None, symbols)
        for x in points(seed, lower, upper):
            for k, (l, u) in relaxation.ranges.items():
                node = network.nodes[k]
                assert isinstance(node, Relu | Sign)
                value = evaluate(Network(network.nodes[: node.parent + 1], network.sizes[: node.parent + 1]), x)
                assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in zip(l[0].tolist(), value, u[0].tolist()))
            for k, size in relaxation.sizes.items():
                value = evaluate(Network(network.nodes[: k + 1], network.sizes[: k + 1]), x)
                assert all(abs(v) <= Fraction(s) for v, s in zip(value, size[0].tolist(), strict=True))


def test_sizes_of_forms_with_symbols_cover_generators_and_center() -> None:
    """What L2 charges rounding to, at magnitudes from subnormal numbers on; new symbols are counted."""
    for seed in range(200):
        rng = np.random.default_rng(seed)

        def numbers(*shape: int, rng: np.random.Generator = rng) -> np.ndarray:
            values: np.ndarray = rng.normal(size=shape) * 10.0 ** rng.choice([-320, -160, -9, 0, 0, 5, 60], size=shape)
            return values

        generators, center, rad = numbers(1, 4, 3), numbers(1, 3), np.abs(numbers(1, 2))
        form = Forward(generators, center, np.abs(numbers(1, 3)), np.abs(numbers(1, 3)))
        l, u = np.sort(np.stack([numbers(1, 3), numbers(1, 3)]), axis=0)
        found = with_symbols(form, lines_on(l, u), u, rad, 5, 1e-12)
        assert found.generators.shape[1] == 5 + np.count_nonzero((l < 0) & (u > 0))
        reach = [*map(Fraction, rad[0].tolist()), *[Fraction(1)] * (found.generators.shape[1] - 2)]
        for n in range(3):
            column = found.generators[0, :, n].tolist()
            parts = sum(abs(Fraction(g)) * r for g, r in zip(column, reach, strict=True))
            assert parts + abs(Fraction(found.center[0, n])) <= Fraction(found.size[0, n])
            assert max(0.0, u[0, n]) <= found.size[0, n]


def test_sums_over_more_symbols_than_the_network_has_terms_are_paid_for() -> None:
    """20,000 generators that each round away beside the input's, together 2,500 units in the last place."""
    count, gamma = 20_000, (2 * 8 + 64) * U
    generators = np.full((1, 1 + count, 2), 0.999 * 2.0**-55)
    generators[0, 0] = 1.0
    nothing, rad = np.zeros((1, 2)), np.ones((1, 1))
    true = 1 + count * Fraction(0.999 * 2.0**-55)
    lower, upper = range_of(Forward(generators, nothing, nothing, np.full((1, 2), 2.0)), rad, gamma)
    assert all(Fraction(u) >= true for u in upper[0].tolist())
    assert all(Fraction(l) <= -true for l in lower[0].tolist())
    lines = lines_on(np.ones((1, 2)), np.full((1, 2), 2.0))  # an active ReLU leaves the form as it is
    found = with_symbols(Forward(generators, nothing, nothing, nothing), lines, nothing, rad, 1 + count, gamma)
    assert all(Fraction(size) >= true for size in found.size[0].tolist())


def test_symbols_end_where_memory_does() -> None:
    """With too many inputs there is no zonotope from the first on; ranges are then those of intervals."""
    inputs, width = 9000, 9000
    nodes = (Input(inputs), Affine(((0, Scale(np.ones(width))),), np.zeros(width)), Relu(1))
    boxes = Boxes.of(-np.ones((1, inputs)), np.ones((1, inputs)))
    bounder = Bounder(Network(nodes, (inputs, width, width)))
    with_them, without = (bounder.relax(boxes, lambda *_: None, symbols).ranges[2] for symbols in (True, False))
    for one, other in zip(with_them, without, strict=True):
        np.testing.assert_array_equal(one, other)


def test_generators_are_added_whichever_has_more_symbols() -> None:
    """Where one has none, the other's stay as they are, for as many boxes as it has."""
    one, three, more = (np.full((1, symbols, 2), value) for symbols, value in ((1, 1.0), (3, 10.0), (3, 100.0)))
    for found in (summed(one, three), summed(three, one)):
        np.testing.assert_array_equal(found[0, :, 0], [11.0, 10.0, 10.0])
    np.testing.assert_array_equal(summed(three, more)[0, :, 0], [110.0, 110.0, 110.0])
    for found in (summed(np.zeros((5, 0, 2)), three), summed(three, np.zeros((5, 0, 2)))):
        np.testing.assert_array_equal(found, three)
