"""Convolutions and pooling with random geometry, against onnxruntime.

Numbers are small integers wherever nothing is divided, so that both sides are exact; the checker's float64 maps, their
transposes and the rational ones have to agree with it, and so do the elements of every average.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto
from onnx.helper import make_node

from tests.checker.models import forward, model, run
from verifier.checker.errors import CheckError
from verifier.checker.exact import evaluate
from verifier.checker.linear import pull, push
from verifier.checker.network import Affine, Network
from verifier.checker.onnx import read_network
from verifier.checker.rational import Exact
from verifier.checker.rational_maps import exact_map

pytestmark = pytest.mark.peer
Floats = NDArray[np.float32]
Case = tuple[NodeProto, tuple[int, ...], dict[str, Floats]]
SEEDS = range(120)
AUTOMATIC = ("SAME_UPPER", "SAME_LOWER", "VALID")


def some(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.integers(-3, 4, shape).astype(np.float32)


def drawn(rng: np.random.Generator, rank: int, largest: int) -> list[int]:
    return rng.integers(1, largest + 1, rank).tolist()


def convolution(rng: np.random.Generator) -> Case:
    """One, two or three axes; groups, dilations, uneven or automatic padding, with and without bias and batch."""
    rank = int(rng.choice([1, 2, 2, 2, 3]))
    groups, inner, outer, batch = (int(rng.integers(1, 4)) for _ in range(4))
    taps, strides, sizes = drawn(rng, rank, 3), drawn(rng, rank, 3), rng.integers(5, 8, rank).tolist()
    attributes: dict[str, object] = {"strides": strides, "group": groups, "kernel_shape": taps}
    if rng.random() < 0.3:
        attributes["auto_pad"] = str(rng.choice(AUTOMATIC))
    else:
        attributes["pads"], attributes["dilations"] = rng.integers(0, 3, 2 * rank).tolist(), drawn(rng, rank, 2)
    constants = {"w": some(rng, groups * outer, inner, *taps)}
    if rng.random() < 0.6:
        constants["b"] = some(rng, groups * outer)
    return (
        make_node("Conv", ["x", *constants], ["y"], **attributes),
        (min(batch, 2), groups * inner, *sizes),
        constants,
    )


def transposed(rng: np.random.Generator) -> Case:
    rank = int(rng.choice([1, 2, 2, 2]))
    groups, inner, outer, batch = (int(rng.integers(1, 4)) for _ in range(4))
    taps, strides, dilations = drawn(rng, rank, 3), drawn(rng, rank, 3), drawn(rng, rank, 2)
    extra = [int(rng.integers(0, stride)) for stride in strides]
    attributes: dict[str, object] = {"strides": strides, "group": groups, "dilations": dilations}
    attributes["pads"] = [int(rng.integers(0, d * (t - 1) + 1)) for t, d in zip(taps * 2, dilations * 2, strict=True)]
    if rng.random() < 0.5:
        attributes["output_padding"] = extra
    constants = {"w": some(rng, groups * inner, outer, *taps)}
    if rng.random() < 0.6:
        constants["b"] = some(rng, groups * outer)
    return (
        make_node("ConvTranspose", ["x", *constants], ["y"], **attributes),
        (min(batch, 2), groups * inner, *rng.integers(4, 7, rank).tolist()),
        constants,
    )


def pool(rng: np.random.Generator, operator: str) -> Case:
    rank = int(rng.choice([1, 2, 2, 2, 3]))
    taps, strides, sizes = drawn(rng, rank, 4), drawn(rng, rank, 3), rng.integers(7, 10, rank).tolist()
    within = all(stride <= t for stride, t in zip(strides, taps, strict=True))  # else the runtime does not pad
    attributes: dict[str, object] = {"strides": strides, "kernel_shape": taps}
    if within and rng.random() < 0.4:
        attributes["auto_pad"] = str(rng.choice(AUTOMATIC))
    else:
        attributes["pads"] = [int(rng.integers(0, t)) for t in taps * 2]
        attributes["ceil_mode"] = int(rng.integers(2))
        if operator == "MaxPool" and rng.random() < 0.3:
            attributes["dilations"] = [int(rng.integers(1, 3)) for _ in taps]
    if operator == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(2))
    return make_node(operator, ["x"], ["y"], **attributes), (int(rng.integers(1, 3)), 2, *sizes), {}


def max_pool(rng: np.random.Generator) -> Case:
    return pool(rng, "MaxPool")


def average_pool(rng: np.random.Generator) -> Case:
    return pool(rng, "AveragePool")


@pytest.mark.parametrize("make", [convolution, transposed, max_pool, average_pool], ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_geometry(make: Callable[[np.random.Generator], Case], seed: int) -> None:
    rng = np.random.default_rng(seed)
    node, shape, constants = make(rng)
    data = model([node], {"x": shape}, constants, 13)
    network = read_network(data)
    x = rng.integers(-9, 10, shape).astype(np.float32)
    expected = run(data, {"x": x})
    flat = x.reshape(-1).astype(np.float64)
    exact = np.array([float(y) for y in evaluate(network, [Fraction(v) for v in flat.tolist()])])
    tolerance = 1e-5 if make is average_pool else 0.0
    assert exact.shape == expected.shape
    assert np.abs(exact - expected).max() <= tolerance, node
    assert np.abs(forward(network, flat) - exact).max() <= 1e-12
    assert_transposes_agree(network, rng)


def test_changed_geometry_is_refused_or_means_what_the_runtime_computes() -> None:
    """One number of one attribute changed; runtimes refuse some of it too."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

    agreed = refused = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        node, shape, constants = (convolution, transposed, max_pool)[seed % 3](rng)
        lists = [attribute for attribute in node.attribute if attribute.ints]
        changed = lists[rng.integers(len(lists))].ints
        changed[rng.integers(len(changed))] += int(rng.choice([-1, 1, 2, 2**40]))
        data = model([node], {"x": shape}, constants, 13)
        try:
            network = read_network(data)
        except CheckError:
            refused += 1
            continue
        x = rng.integers(-9, 10, shape).astype(np.float32)
        try:
            expected = run(data, {"x": x})
        except (Fail, InvalidArgument, RuntimeException):
            continue
        assert np.array_equal(forward(network, x.reshape(-1).astype(np.float64)), expected), node
        agreed += 1
    assert agreed > 50
    assert refused > 50


def assert_transposes_agree(network: Network, rng: np.random.Generator) -> None:
    """In every map ``a . (M v) = (a M) . v``, in float64 and in rationals, on integers that both hold exactly."""
    for k, node in enumerate(network.nodes):
        for parent, m in node.terms if isinstance(node, Affine) else ():
            height, width = network.sizes[k], network.sizes[parent]
            v, a = rng.integers(-9, 10, (3, width)) * 1.0, rng.integers(-9, 10, (2, height)) * 1.0
            pushed, pulled = push(m, v), pull(m, a, width)
            assert np.allclose(a @ pushed.T, pulled @ v.T, rtol=1e-12, atol=1e-9)
            exact = exact_map(m, height, width)
            for found, rational in (
                (pushed, exact.push(Exact.of_floats(v))),
                (pulled, exact.pull(Exact.of_floats(a))),
            ):
                assert np.allclose(found, np.array(rational.numerators / rational.denominator, dtype=float), atol=1e-12)
