"""Makes target.onnx: a 10-16-2 network whose first output is close to the mean of the positive parts of its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx


def make(path: Path) -> None:
    """Weights are multiples of 1/64: ten units that are the positive parts, six that disturb."""
    rng = np.random.default_rng(10)
    first = np.concatenate([np.eye(10), rng.integers(-16, 17, (10, 6)) / 64], axis=1)
    second = np.concatenate([np.full((10, 2), 6 / 64), rng.integers(-8, 9, (6, 2)) / 64])
    builder = GraphBuilder()
    value = builder.input("x", (1, 10))
    value = builder.add(ops.MatMul(), value, builder.constant(first.astype(np.float32)))
    value = builder.add(ops.Relu(), value, stem="hidden")
    value = builder.add(ops.MatMul(), value, builder.constant(second.astype(np.float32)))
    path.write_bytes(write_onnx(builder.build(("x",), (value,))))


if __name__ == "__main__":
    make(Path(__file__).with_name("target.onnx"))
