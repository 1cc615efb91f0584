"""Ascents to be run: small networks, and batches of rows with random weights, frames and splits. Imports no JAX."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from relaxations.bounds.dual import Duals, Frame, Lines, evaluate, lines
from relaxations.lowering import lower
from relaxations.network import Layer, ReluNetwork
from specs.graph import ops
from tests.unit.relaxations.graphs import chain, weight

Question = tuple[ReluNetwork, Layer, Frame, Lines, Duals]


def dense_network() -> ReluNetwork:
    sizes = (6, 12, 9, 10)
    layers = [Layer(((k, weight(b, a) / a**0.5),), weight(b)) for k, (a, b) in enumerate(pairwise(sizes))]
    skip = Layer((*layers[2].terms, (1, weight(10, 12) / 5)), layers[2].bias)
    return ReluNetwork(6, (layers[0], layers[1], skip), Layer(((3, weight(4, 10)),), weight(4))).astype(np.float32)


def image_network() -> ReluNetwork:
    steps = [
        (ops.Conv((2, 2), (1, 1, 1, 1), (1, 1)), weight(3, 2, 3, 3) / 3, weight(3)),
        (ops.Relu(),),
        (ops.Conv((1, 1), (0, 0, 0, 0), (1, 1)), weight(4, 3, 2, 2) / 2, weight(4)),
        (ops.Relu(),),
        (ops.Reshape((1, 36)),),
        (ops.MatMul(), weight(36, 5) / 4),
    ]
    return lower(chain((1, 2, 8, 8), *steps)).astype(np.float32)


def question(network: ReluNetwork, rows: int, split: tuple[int, ...], depth: int, seed: int = 3) -> Question:
    """Rows of random weights on layer ``depth`` (the output when there are no more), a neuron split per row."""
    rng = np.random.default_rng(seed)
    mid = rng.random(network.input_size).astype(np.float32)
    seen, _ = network.preactivations(mid[None])
    half = [np.abs(rng.standard_normal((rows, z.shape[1]))).astype(np.float32) for z in seen[:depth]]
    lower, upper = tuple(z - h for z, h in zip(seen, half)), tuple(z + h for z, h in zip(seen, half))
    frame = Frame(mid, np.full(network.input_size, 0.1, np.float32), lower, upper)
    phases: list[np.ndarray | None] = [None] * depth
    for k in split:
        signs = np.zeros(half[k].shape, np.int8)
        signs[np.arange(rows), rng.integers(signs.shape[1], size=rows)] = rng.choice([-1, 1], rows)
        phases[k] = signs
    target = network.output if depth == len(network.layers) else network.layers[depth]
    weights = rng.random((rows, len(target.bias))).astype(np.float32)
    slopes = tuple((u > -l).astype(np.float32) for l, u in zip(lower, upper))
    multipliers = tuple(None if p is None else np.zeros(p.shape, np.float32) for p in phases)
    duals = Duals(slopes, multipliers, weights / weights.sum(axis=1, keepdims=True))
    return network, target, frame, lines(frame, tuple(phases), np), duals


def bounds(asked: Question, duals: Duals) -> np.ndarray:
    """What duals prove, in float64; multipliers that a program has added have to be 0."""
    network, target, frame, drawn, _ = asked
    for found, phase in zip(duals.multipliers, drawn.phase):
        assert found is None or phase is not None or not found.any()
    kept = tuple(None if p is None else m for p, m in zip(drawn.phase, duals.multipliers))
    return evaluate(network, target, frame, drawn, duals._replace(multipliers=kept), np).bound
