"""Cases of many rows, of which no one is positive everywhere but a few together are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from specs.loading.onnx_writer import write_onnx
from tests.unit.specs.compose.modules import dense
from verifier.api import certify


@pytest.mark.parametrize(("low", "verdict"), [(0.4, "certified"), (0.7, "violated")])
def test_rows_are_weighed_against_each_other(tmp_path: Path, low: float, verdict: str) -> None:
    """y = x0 + x1: y <= low, y >= 0.6 and 16 conditions that are always true have a solution where low is above 0.6."""
    pytest.importorskip("highspy")
    graph = dense((np.array([[1, -1], [1, -1]]), [0, 0]), ([[1], [-1]], [0]))
    (tmp_path / "sum.onnx").write_bytes(write_onnx(graph))
    lines = [f"(declare-const X_{i} Real)" for i in range(2)] + ["(declare-const Y_0 Real)"]
    lines += [f"(assert (>= X_{i} -1))\n(assert (<= X_{i} 1))" for i in range(2)]
    lines += [f"(assert (<= Y_0 {low}))", "(assert (>= Y_0 0.6))"]
    lines += [f"(assert (>= Y_0 {-3 - k}))" for k in range(16)]
    (tmp_path / "q.vnnlib").write_text("\n".join(lines))
    report = certify(tmp_path / "sum.onnx", tmp_path / "q.vnnlib", timeout=30, workers=1)
    assert report.verdict == verdict
    if verdict == "certified":
        assert report.requirements[0].outcome.stats["nodes"] == 1, json.dumps(report.to_json())
