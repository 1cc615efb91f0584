"""Bounds of networks on images: rigorous in float64, against rational arithmetic; and the geometry of convolutions."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from onnx.helper import make_node as n

from tests.checker.models import model
from verifier.checker import convolution
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.convolution import Convolution, Transposed
from verifier.checker.errors import CheckError
from verifier.checker.exact import evaluate, lower_bounds, row_value
from verifier.checker.linear import magnitude, pull, push, terms, weights
from verifier.checker.network import Affine, Network, Normalize, Relu
from verifier.checker.onnx import read_network
from verifier.checker.vnnlib import QueryRow

SEEDS = range(12)


def image_network(seed: int) -> Network:
    """Every image operator in a row, with weights that are no round numbers; variances have rational roots."""
    rng = np.random.default_rng(seed)
    spread = (0.3, 30.0)[seed % 2]

    def weight(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * spread).astype(np.float32)

    nodes = [
        n("Conv", ["x", "w", "b"], ["a"], pads=[1, 0, 1, 1], strides=[1, 2], group=2),
        n("BatchNormalization", ["a", "g", "b", "m", "v"], ["c"], epsilon=0.0),
        n("LeakyRelu", ["c"], ["d"], alpha=0.1),
        n("MaxPool", ["d"], ["e"], kernel_shape=[2, 3], pads=[1, 1, 0, 1]),
        n("Clip", ["e", "low", "high"], ["f"]),
        n("AveragePool", ["f"], ["h"], kernel_shape=[2, 2], strides=[2, 1], ceil_mode=1),
        n("ConvTranspose", ["h", "u"], ["i"], strides=[2, 1], output_padding=[1, 0]),
        n("Abs", ["i"], ["j"]),
        n("PRelu", ["i", "slope"], ["k"]),
        n("Min", ["j", "k", "limit"], ["l"]),
        n("GlobalAveragePool", ["l"], ["y"]),
    ]
    constants = {
        "w": weight(4, 1, 2, 2),
        "b": weight(4),
        "g": weight(4),
        "m": weight(4),
        "v": np.array([0.25, 1.0, 2.25, 81.0], dtype=np.float32),
        "low": np.array(-0.7, dtype=np.float32),
        "high": np.array(spread, dtype=np.float32),
        "u": weight(4, 2, 2, 2),
        "slope": weight(2, 1, 1),
        "limit": weight(1, 2, 1, 1),
    }
    return read_network(model(nodes, {"x": (1, 2, 4, 4)}, constants))


@pytest.mark.parametrize("seed", SEEDS)
def test_float_bounds_stay_below_the_exact_ones_and_these_below_every_value(seed: int) -> None:
    network, rng = image_network(seed), random.Random(seed)
    lower = [Fraction(rng.uniform(-1, 1)) for _ in range(network.sizes[0])]
    upper = [Fraction(float(low) + rng.choice([0.0, 0.01, 0.3])) for low in lower]
    rows = [QueryRow({}, {j: Fraction(sign)}, Fraction(0), True) for j in range(network.sizes[-1]) for sign in (1, -1)]
    exact = lower_bounds(network, lower, upper, rows)
    box = Boxes.of(*(np.array([[float(v) for v in side]]) for side in (lower, upper)))
    y = np.array([[float(row.y.get(j, 0)) for j in range(network.sizes[-1])] for row in rows])
    found = Bounder(network).lower(box, Rows(np.zeros((len(rows), network.sizes[0])), y, np.zeros(len(rows)))).lower[0]
    scale = 1 + max(abs(float(bound)) for bound in exact)
    for bound, approximate in zip(exact, found.tolist(), strict=True):
        assert Fraction(approximate) <= bound + Fraction(2) ** -55 * abs(bound)
        assert float(bound) - approximate < 1e-7 * scale
    for _ in range(5):
        x = [low + Fraction(rng.choice([0, rng.random(), 1])) * (up - low) for low, up in zip(lower, upper)]
        value = evaluate(network, x)
        assert all(row_value(row, x, value) >= bound for row, bound in zip(rows, exact, strict=True))


@pytest.mark.parametrize("spread", [0, 8])
def test_a_factor_of_a_normalization_is_within_three_ulp(spread: int) -> None:
    rng = np.random.default_rng(spread)
    gain, variance = (rng.uniform(0.1, 9, 500) * 10.0 ** rng.uniform(-spread, spread, 500) for _ in range(2))
    m = Normalize(gain, variance, float(np.float32(1e-5)))
    worst = Fraction(0)
    for g, v, factor in zip(gain.tolist(), variance.tolist(), m.factor.tolist(), strict=True):
        squared = Fraction(g) ** 2 / (Fraction(v) + Fraction(m.epsilon))  # of the real factor
        ratio = Fraction(factor) ** 2 / squared  # (1 + error)^2
        assert (1 - Fraction(3, 2**52)) ** 2 <= ratio <= (1 + Fraction(3, 2**52)) ** 2
        worst = max(worst, abs(ratio - 1))
    assert worst > Fraction(1, 2**52)  # the bound is not idle


def by_definition(m: Convolution, v: np.ndarray) -> np.ndarray:
    """The sum in the docstring of ``Convolution``, one term at a time."""
    v, out = v.reshape(m.batch, *m.source), np.zeros((m.batch, *m.target))
    outer, inner = m.target[0] // m.groups, m.source[0] // m.groups
    for b, channel, *p in product(*(range(size) for size in out.shape)):
        for c, *q in product(*(range(size) for size in m.kernel.shape[1:])):
            at = [i * s + t * d - z for i, s, t, d, z in zip(p, m.strides, q, m.dilations, m.before)]
            if all(0 <= i < size for i, size in zip(at, m.source[1:], strict=True)):
                weight = m.kernel[(channel, c, *q)]
                out[(b, channel, *p)] += weight * v[(b, channel // outer * inner + c, *at)]
    return out.reshape(-1)


def odd_convolution(rng: np.random.Generator) -> Convolution:
    """Targets that leave out windows or reach far beyond the source, strides beyond the kernel, common factors."""
    rank, groups, outer, inner = (int(rng.integers(1, 3)) for _ in range(4))
    sizes, counts, taps, strides, dilations = (tuple(rng.integers(1, 5, rank).tolist()) for _ in range(5))
    kernel = rng.integers(-5, 6, (groups * outer, inner, *taps)).astype(np.float64)
    before = tuple(rng.integers(0, 6, rank).tolist())
    source, target = (groups * inner, *sizes), (groups * outer, *counts)
    return Convolution(kernel, source, target, groups, strides, dilations, before, int(rng.integers(1, 3)))


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in small pieces"])
@pytest.mark.parametrize("seed", range(60))
def test_maps_of_a_convolution_are_its_definition(seed: int, pieces: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Integers, so that every order of summation gives the same."""
    if pieces:
        monkeypatch.setattr(convolution, "ROWS_AT_ONCE", 3)
        monkeypatch.setattr(convolution, "CELLS_AT_ONCE", 20)
    rng = np.random.default_rng(seed)
    m = odd_convolution(rng)
    width, height = (m.batch * int(np.prod(shape)) for shape in (m.source, m.target))
    matrix = np.stack([by_definition(m, unit) for unit in np.eye(width)], axis=1)
    v, a = rng.integers(-9, 10, (2, 5, width)) * 1.0, rng.integers(-9, 10, (7, height)) * 1.0
    back = Transposed(m)
    assert np.array_equal(push(m, v), v @ matrix.T)
    assert np.array_equal(pull(m, a, width), a @ matrix)
    assert np.array_equal(push(back, a), a @ matrix)
    assert np.array_equal(pull(back, v, height), v @ matrix.T)
    assert np.array_equal(push(magnitude(m), v), v @ np.abs(matrix).T)
    assert np.array_equal(pull(magnitude(back), v, height), v @ np.abs(matrix).T)
    assert push(m, v[:, :0]).shape == (2, 0, height)
    assert pull(m, a[:0], width).shape == (0, width)
    most = max(np.count_nonzero(matrix, axis=axis).max(initial=0) for axis in (0, 1))
    assert most <= terms(m, width) == terms(back, height)
    assert np.count_nonzero(matrix) <= weights(m) == weights(back)


