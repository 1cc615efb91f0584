"""The search and the checker, which share no code, give every ReLU neuron the same place: proofs name neurons by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from relaxations.lowering import lower
from specs.loading.onnx import parse_onnx
from tests.unit.relaxations.graphs import weight
from tests.unit.relaxations.test_lowering_images import ONNX
from tests.unit.specs.loading.onnx_models import model, onnx, single
from verifier.checker.linear import push
from verifier.checker.network import Affine, Relu
from verifier.checker.onnx import read_network

RNG = np.random.default_rng(41)


def checkers_arguments(content: bytes, x: np.ndarray) -> list[np.ndarray]:
    """What the checker's ReLU nodes are applied to at a point, and its output (last)."""
    values: list[np.ndarray] = []
    found = []
    for node in read_network(content).nodes:
        if isinstance(node, Affine):
            values.append(node.bias + sum(push(m, values[parent]) for parent, m in node.terms))
        elif isinstance(node, Relu):
            found.append(values[node.parent])
            values.append(np.maximum(values[node.parent], 0))
        else:
            values.append(x)
    return [*found, values[-1]]


def assert_same_neurons(content: bytes) -> None:
    network = lower(parse_onnx(content))
    for _ in range(3):
        x = RNG.standard_normal(network.input_size)
        seen, output = network.preactivations(x[None])
        expected = checkers_arguments(content, x)
        assert [len(z) for z in expected[:-1]] == list(network.widths[1:])
        for found, value in zip([*seen, output], expected, strict=True):
            np.testing.assert_allclose(found[0], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", ONNX, ids=lambda case: f"{case[0]}-{','.join(case[3])}")
def test_one_operator(case: tuple[Any, ...]) -> None:
    op_type, shape, weights, attributes = case
    assert_same_neurons(single(op_type, shape, weights, 17, **attributes))


def test_many_operators_in_one_network() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        make("LeakyRelu", ["c1"], ["l1"], alpha=0.1),
        make("MaxPool", ["l1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
        make("Abs", ["p1"], ["a1"]),
        make("Conv", ["a1", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        make("Add", ["c2", "p1"], ["r1"]),
        make("Clip", ["r1", "low", "high"], ["r2"]),
        make("Relu", ["r2"], ["r3"]),
        make("AveragePool", ["r3"], ["v"], kernel_shape=[2, 2], strides=[2, 2]),
        make("Flatten", ["v"], ["f"]),
        make("Max", ["c", "d", "f"], ["y"]),
    ]
    weights = {
        "k1": weight(4, 2, 3, 3), "b1": weight(4), "k2": weight(4, 4, 3, 3), "low": np.float32(-1),
        "high": np.float32(2), "c": weight(1, 16), "d": weight(1, 16),
    }  # fmt: skip
    assert_same_neurons(model(nodes, {"x": (onnx.TensorProto.FLOAT, (1, 2, 8, 8))}, ["y"], weights, 17))
