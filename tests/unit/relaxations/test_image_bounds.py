"""Bounds on networks of convolutions, pools and piecewise linear operators contain what the networks compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.interval import interval_bounds
from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from specs.graph import ops
from tests.unit.relaxations.graphs import chain, weight

RNG = np.random.default_rng(47)
ONES, STEP = (1, 1), ops.Conv((1, 1), (1, 1, 1, 1), (1, 1))
POOL = ops.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), ONES)
AVERAGE = ops.AveragePool((3, 3), (2, 2), (1, 1, 0, 0), ONES)
INSIDE: dict[str, list[tuple[Any, ...]]] = {
    "relu": [(ops.Relu(),)],
    "leaky": [(ops.LeakyRelu(0.2),)],
    "absolute": [(ops.Abs(),)],
    "clip": [(ops.Clip(-0.5, 0.5),)],
    "max pool": [(ops.Relu(),), (POOL,)],
    "max pool of a convolution": [(POOL,)],
    "average pool": [(ops.Relu(),), (AVERAGE,)],
}


def image_network(name: str) -> ReluNetwork:
    before = [(STEP, weight(3, 2, 3, 3) / 3, weight(3)), *INSIDE[name], (STEP, weight(3, 3, 3, 3) / 3, weight(3))]
    graph = chain((1, 2, 6, 6), *before, (ops.Relu(),))
    size = int(np.prod(graph.by_name[graph.outputs[0]].shape))
    return lower(
        chain((1, 2, 6, 6), *before, (ops.Relu(),), (ops.Reshape((1, size)),), (ops.MatMul(), weight(size, 4)))
    )


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("refine", [True, False])
def test_bounds_contain_samples_and_are_tight_at_a_point(name: str, dtype: type, refine: bool) -> None:
    network = image_network(name)
    rows = Rows(RNG.standard_normal((3, network.input_size)), RNG.standard_normal((3, 4)), RNG.standard_normal(3))
    middle, radius = RNG.standard_normal((5, network.input_size)), np.array([0.0, 1e-3, 0.05, 0.2, 1.0])[:, None]
    low, up = middle - radius, middle + radius
    bounds = BoxBounder(network.astype(dtype), rows, refine).bounds(low, up)
    points = low + (up - low) * RNG.random((40, 5, network.input_size)).round(1)
    seen, outputs = network.preactivations(points.reshape(200, -1))
    values = points.reshape(200, -1) @ rows.x.T + outputs @ rows.y.T + rows.constant
    slack = 1e-9 if dtype is np.float64 else 2e-3
    form = bounds.at_mid + np.einsum("brx,sbx->sbr", bounds.form, points - middle)
    assert (bounds.lower <= form + slack).all()
    assert (form <= values.reshape(40, 5, 3) + slack).all()
    np.testing.assert_allclose(bounds.lower[0], values.reshape(40, 5, 3)[0, 0], atol=slack)
    for z, (l, u) in zip(seen, bounds.ranges, strict=True):
        assert (l - slack <= z.reshape(40, 5, -1)).all()
        assert (z.reshape(40, 5, -1) <= u + slack).all()


@pytest.mark.parametrize("name", INSIDE)
def test_interval_bounds_contain_samples(name: str) -> None:
    network = image_network(name)
    low = RNG.standard_normal((1, network.input_size))
    up = low + 0.3
    bounds = interval_bounds(network, low, up)
    points = low + (up - low) * RNG.random((200, network.input_size))
    seen, outputs = network.preactivations(points)
    for z, (l, u) in zip([*seen, outputs], bounds, strict=True):
        assert (l - 1e-9 <= z).all()
        assert (z <= u + 1e-9).all()


def test_refined_bounds_are_at_least_as_tight() -> None:
    network = image_network("relu")
    rows = Rows(np.zeros((1, network.input_size)), np.eye(4)[:1], np.zeros(1))
    middle = RNG.standard_normal((2, network.input_size))
    found = [BoxBounder(network, rows, refine).bounds(middle - 0.3, middle + 0.3) for refine in (True, False)]
    (l, u), (looser_l, looser_u) = (bounds.ranges[1] for bounds in found)
    assert (l >= looser_l - 1e-9).all()
    assert (u <= looser_u + 1e-9).all()
    assert (u - l).sum() < 0.99 * (looser_u - looser_l).sum()