def test_a_pooled_window_is_a_balanced_tree_with_one_relu_for_each_level() -> None:
    """Five elements, two windows: levels hold the pairs (0 1) (2 3), then of what is left (0 1), then (0 4)."""
    network = read_network(model([n("MaxPool", ["x"], ["y"], kernel_shape=[5])], {"x": (1, 1, 6)}, {}))
    levels = [k for k, node in enumerate(network.nodes) if isinstance(node, Relu)]
    assert [network.sizes[k] for k in levels] == [4, 2, 2]
    x = np.array([3.0, -1, 4, 1, -5, 9])
    first = network.nodes[network.nodes[levels[0]].parent]
    assert isinstance(first, Affine)
    ((_, m),) = first.terms
    assert push(m, x).tolist() == [x[0] - x[1], x[1] - x[2], x[2] - x[3], x[3] - x[4]]


def test_padding_of_a_pool_is_a_copy_of_the_first_element_of_its_window() -> None:
    """The window of the number x0 alone has x0 - x0 in its only pair."""
    nodes = [n("MaxPool", ["x"], ["y"], kernel_shape=[2], pads=[1, 0])]
    network = read_network(model(nodes, {"x": (1, 1, 2)}, {}))
    difference = network.nodes[1]
    assert isinstance(difference, Affine)
    ((_, m),) = difference.terms
    assert push(m, np.array([7.0, 3.0])).tolist() == [0.0, 4.0]


def test_clip_and_abs_stack_both_arguments_in_one_relu() -> None:
    limits = {"l": np.array(-2, dtype=np.float32), "h": np.array(3, dtype=np.float32)}
    for node, constants, expected in (
        (n("Clip", ["x", "l", "h"], ["y"]), limits, [7, -2, 2, -7]),
        (n("Abs", ["x"], ["y"]), {}, [5, -4, -5, 4]),
    ):
        network = read_network(model([node], {"x": (2,)}, constants))
        (relu,) = (node for node in network.nodes if isinstance(node, Relu))
        stacked = network.nodes[relu.parent]
        assert isinstance(stacked, Affine)
        ((parent, m),) = stacked.terms
        assert parent == 0
        assert (push(m, np.array([5.0, -4.0])) + stacked.bias).tolist() == expected


def test_an_irrational_factor_is_refused_by_exact_arithmetic_only() -> None:
    constants = {name: np.ones(1, dtype=np.float32) for name in "gbmv"}
    nodes = [n("BatchNormalization", ["x", *"gbmv"], ["y"], epsilon=1.0)]
    network = read_network(model(nodes, {"x": (1, 1)}, constants))
    box = Boxes.of(np.array([[4.0]]), np.array([[4.0]]))
    low = [
        Bounder(network).lower(box, Rows(np.zeros((1, 1)), np.array([[s]]), np.zeros(1))).lower[0, 0]
        for s in (1.0, -1.0)
    ]
    exact = 1 + 3 / Fraction(2) ** Fraction(1, 2)
    assert low[0] < exact < -low[1] < low[0] + 1e-10
    with pytest.raises(CheckError, match="irrational"):
        evaluate(network, [Fraction(4)])
