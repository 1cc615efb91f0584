"""Networks made from fixed seeds, so equal everywhere, in the shapes that benchmarks of verification have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import numpy as np

from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder

IMAGE = (3, 32, 32)


class Layers:
    """A network under construction. Weights are float32, normal with the variance of He et al. 2015."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.builder, self.rng = GraphBuilder(), rng
        self.value = self.builder.input("x", (1, *shape))

    def dense(self, width: int) -> None:
        inputs = prod(self.builder.shape(self.value))
        flat = self.builder.add(ops.Reshape((1, inputs)), self.value)
        product = self.builder.add(ops.MatMul(), flat, self._weight((inputs, width), inputs))
        self.value = self.builder.add(ops.Add(), product, self._bias(width))

    def conv(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        before = self.builder.shape(self.value)[1]
        weight = self._weight((channels, before, kernel, kernel), before * kernel * kernel)
        op = ops.Conv((stride, stride), (padding,) * 4, (1, 1))
        self.value = self.builder.add(op, self.value, weight, self._bias(channels))

    def relu(self) -> None:
        self.value = self.builder.add(ops.Relu(), self.value)

    def residual(self, channels: int, stride: int) -> None:
        """Two 3x3 convolutions beside a 1x1 convolution; their sum, through a ReLU."""
        entry = self.value
        self.conv(channels, 3, stride, 1)
        self.relu()
        self.conv(channels, 3, 1, 1)
        main, self.value = self.value, entry
        self.conv(channels, 1, stride, 0)
        self.value = self.builder.add(ops.Add(), main, self.value)
        self.relu()

    def perceptron(self, *widths: int) -> None:
        """Dense layers with ReLUs between them."""
        for width in widths[:-1]:
            self.dense(width)
            self.relu()
        self.dense(widths[-1])

    def graph(self) -> Graph:
        return self.builder.build(("x",), (self.value,))

    def _weight(self, shape: tuple[int, ...], inputs: int) -> str:
        value = self.rng.standard_normal(shape) * (2 / inputs) ** 0.5
        return self.builder.constant(value.astype(np.float32), "weight")

    def _bias(self, size: int) -> str:
        return self.builder.constant((0.1 * self.rng.standard_normal(size)).astype(np.float32), "bias")


def perceptron(inputs: int, widths: Sequence[int], seed: int) -> Graph:
    layers = Layers((inputs,), np.random.default_rng(seed))
    layers.perceptron(*widths)
    return layers.graph()


def convolutional(seed: int) -> Graph:
    """Two 4x4 convolutions of stride 2 and padding 1 with 16 and 32 channels, then 100 and 10."""
    layers = Layers(IMAGE, np.random.default_rng(seed))
    for channels in (16, 32):
        layers.conv(channels, 4, 2, 1)
        layers.relu()
    layers.perceptron(100, 10)
    return layers.graph()


def residual(seed: int) -> Graph:
    """A 3x3 convolution of stride 2 with 8 channels, two residual blocks of stride 2 with 16, then 100 and 10."""
    layers = Layers(IMAGE, np.random.default_rng(seed))
    layers.conv(8, 3, 2, 1)
    layers.relu()
    layers.residual(16, 2)
    layers.residual(16, 2)
    layers.perceptron(100, 10)
    return layers.graph()


NETWORKS: dict[str, Callable[[], Graph]] = {
    "dense-5-50x6": partial(perceptron, 5, (*(50,) * 6, 5), seed=1),
    "dense-784-256x4": partial(perceptron, 784, (*(256,) * 4, 10), seed=2),
    "conv": partial(convolutional, seed=3),
    "residual": partial(residual, seed=4),
}
