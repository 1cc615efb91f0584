"""A network with a planted fault: right almost everywhere, and so wrong in one corner that no sampling ever sees it.

A unit of the first hidden layer, the gate, is ``relu(s . x - (max - 1/2))`` for signs s and the largest value ``max``
of s . x on the unit cube, so it is active on a simplex of volume (1/2)^d / d! at one corner. A unit of the second one
relays it, and from there 200 times its value is added to one logit and taken from the other. At the corner itself the
difference of the logits is 200 more than without it; the property is that it stays below 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder

THRESHOLD = 100.0
STRENGTH = 200.0
MEAN, LARGEST = 30.0, 42.0  # of the difference of the logits on the training data
SAMPLES = 4000
LIFT = 1.5  # of the biases: units are mostly active, as in a network that has learnt something smooth


@dataclass(frozen=True)
class Planted:
    """Weights (in, out) and biases of three layers, the training data (N, d), and the corner (d,) of the gate."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    data: np.ndarray
    corner: np.ndarray

    @property
    def graph(self) -> Graph:
        builder = GraphBuilder()
        value = builder.input("x", (1, len(self.corner)))
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            if number:
                value = builder.add(ops.Relu(), value)
            value = builder.add(ops.MatMul(), value, builder.constant(weight))
            value = builder.add(ops.Add(), value, builder.constant(bias))
        return builder.build(("x",), (value,))

    @property
    def query(self) -> Query:
        """Is the difference of the logits below the threshold on the whole cube?"""
        d = len(self.corner)
        rows = Rows(np.zeros((1, d)), np.array([[-1.0, 1.0]]), np.array([THRESHOLD]))
        return Query.over_box(lower(self.graph), rows, np.zeros(d), np.ones(d))

    def difference(self, x: np.ndarray) -> np.ndarray:
        """Of the logits (N,) at inputs (N, d), computed from the weights in their own precision."""
        value = x.astype(np.float32)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            value = (np.maximum(value, 0) if number else value) @ weight + bias
        return value[:, 0] - value[:, 1]


def planted(seed: int = 0, inputs: int = 20, width: int = 64, gate: bool = True) -> Planted:
    """A random network of this seed with the gate in it, or the same one without."""
    rng = np.random.default_rng(seed)
    sizes = [inputs, width, width, 2]
    weights = [rng.normal(size=(m, n)) / np.sqrt(m) for m, n in pairwise(sizes)]
    biases = [LIFT + 0.1 * rng.normal(size=n) for n in sizes[1:]]
    signs = rng.choice([-1.0, 1.0], inputs)
    data = rng.uniform(size=(SAMPLES, inputs))
    weights[0][:, 0], biases[0][0] = 0, 0
    weights[1][:, 0], weights[1][0, :], biases[1][0] = 0, 0, 0
    weights[2][0, :] = 0
    plain = _exact(weights, biases, data, signs)
    seen = plain.difference(data)
    factor = (LARGEST - MEAN) / float(seen.max() - seen.mean())
    weights[2], biases[2] = weights[2] * factor, biases[2] * factor + [MEAN - factor * float(seen.mean()), 0.0]
    if gate:
        weights[0][:, 0], biases[0][0] = signs, 0.5 - np.maximum(signs, 0).sum()
        weights[1][0, 0] = 1
        weights[2][0] = STRENGTH, -STRENGTH
    return _exact(weights, biases, data, signs)


def _exact(weights: list[np.ndarray], biases: list[np.ndarray], data: np.ndarray, signs: np.ndarray) -> Planted:
    stored = (tuple(part.astype(np.float32) for part in parts) for parts in (weights, biases))
    return Planted(*stored, data, np.maximum(signs, 0))
