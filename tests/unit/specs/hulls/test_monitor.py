"""Monitors against the hulls they are made of."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from specs.compose import internal_tensor
from specs.hulls import Hull, HullRow, HullShape, activations, hull_of
from specs.hulls.monitor import monitor_graph
from specs.loading.onnx_writer import write_onnx
from tests.unit.specs.compose.modules import random_dense

SHAPES = [HullShape("box"), HullShape("octagon"), HullShape("polytope"), HullShape("box", 3, Fraction(1, 8))]


def question(shape: HullShape) -> tuple:
    """A network whose activations float32 computes exactly, hulls of two of its layers, and inputs near the data."""
    rng = np.random.default_rng(3)
    graph = random_dense(rng, 3, 6, 5, 2)
    data = rng.integers(-4, 5, (40, 3)) / 4
    taps = ["pre1", "relu2"]
    found = activations(graph, data, taps)
    hulls = {internal_tensor(graph, tap): hull_of(found.values[tap], shape) for tap in taps}
    probes = np.concatenate([data, rng.integers(-8, 9, (200, 3)) / 4])
    return graph, taps, hulls, probes


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_accepts_exactly_the_hull(shape: HullShape) -> None:
    graph, taps, hulls, probes = question(shape)
    monitor = monitor_graph(graph, hulls)
    seen = activations(graph, probes, taps)
    accepted = 0
    for k, x in enumerate(probes):
        y, (excess,), (accept,) = monitor.evaluate(x)
        rows = [
            row.value([Fraction(v) for v in seen.values[tap][k]]) - row.bound
            for tap, hull in zip(taps, hulls.values())
            for row in hull.rows
        ]
        assert float(excess) == pytest.approx(float(max(rows)), abs=1e-12)
        assert bool(accept) == (max(rows) <= 0)
        assert np.array_equal(y.reshape(-1), graph.evaluate_flat(x))
        accepted += bool(accept)
    assert 0 < accepted < len(probes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_runtime_decides_as_rationals_do(shape: HullShape) -> None:
    """Activations are multiples of 1/1024 here, so that float32 rounds nothing but long rows."""
    ort = pytest.importorskip("onnxruntime")
    graph, taps, hulls, probes = question(shape)
    session = ort.InferenceSession(write_onnx(monitor_graph(graph, hulls)), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()][1:] == ["excess", "accept"]
    seen = activations(graph, probes, taps)
    for k, x in enumerate(probes):
        _, excess, accept = session.run(None, {"x": x[None].astype(np.float32)})
        inside = all(hull.contains(seen.values[tap][k].tolist()) for tap, hull in zip(taps, hulls.values()))
        assert bool(accept[0]) == (float(excess[0]) <= 0)
        if shape.kind == "box" or abs(float(excess[0])) > 1e-5:
            assert bool(accept[0]) == inside


def test_its_numbers_are_those_of_the_hull() -> None:
    onnx = pytest.importorskip("onnx")
    graph, _, hulls, _ = question(HullShape("box"))
    model = onnx.load_from_string(write_onnx(monitor_graph(graph, hulls)))
    stored = {
        Fraction(float(v))
        for one in model.graph.initializer
        if one.name.startswith("bounds")
        for v in onnx.numpy_helper.to_array(one)
    }
    assert stored == {row.bound for hull in hulls.values() for row in hull.rows}


def test_numbers_that_float32_does_not_hold_are_refused() -> None:
    graph = random_dense(np.random.default_rng(4), 1, 1, 1)
    hull = Hull("box", 1, (HullRow(((0, Fraction(1)),), Fraction(1, 3), 1),), 1)
    with pytest.raises(ValueError, match="float32"):
        monitor_graph(graph, {internal_tensor(graph, "pre1"): hull})
