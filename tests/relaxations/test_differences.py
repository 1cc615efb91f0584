"""Pairs found by structure, and bounds on their differences as the search computes them in plain floating point.

The tolerance is that of float rounding: ``ROUNDING`` times the largest value in the network.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.differences import pair_lines, shared, tightened
from relaxations.functions.relu import lines
from relaxations.maps.convolution import Convolution
from relaxations.maps.geometry import Geometry
from relaxations.network import Layer, ReluNetwork
from relaxations.pairing import pairs_of, side_by_side

ROUNDING = {np.float64: 1e-12, np.float32: 1e-3}
DEPTH = 3


def copies(seed: int, by: float, width: int = 6, inputs: int = 3) -> ReluNetwork:
    """A random network and a copy with weights changed by a relative amount of at most ``by``; outputs of both."""
    rng = np.random.default_rng(seed)
    sizes = (inputs, *(width,) * DEPTH)
    first = [
        Layer(((k, rng.normal(size=(after, before)) * 1.5 / np.sqrt(before)),), rng.normal(size=after) * 0.3)
        for k, (before, after) in enumerate(pairwise(sizes))
    ]

    def near(layer: Layer, source: int) -> Layer:
        ((_, weight),) = layer.terms
        return Layer(((source, weight * (1 + by * rng.uniform(-1, 1, weight.shape))),), layer.bias)

    second = [near(layer, DEPTH + k if k else 0) for k, layer in enumerate(first)]
    end = rng.normal(size=(2, width))
    outputs = np.concatenate([end, np.zeros((2, width))]), np.concatenate([np.zeros((2, width)), end * (1 + by)])
    return ReluNetwork(inputs, (*first, *second), Layer(((DEPTH, outputs[0]), (2 * DEPTH, outputs[1])), np.zeros(4)))


def of_differences(inputs: int) -> Rows:
    y = np.concatenate([np.eye(2), -np.eye(2)], axis=1)
    return Rows(np.zeros((4, inputs)), np.concatenate([y, -y]), np.zeros(4))


def boxes(seed: int, count: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed + 7)
    middle, half = rng.normal(size=(count, inputs)), 10.0 ** rng.uniform(-3, 0.3, (count, inputs))
    return middle - half, middle + half


def test_pairs_are_found_and_only_where_weights_are_alike() -> None:
    assert pairs_of(copies(0, 1e-2)) == ((0, 3), (1, 4), (2, 5))
    network = copies(0, 1e-2)
    rng = np.random.default_rng(1)
    other = tuple(
        replace(layer, terms=tuple((s, rng.normal(size=w.shape)) for s, w in layer.terms)) for layer in network.layers
    )
    assert pairs_of(replace(network, layers=other)) == ()
    signs = tuple(replace(layer, sign=True) for layer in network.layers)
    assert pairs_of(replace(network, layers=signs)) == ()
    assert pairs_of(ReluNetwork(3, network.layers[:3], Layer(((3, np.ones((1, 6))),), np.zeros(1)))) == ()


def test_the_order_is_another_one_of_the_same_network() -> None:
    network = copies(3, 0.1)
    paired = side_by_side(network, pairs_of(network))
    assert paired.seconds == {2, 4, 6}
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert np.allclose(paired.network.evaluate(x), network.evaluate(x), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="circle"):
        side_by_side(network, ((0, 4), (1, 3)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(12))
def test_samples_are_within_rows_and_ranges(seed: int, dtype: type) -> None:
    network = copies(seed, 10.0 ** -(1 + seed % 4))
    rows, (low, up) = of_differences(3), boxes(seed, 8, 3)
    bounds = BoxBounder(network.astype(dtype), rows, pairs=pairs_of(network)).bounds(low, up)
    rng = np.random.default_rng(seed)
    x = rng.uniform(low[:, None], up[:, None], (8, 400, 3)).reshape(-1, 3)
    seen, y = network.preactivations(x)
    slack = ROUNDING[dtype] * max(1.0, *(np.abs(z).max() for z in seen))
    assert (bounds.lower[:, None] <= (y @ rows.y.T).reshape(8, 400, 4) + slack).all()
    for (l, u), z in zip(bounds.ranges, seen, strict=True):  # in the order that the network has
        inside = z.reshape(8, 400, -1)
        assert (l[:, None] <= inside + slack).all()
        assert (inside <= u[:, None] + slack).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_pairing_costs_tightness_alone(seed: int) -> None:
    network, rows, (low, up) = copies(seed, 0.5), of_differences(3), boxes(seed, 4, 3)
    x = np.random.default_rng(seed).uniform(low[:, None], up[:, None], (4, 400, 3)).reshape(-1, 3)
    y = network.evaluate(x).reshape(4, 400, 4) @ rows.y.T
    for pairs in (((0, 5),), ((1, 3), (2, 4)), ((2, 3),), ((3, 0), (4, 1))):
        assert (BoxBounder(network, rows, pairs=pairs).bounds(low, up).lower[:, None] <= y + 1e-9).all()


@pytest.mark.parametrize("seed", range(6))
def test_equal_copies_have_no_difference_and_close_ones_little(seed: int) -> None:
    rows, (low, up) = of_differences(3), boxes(seed, 8, 3)
    equal = copies(seed, 0.0)
    assert np.abs(BoxBounder(equal, rows, pairs=pairs_of(equal)).bounds(low, up).lower).max() < 1e-9
    close = copies(seed, 1e-6)
    found = BoxBounder(close, rows, pairs=pairs_of(close)).bounds(low, up).lower.min(axis=1)
    alone = BoxBounder(close, rows).bounds(low, up).lower.min(axis=1)
    wide = alone < -0.1  # where neurons are unstable
    assert wide.any()
    assert (found[wide] > 1e-3 * alone[wide]).all()


def test_kappa_leaves_nothing_that_cancels() -> None:
    alpha, beta = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9))
    kappa = shared(alpha, beta, np)
    assert (((kappa == alpha) | (kappa == -beta)) | (alpha * beta >= 0)).all()
    assert (np.abs(kappa) == np.where(alpha * beta < 0, np.minimum(abs(alpha), abs(beta)), 0)).all()
    assert ((alpha - kappa) * (beta + kappa) >= 0).all()


def test_lines_contain_every_difference() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.normal(size=(2, 1, 300)) * 10.0 ** rng.uniform(-2, 2, 300), axis=0) for _ in range(2))
    middle = rng.uniform(size=(50, 300))
    x, y = (side[0] + middle * (side[1] - side[0]) for side in (a, b))
    y = rng.permuted(y, axis=0)
    d = (x - y).min(axis=0, keepdims=True), (x - y).max(axis=0, keepdims=True)
    made = pair_lines(*d, lines(*a, np), lines(*b, np), np.ones((1, 300), dtype=bool), np)
    e, difference = np.maximum(x, 0) - np.maximum(y, 0), x - y
    slack = 1e-9 * (1 + np.abs(difference))
    assert (made.lower_slope * difference + made.lower_offset <= e + slack).all()
    assert (e <= made.upper_slope * difference + made.upper_offset + slack).all()
    (a_l, a_u), (b_l, b_u) = tightened(tuple(a), tuple(b), d, np)
    for low, value, up in ((a_l, x, a_u), (b_l, y, b_u)):
        assert (low <= value + slack).all()
        assert (value <= up + slack).all()


def clipped(low: float, high: float) -> ReluNetwork:
    """Two layers of values clipped to [low, high], each with a ReLU layer for either end."""
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(8, 3)), rng.normal(size=(8, 8)) / np.sqrt(8)
    bias, start = rng.normal(size=8) * 0.2, two.sum(axis=1) * low
    layers = (
        Layer(((0, one),), bias - low),
        Layer(((0, one),), bias - high),
        Layer(((1, two), (2, -two)), start - low),
        Layer(((1, two), (2, -two)), start - high),
    )
    end = rng.normal(size=(2, 8))
    return ReluNetwork(3, layers, Layer(((3, end), (4, -end)), end.sum(axis=1) * low))


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-1, 1), (0, 1)])
def test_the_two_ends_of_a_clip_are_no_copies(low: float, high: float) -> None:
    """As a pair they were worth what [low, high] is wide: the first of them would be bounded by constants."""
    network = clipped(low, high)
    assert pairs_of(network) == ()
    rows, narrow = Rows(np.zeros((2, 3)), np.eye(2), np.zeros(2)), (np.full((1, 3), -0.4), np.full((1, 3), 0.4))
    alone, as_pairs = (BoxBounder(network, rows, pairs=pairs).bounds(*narrow).lower for pairs in ((), ((0, 1),)))
    assert (as_pairs < alone).all()


def test_a_small_bias_next_to_none_is_a_copy_all_the_same() -> None:
    network = copies(0, 1e-2)
    layers = [
        replace(layer, bias=np.full(6, 1e-4) if k < DEPTH else np.zeros(6)) for k, layer in enumerate(network.layers)
    ]
    assert pairs_of(replace(network, layers=tuple(layers))) == ((0, 3), (1, 4), (2, 5))


@pytest.mark.parametrize("apart", [0.0, 0.01, 0.3, 3.0, None])
def test_convolutions_too_large_to_write_out_are_compared(apart: float | None) -> None:
    """Two branches read one image: copies only where the kernels are alike, None for unrelated ones.

    Written out, they have 134 million entries.
    """
    rng = np.random.default_rng(0)
    geometry = Geometry(2, 4, 1, (64, 64), (64, 64), (3, 3), (1, 1), (1, 1), (1, 1))
    kernel = rng.normal(size=(4, 2, 3, 3))
    other = rng.normal(size=kernel.shape) if apart is None else kernel * (1 + apart)
    layers = tuple(Layer(((0, Convolution(k, geometry)),), np.zeros(4 * 64 * 64)) for k in (kernel, other))
    network = ReluNetwork(2 * 64 * 64, layers, Layer(((1, np.ones((1, 4 * 64 * 64))),), np.zeros(1)))
    assert pairs_of(network) == (((0, 1),) if apart is not None and apart < 1 else ())
