"""Small ReLU networks trained by least squares in NumPy, the same from the same data and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]

BATCH = 128
RATE = 0.004
DECAY = 1.0  # of weights, in units of the rate: makes them small enough to prove something about
SMALLEST_SCALE = 1e-9


@dataclass(frozen=True)
class Network:
    """Layers of weights (inputs, outputs) and biases in float32, with ReLU between them."""

    layers: Layers

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Answers (n,) for rows (n, d), in float64."""
        value = np.asarray(x, dtype=float)
        for k, (weights, biases) in enumerate(self.layers):
            value = value @ weights.astype(float) + biases.astype(float)
            if k < len(self.layers) - 1:
                value = np.maximum(value, 0)
        return value[:, 0]

    def graph(self) -> Graph:
        """The same function of one vector (1, d)."""
        builder = GraphBuilder()
        value = builder.input("shown", (1, len(self.layers[0][0])))
        for k, (weights, biases) in enumerate(self.layers):
            value = builder.add(ops.MatMul(), value, builder.constant(weights, f"weights_{k}"))
            value = builder.add(ops.Add(), value, builder.constant(biases, f"biases_{k}"))
            if k < len(self.layers) - 1:
                value = builder.add(ops.Relu(), value, stem=f"hidden_{k}")
        return builder.build(("shown",), (value,))


def untrained(arch: Sequence[int], rng: np.random.Generator) -> Network:
    """Random weights of the usual size for ReLU (He et al. 2015, arXiv:1502.01852)."""
    layers = [(rng.normal(size=(a, b)) * np.sqrt(2 / a), np.zeros(b)) for a, b in pairwise(arch)]
    return Network(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers))


def train(arch: Sequence[int], x: np.ndarray, y: np.ndarray, steps: int, rng: np.random.Generator) -> Network:
    """The network after ``steps`` of Adam (Kingma and Ba 2015, arXiv:1412.6980) on the squared error, with decoupled
    decay of weights (Loshchilov and Hutter 2019, arXiv:1711.05101).

    ``x`` (n, d) and ``y`` (n,) are brought to mean 0 and deviation 1 and their map back is part of the weights; the
    rate falls to 0 along a cosine. Elements that are the same in all rows get no weight.
    """
    mean, scale = x.mean(axis=0), x.std(axis=0)
    varies = scale > SMALLEST_SCALE
    scale = np.where(varies, scale, 1.0)
    middle, spread = y.mean(), max(float(y.std()), SMALLEST_SCALE)
    inputs, targets = np.where(varies, (x - mean) / scale, 0.0), (y - middle) / spread
    start = untrained(arch, rng).layers
    values = [part.astype(float) for layer in start for part in layer]
    first, second = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    size = min(BATCH, len(x))
    order = rng.permutation(len(x))
    at = 0
    for step in range(1, steps + 1):
        if at + size > len(x):
            order, at = rng.permutation(len(x)), 0
        rows = order[at : at + size]
        at += size
        slopes = _gradient(values, inputs[rows], targets[rows])
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for k, slope in enumerate(slopes):
            first[k] += 0.1 * (slope - first[k])
            second[k] += 0.001 * (slope**2 - second[k])
            if k % 2 == 0:
                values[k] -= rate * DECAY * values[k]
            values[k] -= rate * (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
    weights = np.where(varies[:, None], values[0] / scale[:, None], 0.0)
    values[1] = values[1] - mean @ weights
    values[0] = weights
    values[-2], values[-1] = values[-2] * spread, values[-1] * spread + middle
    return Network(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in zip(values[::2], values[1::2])))


def _gradient(values: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Of the mean of half the squared error, for weights and biases in turn."""
    seen = [x]
    last = len(values) // 2 - 1
    for k in range(last + 1):
        value = seen[-1] @ values[2 * k] + values[2 * k + 1]
        seen.append(np.maximum(value, 0) if k < last else value)
    back = (seen[-1] - y[:, None]) / len(x)
    slopes: list[np.ndarray] = []
    for k in range(last, -1, -1):
        slopes = [seen[k].T @ back, back.sum(axis=0), *slopes]
        if k:
            back = (back @ values[2 * k].T) * (seen[k] > 0)
    return slopes
