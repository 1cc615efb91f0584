"""Random networks of each kind that a peer is handed, and random questions about them."""

from __future__ import annotations

import numpy as np

from relaxations.bounds.boxes import Rows
from specs.graph import Graph, Op, ops
from specs.loading.graph_builder import GraphBuilder


class Drawn(GraphBuilder):
    """Adds layers with random weights to the last value."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.last = self.input("x", shape)

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.rng.normal(size=shape) * scale).astype(np.float32))

    def then(self, op: Op, *others: str) -> str:
        self.last = self.add(op, self.last, *others)
        return self.last

    def linear(self, width: int) -> str:
        width_before = self.shape(self.last)[1]
        self.then(ops.MatMul(), self.weight(width_before, width, scale=width_before**-0.5))
        return self.then(ops.Add(), self.weight(width))

    def convolution(self, out: int, stride: int, pads: tuple[int, ...] = (1, 1, 1, 1), group: int = 1) -> str:
        channels = self.shape(self.last)[1] // group
        weight = self.weight(out, channels, 3, 3, scale=(9 * channels) ** -0.5)
        return self.then(ops.Conv((stride, stride), pads, (1, 1), group), weight, self.weight(out))

    def flat(self) -> str:
        return self.then(ops.Reshape((1, int(np.prod(self.shape(self.last))))))

    def graph(self) -> Graph:
        return self.build(("x",), (self.last,))


def dense(seed: int, activation: Op, widths: tuple[int, ...] = (7, 6), inputs: int = 4) -> Graph:
    drawn = Drawn(seed, (1, inputs))
    for width in widths:
        drawn.linear(width)
        drawn.then(activation)
    drawn.linear(3)
    return drawn.graph()


def convolutional(seed: int) -> Graph:
    drawn = Drawn(seed, (1, 1, 6, 6))
    drawn.convolution(3, 1)
    drawn.then(ops.Relu())
    drawn.convolution(4, 2, (0, 0, 0, 0))
    drawn.then(ops.Relu())
    drawn.flat()
    drawn.linear(3)
    return drawn.graph()


def residual(seed: int) -> Graph:
    drawn = Drawn(seed, (1, 4))
    drawn.linear(6)
    skipped = drawn.then(ops.Relu())
    drawn.linear(6)
    drawn.then(ops.Relu())
    drawn.linear(6)
    drawn.then(ops.Add(), skipped)
    drawn.then(ops.Relu())
    drawn.linear(3)
    return drawn.graph()


def residual_images(seed: int) -> Graph:
    drawn = Drawn(seed, (1, 2, 4, 4))
    drawn.convolution(3, 1)
    skipped = drawn.then(ops.Relu())
    drawn.convolution(3, 1)
    drawn.then(ops.Relu())
    drawn.convolution(3, 1)
    drawn.then(ops.Add(), skipped)
    drawn.then(ops.Relu())
    drawn.flat()
    drawn.linear(3)
    return drawn.graph()


PIECEWISE = {
    "dense": lambda seed: dense(seed, ops.Relu()),
    "convolutional": convolutional,
    "residual": residual,
    "residual images": residual_images,
}
"""Networks of ReLUs by name: functions of a seed."""


def question(graph: Graph, seed: int, radius: float = 0.2) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Two rows over the outputs, with odd seeds over the inputs too, and a box."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, graph.input_size)) * (seed % 2)
    middle = rng.normal(size=graph.input_size)
    return Rows(x, rng.normal(size=(2, graph.output_size)), rng.normal(size=2)), middle - radius, middle + radius
