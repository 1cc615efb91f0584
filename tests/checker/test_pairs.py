"""Bounds on differences of two copies: exact containment, every pairing sound, tight where theory says so.

Expected values are exact: the network is evaluated in rational arithmetic, and compared without tolerance.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.test_rounding import broken_rows, exact, hostile_box, hostile_network, hostile_rows, points
from tests.checker.twins import both, differences, layered, perturbed
from tests.oracle import Network as Tiny
from tests.oracle import Row, Unit, minimum
from verifier.checker import pairs as checked
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation, evaluate
from verifier.checker.lines import lines_on
from verifier.checker.network import Affine, Dense, Input, Network, Relu, Sign
from verifier.checker.pairs import Pairs, side_by_side
from verifier.checker.vnnlib import QueryRow

SIZES = ((2, 5, 5, 2), (3, 8, 8, 8, 1), (1, 4, 2), (4, 6, 6, 3))


def twins(seed: int, by: float | None = None) -> tuple[Network, Pairs]:
    rng = np.random.default_rng(seed)
    one = layered(rng, SIZES[seed % len(SIZES)], scale=1.5)
    return both(one, perturbed(rng, one, 10.0 ** -rng.integers(1, 12) if by is None else by))


def box(seed: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed + 50)
    middle, half = rng.normal(size=inputs), 10.0 ** rng.uniform(-3, 0.5, inputs)
    return middle - half, middle + half


def rows_of(y: np.ndarray, inputs: int) -> Rows:
    return Rows(np.zeros((len(y), inputs)), y, np.zeros(len(y)))


def exact_rows(y: np.ndarray) -> list[QueryRow]:
    return [QueryRow({}, {j: Fraction(c) for j, c in enumerate(row.tolist()) if c}, Fraction(0), False) for row in y]


def exact_relaxation(network: Network, pairs: Pairs, lower: np.ndarray, upper: np.ndarray) -> ExactRelaxation:
    paired = side_by_side(network, pairs)
    return ExactRelaxation(paired.network, exact(lower), exact(upper), seconds=paired.seconds)


def some_pairing(rng: random.Random, network: Network) -> Pairs:
    """Pairs of layers of one size, whoever they are, that an order exists for."""
    layers = list(range(len(network.layers)))
    found: Pairs = ()
    for _ in range(8):
        one, two = rng.sample(layers, 2)
        try:
            side_by_side(network, (*found, (one, two)))
        except CheckError:
            continue
        found = (*found, (one, two))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_nothing_real_is_below_the_bounds(seed: int) -> None:
    network, pairs = twins(seed)
    lower, upper = box(seed, network.sizes[0])
    boxes, xs = Boxes.of(lower[None], upper[None]), points(seed, lower, upper)
    y = differences(network.sizes[-1] // 2)
    assert broken_rows(Bounder(network, pairs), boxes, rows_of(y, len(lower)), xs) == []
    relaxation = exact_relaxation(network, pairs, lower, upper)
    for row, bound in zip(exact_rows(y), relaxation.bounds(exact_rows(y)), strict=True):
        for x in xs:
            values = evaluate(network, x)
            assert sum(c * values[j] for j, c in row.y.items()) >= bound


@pytest.mark.parametrize("seed", range(40))
def test_a_pairing_that_makes_no_sense_proves_nothing_false(seed: int) -> None:
    """Any layers of one size: unrelated ones, the two layers exchanged, and rows with any coefficients."""
    network, _ = twins(seed, by=2.0)
    lower, upper = box(seed, network.sizes[0])
    boxes, xs = Boxes.of(lower[None], upper[None]), points(seed, lower, upper)
    rng = random.Random(seed)
    y = np.random.default_rng(seed).normal(size=(6, network.sizes[-1]))
    for _ in range(3):
        pairs = some_pairing(rng, network)
        assert broken_rows(Bounder(network, pairs), boxes, rows_of(y, len(lower)), xs) == []
        bounds = exact_relaxation(network, pairs, lower, upper).bounds(exact_rows(y))
        for x in xs:
            values = evaluate(network, x)
            for row, bound in zip(exact_rows(y), bounds, strict=True):
                assert sum(c * values[j] for j, c in row.y.items()) >= bound


@pytest.mark.parametrize("seed", range(60))
def test_hostile_copies_break_no_claim(seed: int) -> None:
    """All maps, magnitudes over up to 24 decades, copies that differ by nothing, by single bits or by much."""
    rng = np.random.default_rng(seed)
    one = hostile_network(seed)
    network, pairs = both(one, perturbed(rng, one, (0.0, 4e-16, 1e-6, 0.5)[seed % 4]))
    lower, upper = hostile_box(seed, network.sizes[0])
    boxes, xs = Boxes.of(lower[None], upper[None]), points(seed, lower, upper)
    bounder = Bounder(network, pairs)
    y = np.concatenate([differences(2), hostile_rows(seed, network).y])
    assert broken_rows(bounder, boxes, rows_of(y, len(lower)), xs) == []
    assert np.isfinite(bounder.lower(boxes, rows_of(y, len(lower))).lower).any()


@pytest.mark.parametrize("seed", range(30))
def test_the_ranges_of_arguments_stay_true(seed: int) -> None:
    """Differences tighten the ranges of the two neurons: every value is inside, without tolerance."""
    network, pairs = twins(seed)
    lower, upper = box(seed, network.sizes[0])
    bounder = Bounder(network, pairs)
    relaxation = bounder.relax(Boxes.of(lower[None], upper[None]))
    for x in points(seed, lower, upper):
        for k, (l, u) in relaxation.ranges.items():
            parent = bounder.network.nodes[k].parent  # type: ignore[union-attr]
            values = evaluate(Network(bounder.network.nodes[: parent + 1], bounder.network.sizes[: parent + 1]), x)
            for value, low, up in zip(values, exact(l[0]), exact(u[0]), strict=True):
                assert low <= value <= up


def test_a_difference_lies_between_its_lines() -> None:
    """D1 with lines of ranges that contain a, b and their difference, exactly, for values that the ranges end at."""
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.normal(size=(2, 400)) * 10.0 ** rng.uniform(-3, 3, 400), axis=0) for _ in range(2))
    d = np.nextafter(a[0] - b[1], -np.inf), np.nextafter(a[1] - b[0], np.inf)
    lines_a, lines_b = lines_on(a[0][None], a[1][None]), lines_on(b[0][None], b[1][None])
    lines = checked.pair_lines((d[0][None], d[1][None]), lines_a, lines_b, np.ones((1, 400), dtype=bool))
    parts = (exact(part[0]) for part in (lines.below, lines.base, lines.above, lines.offset, lines.size))
    for n, (below, base, above, offset, size) in enumerate(zip(*parts, strict=True)):
        for z in {*exact(a[:, n]), Fraction(0)} & {
            v for v in (*exact(a[:, n]), Fraction(0)) if a[0, n] <= v <= a[1, n]
        }:
            for w in exact(b[:, n]):
                e = max(z, 0) - max(w, 0)
                assert below * (z - w) - base <= e <= above * (z - w) + offset
                assert abs(z - w) + abs(z) + abs(w) <= size


@pytest.mark.parametrize("seed", range(12))
def test_equal_copies_differ_by_exactly_nothing(seed: int) -> None:
    """However wide the box: with exact arithmetic 0, in float64 no more than what rounding is charged."""
    network, pairs = twins(seed, by=0.0)
    lower, upper = box(seed, network.sizes[0])
    y = differences(network.sizes[-1] // 2)
    assert set(exact_relaxation(network, pairs, lower, upper).bounds(exact_rows(y))) == {Fraction(0)}
    bounder = Bounder(network, pairs)
    found = bounder.lower(Boxes.of(lower[None], upper[None]), rows_of(y, len(lower))).lower[0]
    largest = max(size.max() for size in bounder.relax(Boxes.of(lower[None], upper[None])).sizes.values())
    assert (found <= 0).all()
    assert (found >= -1e5 * bounder.gamma * largest).all()
    alone = Bounder(network).lower(Boxes.of(lower[None], upper[None]), rows_of(y, len(lower))).lower[0]
    assert (alone < found).any() or (alone > -1e-9).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_shifted_output_differs_by_exactly_the_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = layered(rng, SIZES[seed % len(SIZES)])
    last = one.nodes[-1]
    assert isinstance(last, Affine)
    other = Network((*one.nodes[:-1], Affine(last.terms, last.bias - 0.375)), one.sizes)
    network, pairs = both(one, other)
    lower, upper = box(seed, network.sizes[0])
    count = network.sizes[-1] // 2
    (shift, *_), bias = exact(np.array([0.375])), exact(last.bias)
    rounded = [b - Fraction(float(b) - 0.375) for b in bias]  # the stored bias is rounded
    expected = [*rounded, *(-r for r in rounded)]
    assert exact_relaxation(network, pairs, lower, upper).bounds(exact_rows(differences(count))) == expected
    assert all(abs(r - shift) < Fraction(1, 10**15) for r in rounded)


@pytest.mark.parametrize("seed", range(10))
def test_tiny_pairs_against_the_exact_optimum(seed: int) -> None:
    """Never above the least value, which an oracle finds by enumeration; tighter than without pairs by far."""
    rng = np.random.default_rng(seed)
    one = layered(rng, (2, 4, 3, 1), scale=1.5)
    network, pairs = both(one, perturbed(rng, one, 1e-3))
    lower, upper = np.full(2, -1.0), np.full(2, 1.0)
    y = differences(1)
    boxes = Boxes.of(lower[None], upper[None])
    found = Bounder(network, pairs).lower(boxes, rows_of(y, 2)).lower[0]
    alone = Bounder(network).lower(boxes, rows_of(y, 2)).lower[0]
    for r, row in enumerate(y):
        terms = tuple((j, Fraction(c)) for j, c in enumerate(row.tolist()) if c)
        least = minimum(tiny(network), exact(lower), exact(upper), Row((), terms))
        assert Fraction(found[r]) <= least
        assert alone[r] < 0
        assert found[r] > alone[r] / 10


def tiny(network: Network) -> Tiny:
    """The same for the oracle, unit by unit; outputs are those of the last node."""
    units: list[Unit] = []
    place: dict[tuple[int, int], int] = {(0, i): i for i in range(network.sizes[0])}
    for k, node in enumerate(network.nodes[1:], start=1):
        for i in range(network.sizes[k]):
            terms: dict[int, Fraction] = {}
            bias = Fraction(0)
            if isinstance(node, Relu):
                terms = {place[node.parent, i]: Fraction(1)}
            else:
                assert isinstance(node, Affine)
                bias = Fraction(node.bias[i].item())
                for parent, m in node.terms:
                    row = (
                        m.weight[i]
                        if isinstance(m, Dense)
                        else np.eye(network.sizes[parent])[m.index[i]] * (m.index[i] >= 0)
                    )
                    for j, c in enumerate(row.tolist()):
                        if c:
                            source = place[parent, j]
                            terms[source] = terms.get(source, Fraction(0)) + Fraction(c)
            units.append(Unit(tuple(terms.items()), bias, isinstance(node, Relu)))
            place[k, i] = network.sizes[0] + len(units) - 1
    last = len(network.nodes) - 1
    return Tiny(network.sizes[0], tuple(units), tuple(place[last, i] for i in range(network.sizes[-1])))


def test_an_order_that_has_them_side_by_side_is_the_same_function() -> None:
    network, pairs = twins(1)
    paired = side_by_side(network, pairs)
    assert len(paired.seconds) == len(pairs)
    for k in paired.seconds:
        assert isinstance(paired.network.nodes[k], Relu)
        assert isinstance(paired.network.nodes[k - 1], Relu)
    for x in points(3, *box(3, network.sizes[0])):
        assert evaluate(paired.network, x) == evaluate(network, x)


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (((0, 99),), "does not have"),
        (((0, 0),), "in two pairs"),
        (((0, 3), (1, 3)), "in two pairs"),
        (((0, 1),), "no order"),  # one depends on the other
        (((0, 4), (1, 3)), "no order"),  # each waits for the other
        (((0, 2),), "size"),
    ],
)
def test_pairs_that_are_none_are_refused(pairs: Pairs, why: str) -> None:
    one = layered(np.random.default_rng(0), (2, 5, 5, 4, 1))
    network, _ = both(one, one)
    with pytest.raises(CheckError, match=why):
        Bounder(network, pairs)


def test_signs_are_no_pairs() -> None:
    dense = Dense(np.ones((1, 1)))
    nodes = Input(1), Sign(0), Sign(0), Affine(((1, dense), (2, dense)), np.zeros(1))
    with pytest.raises(CheckError, match="not both of ReLUs"):
        Bounder(Network(nodes, (1, 1, 1, 1)), ((0, 1),))


def test_two_relus_of_one_node_are_equal() -> None:
    """Nothing is to be bounded there: the difference of their arguments is that of a number from itself."""
    dense = Dense(np.array([[3.0]]))
    nodes = (
        Input(1),
        Affine(((0, dense),), np.ones(1)),
        Relu(1),
        Relu(1),
        Affine(((2, dense), (3, Dense(np.array([[-3.0]])))), np.zeros(1)),
    )
    network = Network(nodes, (1, 1, 1, 1, 1))
    low, up = np.array([-1.0]), np.array([1.0])
    found = (
        Bounder(network, ((0, 1),)).lower(Boxes.of(low[None], up[None]), rows_of(np.array([[1.0], [-1.0]]), 1)).lower[0]
    )
    assert (found <= 0).all()
    assert (found > -1e-10).all()
    assert exact_relaxation(network, ((0, 1),), low, up).bounds(exact_rows(np.array([[1.0], [-1.0]]))) == [0, 0]


def test_a_lemma_left_out_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines without offsets claim that both neurons of a pair always have the same phase: some row is then false."""
    whole = checked.pair_lines

    def without_offsets(*arguments):
        lines = whole(*arguments)
        zero = np.zeros_like(lines.base)
        return checked.PairLines(lines.used, lines.below, zero, lines.above, zero, lines.size)

    monkeypatch.setattr("verifier.checker.bounds.pair_lines", without_offsets)
    broken = []
    for seed in range(10):
        network, pairs = twins(seed, by=0.3)
        lower, upper = box(seed, network.sizes[0])
        rows = rows_of(differences(network.sizes[-1] // 2), len(lower))
        broken += broken_rows(
            Bounder(network, pairs), Boxes.of(lower[None], upper[None]), rows, points(seed, lower, upper)
        )
    assert broken
