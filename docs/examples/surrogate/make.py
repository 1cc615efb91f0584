"""Makes target.onnx: a 10-12-4 network that plans four moves from ten readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx


def make(path: Path) -> None:
    """Weights are multiples of 1/64, so that float32 holds them exactly."""
    rng = np.random.default_rng(14)
    first, second = rng.integers(-20, 21, (10, 12)) / 64, rng.integers(-20, 21, (12, 4)) / 64
    builder = GraphBuilder()
    value = builder.input("x", (1, 10))
    value = builder.add(ops.MatMul(), value, builder.constant(first.astype(np.float32)))
    value = builder.add(ops.Relu(), value, stem="hidden")
    value = builder.add(ops.MatMul(), value, builder.constant(second.astype(np.float32)))
    path.write_bytes(write_onnx(builder.build(("x",), (value,))))


if __name__ == "__main__":
    make(Path(__file__).with_name("target.onnx"))
