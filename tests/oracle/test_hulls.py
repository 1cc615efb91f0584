"""Verdicts on hulls against the exact restricted optimum of tiny networks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.graph import Graph, ops
from specs.hulls import HullShape, activations, hull_of
from specs.loading.onnx_writer import write_onnx
from tests.oracle import Network, Row, Unit, holds
from tests.unit.specs.compose.modules import random_dense
from verifier.api import certify

pytest.importorskip("highspy")

STEP = Fraction(1, 16)


def exact_network(graph: Graph) -> Network:
    """Two inputs, two hidden layers, one output; its outputs are the network's own and all pre-activations."""
    constants = [np.asarray(node.op.value, dtype=float) for node in graph.nodes if isinstance(node.op, ops.Constant)]
    w1, b1, w2, b2, w3, b3 = constants
    units: list[Unit] = []
    taps: list[int] = []
    read = [0, 1]
    for weight, bias in ((w1, b1), (w2, b2)):
        written = []
        for column, constant in zip(weight.T, bias):
            terms = tuple((v, Fraction(w)) for v, w in zip(read, column) if w)
            taps.append(2 + len(units))
            written.append(3 + len(units))
            units += [Unit(terms, Fraction(constant)), Unit(terms, Fraction(constant), relu=True)]
        read = written
    terms = tuple((v, Fraction(w)) for v, w in zip(read, w3[:, 0]) if w)
    units.append(Unit(terms, Fraction(b3[0])))
    return Network(2, tuple(units), (1 + len(units), *taps))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["box", "octagon", "polytope"])
def test_verdicts_around_the_restricted_optimum(tmp_path: Path, kind: str, seed: int) -> None:
    """Thresholds a little above the exact optimum over the hull are certified, those a little below are violated."""
    rng = np.random.default_rng(100 + seed)
    graph = random_dense(rng, 2, 5, 4, 1)
    data = rng.integers(-4, 5, (6, 2)) / 8
    (tmp_path / "given.onnx").write_bytes(write_onnx(graph))
    np.savez(tmp_path / "train.npz", inputs=data)
    found = activations(graph, data, ["pre1", "pre2"])
    shape = HullShape(kind)  # type: ignore[arg-type]
    hulls = [(1, hull_of(found.values["pre1"], shape)), (6, hull_of(found.values["pre2"], shape))]
    outside = [
        Row((), tuple((start + i, c) for i, c in row.terms), -row.bound) for start, hull in hulls for row in hull.rows
    ]
    net = exact_network(graph)

    def true(threshold: Fraction) -> bool:
        """y <= threshold or outside of the hull, everywhere on the box."""
        return holds(net, [-1, -1], [1, 1], [Row((), ((0, Fraction(-1)),), threshold, strict=False), *outside])

    low = Fraction(max(float(graph.evaluate_flat(x)[0]) for x in data)) - STEP  # an example is inside
    assert not true(low)
    high = low + 64
    while high - low > STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if true(middle) else (middle, high)
    for threshold, verdict in ((high + STEP, "certified"), (low - STEP, "violated")):
        (tmp_path / "spec.yaml").write_text(
            f"""certify: "1.0"
name: restricted
models: {{target: {{path: "$MODEL"}}}}
inputs: {{x: {{shape: [2], box: {{lo: -1, hi: 1}}}}}}
require:
  - id: restricted
    where: {{activation_hull: {{model: target, taps: [pre1, pre2], data: train.npz, kind: {kind}}}}}
    assert: "target(x)[0] <= {float(threshold)!r}"
"""
        )
        report = certify(tmp_path / "given.onnx", tmp_path / "spec.yaml", timeout=40, workers=1)
        assert report.verdict == verdict, (float(low), float(high))
