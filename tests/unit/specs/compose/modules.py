"""Small networks of given or random weights, to be composed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

Layer = tuple[Sequence[Sequence[float]] | np.ndarray, Sequence[float] | np.ndarray]


def dense(*layers: Layer) -> Graph:
    """Fully connected float32 layers (weights of shape (in, out), bias) with ReLU between them."""
    builder = GraphBuilder()
    value = builder.input("x", (1, len(layers[0][0])))
    for number, (weight, bias) in enumerate(layers):
        if number:
            value = builder.add(ops.Relu(), value, stem=f"hidden{number}")
        value = builder.add(ops.MatMul(), value, builder.constant(np.array(weight, dtype=np.float32)))
        value = builder.add(ops.Add(), value, builder.constant(np.array(bias, dtype=np.float32)))
    return builder.build(("x",), (value,))


def random_dense(rng: np.random.Generator, *sizes: int) -> Graph:
    """Layers of these sizes with weights that are multiples of 1/16, so that float64 computes them exactly."""
    shapes = list(pairwise(sizes))
    return dense(*((rng.integers(-16, 17, (n, m)) / 16, rng.integers(-16, 17, m) / 16) for n, m in shapes))


def write(path: Path, graph: Graph) -> Path:
    path.write_bytes(write_onnx(graph))
    return path
