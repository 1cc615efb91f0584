"""Seeded random networks of piecewise linear operators with a box and rows, and their best triangle actions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from specs.graph import Graph, Op, ops
from specs.loading.graph_builder import GraphBuilder
from tests.triangle_program import solve_triangle

OTHERS: tuple[Op, ...] = (ops.LeakyRelu(0.125), ops.Abs(), ops.Clip(-0.5, 0.75), ops.Clip(0.0), ops.Clip(max=0.5))


@dataclass(frozen=True)
class Drawn:
    graph: Graph
    query: Query
    value: float
    action: Point
    data: np.ndarray


@lru_cache
def drawn(seed: int) -> Drawn:
    """Every third network has other operators than ReLU, every fifth a connection around a layer."""
    rng = np.random.default_rng(seed)
    inputs, outputs, rows = int(rng.integers(2, 6)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    builder = GraphBuilder()
    value = builder.input("x", (1, inputs))
    size, single = inputs, lambda *shape: rng.normal(size=shape).astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        width = size if seed % 5 == 0 else int(rng.integers(4, 13))
        weight = (single(size, width) / np.sqrt(size)).astype(np.float32)
        z = builder.add(ops.MatMul(), value, builder.constant(weight))
        z = builder.add(ops.Add(), z, builder.constant(0.3 * single(width)))
        op = OTHERS[int(rng.integers(len(OTHERS)))] if seed % 3 == 0 else ops.Relu()
        a = builder.add(op, z)
        if seed % 6 == 0:
            a = builder.add(ops.Max(), a, z, builder.constant(single(1, width)))
        value, size = builder.add(ops.Add(), a, value) if seed % 5 == 0 else a, width
    value = builder.add(ops.MatMul(), value, builder.constant(single(size, outputs)))
    graph = builder.build(("x",), (value,))
    middle = rng.normal(size=inputs)
    low, up = middle - rng.uniform(0.2, 1, inputs), middle + rng.uniform(0.2, 1, inputs)
    asked = Rows(np.zeros((rows, inputs)), rng.normal(size=(rows, outputs)), rng.normal(size=rows))
    query = Query.over_box(lower(graph), asked, low, up)
    best, action = solve_triangle(query)
    return Drawn(graph, query, best, action, rng.uniform(low, up, (30, inputs)))
