"""Ranges from a zonotope found forward: what they enclose, when they are exact, and what too many symbols do."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds import symbols
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.symbols import Symbols
from relaxations.network import Layer, ReluNetwork
from tests.unit.relaxations.nodes import Node

SEEDS = range(40)
Ranges = list[tuple[np.ndarray, np.ndarray]]


def ranges_of(network: ReluNetwork, lower: np.ndarray, upper: np.ndarray) -> Ranges:
    forms = Symbols(network, (lower + upper) / 2, (upper - lower) / 2)
    found = []
    for layer in network.layers:
        found.append(forms.range_of(layer))
        forms.relu(*found[-1])
    return found


def forward_of(network: ReluNetwork, lower: np.ndarray, upper: np.ndarray) -> Ranges:
    """The ranges of forward forms, whose unstable ReLUs have remainders."""
    rows = Rows(np.zeros((1, len(lower))), np.eye(len(network.output.bias))[:1], np.zeros(1))
    found = BoxBounder(network, rows, refine=False).bounds(lower[None], upper[None]).ranges
    return [(l[0], u[0]) for l, u in found]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cells", [symbols.CELLS, 60, 0])
def test_what_the_network_computes_is_in_the_ranges(seed: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where memory ends, after the first layer or before it."""
    monkeypatch.setattr(symbols, "CELLS", cells)
    node = Node(seed)
    found = ranges_of(node.network, node.lower, node.upper)
    points = np.random.default_rng(seed).uniform(node.lower, node.upper, size=(2000, 2))
    for z, (l, u) in zip(node.network.preactivations(points)[0], found, strict=True):
        assert (l - 1e-9 <= z).all()
        assert (z <= u + 1e-9).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_symbols_are_never_looser_than_remainders(seed: int) -> None:
    """On two layers both draw the same lines."""
    node = Node(seed)
    loose = forward_of(node.network, node.lower, node.upper)
    for (l, u), (low, up) in zip(ranges_of(node.network, node.lower, node.upper), loose, strict=True):
        assert (l >= low - 1e-9).all()
        assert (u <= up + 1e-9).all()


def test_without_memory_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inputs and five neurons: the first layer takes ten coefficients three times, the input four."""
    node = Node(0)
    for cells, finite in ((33, [False, False]), (34, [True, False]), (1000, [True, True])):
        monkeypatch.setattr(symbols, "CELLS", cells)
        found = ranges_of(node.network, node.lower, node.upper)
        assert [bool(np.isfinite(l).all() and np.isfinite(u).all()) for l, u in found] == finite


def test_what_cancels_is_exact() -> None:
    """z = relu(x) - x / 2 is |x| / 2: in [0, 1/2] for |x| <= 1, where intervals say [-1/2, 3/2]."""
    one = np.ones((1, 1))
    layers = (Layer(((0, one),), np.zeros(1)), Layer(((1, one), (0, -one / 2)), np.zeros(1)))
    network = ReluNetwork(1, layers, Layer(((2, one),), np.zeros(1)))
    _, (l, u) = ranges_of(network, -np.ones(1), np.ones(1))
    assert l == pytest.approx(0)
    assert u == pytest.approx(0.5)


def test_symbols_of_parallel_layers_are_different() -> None:
    """relu(x + 1/2) - relu(1/2 - x) - 3/2 x reaches 1/4 at x = 1/2; were their symbols the same it would be 0."""
    one = np.ones((1, 1))
    halves = (Layer(((0, one),), np.full(1, 0.5)), Layer(((0, -one),), np.full(1, 0.5)))
    last = Layer(((1, one), (2, -one), (0, -1.5 * one)), np.zeros(1))
    network = ReluNetwork(1, (*halves, last), Layer(((3, one),), np.zeros(1)))
    *_, (l, u) = ranges_of(network, -np.ones(1), np.ones(1))
    assert l <= -0.25
    assert u >= 0.25
