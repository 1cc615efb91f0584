"""The rational oracle: exact values, bounds that no exact value undercuts, and tightness where it is a theorem."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from tests.checker.models import forward
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.errors import CheckError
from verifier.checker.exact import evaluate, lower_bounds, prove_violation, row_value
from verifier.checker.network import Affine, Dense, Gather, Input, Network, Relu, Scale, Sparse
from verifier.checker.vnnlib import QueryCase, QueryRow

CASES = range(40)


def random_network(seed: int, relus: bool = True) -> Network:
    """A small network of every kind of map, with a skip connection; weights of mixed magnitude."""
    rng = np.random.default_rng(seed)
    inputs, width, outputs = (int(size) for size in rng.integers(2, 6, 3))

    def weight(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns)) * 10.0 ** rng.integers(-3, 3)

    def activation(parent: int) -> Relu | Affine:
        return Relu(parent) if relus else Affine(((parent, Scale(np.ones(width))),), np.zeros(width))

    entries = rng.permutation(width * width)[: width + 1]
    entries = entries[np.argsort(entries % width, kind="stable")]
    sparse = Sparse(entries // width, entries % width, rng.normal(size=len(entries)), width)
    index = rng.integers(-1, width, width)
    nodes = (
        Input(inputs),
        Affine(((0, Dense(weight(width, inputs))),), rng.normal(size=width)),
        activation(1),
        Affine(((2, sparse), (1, Gather(index))), rng.normal(size=width)),
        activation(3),
        Affine(((4, Scale(rng.normal(size=width), divide=True)), (2, Scale(rng.normal(size=width)))),
               rng.normal(size=width)),
        activation(5),
        Affine(((6, Dense(weight(outputs, width))), (4, Dense(weight(outputs, width)))), rng.normal(size=outputs)),
    )  # fmt: skip
    return Network(nodes, (inputs, width, width, width, width, width, width, outputs))


def random_box(rng: random.Random, size: int) -> tuple[list[Fraction], list[Fraction]]:
    """A box with decimal corners, flat in some directions."""
    lower = [Fraction(rng.randint(-1000, 1000), 1000) for _ in range(size)]
    return lower, [low + Fraction(rng.choice([0, 1, 30, 500]), 1000) for low in lower]


def random_row(rng: random.Random, inputs: int, outputs: int) -> QueryRow:
    def terms(size: int) -> dict[int, Fraction]:
        return {i: Fraction(rng.randint(-30, 30), 10) for i in range(size) if rng.random() < 0.7}

    return QueryRow(terms(inputs), terms(outputs), Fraction(rng.randint(-30, 30), 7), strict=True)


def random_point(rng: random.Random, lower: list[Fraction], upper: list[Fraction]) -> list[Fraction]:
    shares = [Fraction(rng.choice([0, 0, rng.randint(0, 97), 97, 97]), 97) for _ in lower]
    return [low + share * (up - low) for low, up, share in zip(lower, upper, shares)]


def by_definition(network: Network, x: list[Fraction]) -> list[Fraction]:
    """The network evaluated one Fraction at a time."""
    values: list[list[Fraction]] = []
    for node in network.nodes:
        if isinstance(node, Input):
            values.append(x)
        elif isinstance(node, Relu):
            values.append([max(Fraction(0), v) for v in values[node.parent]])
        else:
            total = [Fraction(b) for b in node.bias.tolist()]
            for parent, m in node.terms:
                v = values[parent]
                for i in range(len(total)):
                    match m:
                        case Dense(weight):
                            total[i] += sum(Fraction(w) * a for w, a in zip(weight[i].tolist(), v))
                        case Sparse(rows, cols, entries, _):
                            total[i] += sum(Fraction(entries[k].item()) * v[cols[k]] for k in np.flatnonzero(rows == i))
                        case Scale(factor, divide):
                            f = Fraction(factor[i].item())
                            total[i] += v[i] / f if divide else v[i] * f
                        case Gather(index):
                            total[i] += v[index[i]] if index[i] >= 0 else 0
            values.append(total)
    return values[-1]


@pytest.mark.parametrize("seed", CASES)
def test_evaluate_is_exact(seed: int) -> None:
    network, rng = random_network(seed), random.Random(seed)
    for _ in range(5):
        x = [Fraction(rng.randint(-(10**6), 10**6), rng.randint(1, 10**6)) for _ in range(network.sizes[0])]
        y = evaluate(network, x)
        assert y == by_definition(network, x)
        approximate = forward(network, np.array([float(v) for v in x]))
        assert np.allclose(approximate, [float(v) for v in y], rtol=1e-9, atol=1e-9)


def test_evaluate_loses_nothing_to_cancellation() -> None:
    big = Affine(((0, Dense(np.array([[1e16, 1.0, -1e16]]))),), np.array([5e-324]))
    network = Network((Input(3), big), (3, 1))
    assert evaluate(network, [Fraction(1), Fraction(1, 3), Fraction(1)]) == [Fraction(1, 3) + Fraction(5e-324)]


@pytest.mark.parametrize("seed", CASES)
def test_no_exact_value_lies_below_its_bound(seed: int) -> None:
    network, rng = random_network(seed), random.Random(seed)
    lower, upper = random_box(rng, network.sizes[0])
    rows = [random_row(rng, network.sizes[0], network.sizes[-1]) for _ in range(4)]
    bounds = lower_bounds(network, lower, upper, rows)
    for _ in range(60):
        x = random_point(rng, lower, upper)
        y = evaluate(network, x)
        for row, bound in zip(rows, bounds, strict=True):
            assert row_value(row, x, y) >= bound


@pytest.mark.parametrize("seed", CASES)
def test_bounds_of_affine_networks_are_attained_at_a_corner(seed: int) -> None:
    network, rng = random_network(seed, relus=False), random.Random(seed)
    lower, upper = random_box(rng, network.sizes[0])
    rows = [random_row(rng, network.sizes[0], network.sizes[-1]) for _ in range(2)]
    corners = [(list(x), evaluate(network, x)) for x in product(*zip(lower, upper))]
    attained = [min(row_value(row, x, y) for x, y in corners) for row in rows]
    assert lower_bounds(network, lower, upper, rows) == attained


@pytest.mark.parametrize("seed", CASES)
def test_bounds_on_a_point_are_its_value(seed: int) -> None:
    network, rng = random_network(seed), random.Random(seed)
    x, _ = random_box(rng, network.sizes[0])
    rows = [random_row(rng, network.sizes[0], network.sizes[-1]) for _ in range(2)]
    y = evaluate(network, x)
    found = lower_bounds(network, x, x, rows)
    for row, bound in zip(rows, found, strict=True):
        assert 0 <= row_value(row, x, y) - bound < Fraction(1, 10**12)


def test_a_single_relu_has_the_bounds_of_the_textbook() -> None:
    """relu on [-1, 3]: chord 3/4 (z + 1) above, and z below because 3 > 1; on [-3, 1] zero is below."""
    identity = Affine(((0, Dense(np.eye(1))),), np.zeros(1))
    network = Network((Input(1), identity, Relu(1)), (1, 1, 1))
    up, down = (QueryRow({}, {0: Fraction(sign)}, Fraction(0), True) for sign in (1, -1))
    tilted = QueryRow({0: Fraction(3, 4)}, {0: Fraction(-1)}, Fraction(0), True)  # 3/4 x - relu(x)
    assert lower_bounds(network, [Fraction(-1)], [Fraction(3)], [up, down, tilted]) == [-1, -3, Fraction(-3, 4)]
    assert lower_bounds(network, [Fraction(-3)], [Fraction(1)], [up, down]) == [0, -1]
    assert lower_bounds(network, [Fraction(1, 3)], [Fraction(1)], [up, down]) == [Fraction(1, 3), -1]


@pytest.mark.parametrize("seed", CASES)
def test_the_float_checker_agrees_and_stays_on_the_safe_side(seed: int) -> None:
    network, rng = random_network(seed), random.Random(seed)
    lower, upper = random_box(rng, network.sizes[0])
    lower, upper = ([Fraction(float(v)) for v in side] for side in (lower, upper))
    rows = [QueryRow({}, {j: Fraction(sign)}, Fraction(0), True) for j in range(network.sizes[-1]) for sign in (1, -1)]
    exact = lower_bounds(network, lower, upper, rows)
    box = Boxes.of(*(np.array([[float(v) for v in side]]) for side in (lower, upper)))
    y = np.array([[float(row.y.get(j, 0)) for j in range(network.sizes[-1])] for row in rows])
    found = Bounder(network).lower(box, Rows(np.zeros((len(rows), network.sizes[0])), y, np.zeros(len(rows)))).lower[0]
    scale = 1 + max(abs(float(bound)) for bound in exact)
    for bound, approximate in zip(exact, found.tolist(), strict=True):
        assert Fraction(approximate) <= bound + Fraction(2) ** -55 * abs(bound)  # exact rounds l, u and s at 2^-60
        assert float(bound) - approximate < 1e-9 * scale


def test_prove_violation_is_exact_at_the_boundary() -> None:
    network = Network((Input(1), Affine(((0, Scale(np.array([3.0]))),), np.zeros(1))), (1, 1))

    def case(constant: Fraction, strict: bool) -> QueryCase:
        return QueryCase((Fraction(0),), (Fraction(1, 10),), False, (QueryRow({}, {0: Fraction(1)}, constant, strict),))

    x = 0.0625
    assert prove_violation(network, case(Fraction(-3, 16), True), [x])  # 3 x - 3/16 > 0 fails: it is 0
    assert not prove_violation(network, case(Fraction(-3, 16), False), [x])  # >= 0 holds
    assert prove_violation(network, case(Fraction(-3, 16) - Fraction(1, 10**30), False), [x])
    assert not prove_violation(network, case(Fraction(-9), True), [0.1])  # the float 0.1 exceeds 1/10
    assert prove_violation(network, case(Fraction(-9), True), [float(np.nextafter(0.1, 0))])
    with pytest.raises(CheckError):
        prove_violation(network, case(Fraction(0), True), [float("nan")])
    with pytest.raises(CheckError):
        prove_violation(network, case(Fraction(0), True), [0.0, 0.0])


def test_one_true_row_is_enough_to_refute_a_violation() -> None:
    network = Network((Input(1), Affine(((0, Scale(np.array([1.0]))),), np.zeros(1))), (1, 1))
    rows = tuple(QueryRow({}, {0: Fraction(1)}, Fraction(c), True) for c in (-9, 1))
    assert not prove_violation(network, QueryCase((Fraction(0),), (Fraction(1),), False, rows), [0.5])
    assert prove_violation(network, QueryCase((Fraction(0),), (Fraction(1),), False, rows[:1]), [0.5])


def test_bounds_tighten_as_the_box_shrinks() -> None:
    """Halving towards a point must end at its value: the relaxation gap closes."""
    network, x = random_network(3), [Fraction(1, 7)] * random_network(3).sizes[0]
    row = QueryRow({}, {0: Fraction(1)}, Fraction(0), True)
    radii = [Fraction(1, 4**k) for k in range(8)]
    bounds = [lower_bounds(network, [v - r for v in x], [v + r for v in x], [row])[0] for r in radii]
    value = evaluate(network, x)[0]
    assert all(bound <= value for bound in bounds)
    gaps = [value - bound for bound in bounds]
    assert gaps[-1] < gaps[0] / 1000
    assert all(after <= before for before, after in pairwise(gaps))
