"""The form the search works on: layers of ReLUs (or signs) joined by linear maps, everything affine composed away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxations.maps.linear import Matrix, largest, namespace, nonzeros, pull, push, rows_of

__all__ = ["Layer", "Matrix", "ReluNetwork", "pull", "push", "rows_of"]


@dataclass(frozen=True)
class Layer:
    """``sum of weight @ source + bias``; source 0 is the input, source j >= 1 the output of layer j.

    The output of a layer are the signs of its values if it is one of signs, else their ReLUs.
    """

    terms: tuple[tuple[int, Matrix], ...]
    bias: np.ndarray
    sign: bool = False

    def apply(self, values: Sequence[Any]) -> Any:
        """The layer's values (N, n) from those of the sources, ``values[source]`` (N, width of the source)."""
        return sum((push(weight, values[source]) for source, weight in self.terms), start=self.bias)

    def pull_into(self, coefs: dict[int, Any], a: Any) -> None:
        """Add coefficients ``a`` (N, n) of the layer's values to those of the sources it reads."""
        for source, weight in self.terms:
            pulled = pull(weight, a)
            coefs[source] = coefs[source] + pulled if source in coefs else pulled

    def astype(self, dtype: Any) -> Layer:
        return Layer(tuple((s, w.astype(dtype)) for s, w in self.terms), self.bias.astype(dtype), self.sign)

    def __abs__(self) -> Layer:
        """The same with the absolute values of its weights."""
        return Layer(tuple((s, abs(w)) for s, w in self.terms), self.bias, self.sign)

    def output(self, z: Any) -> Any:
        """What the layer makes of its values."""
        xp = namespace(z)
        return xp.sign(z) if self.sign else xp.maximum(z, 0)


@dataclass(frozen=True)
class ReluNetwork:
    """Layers 1..L in evaluation order, nearly always of ReLUs, then an affine output layer.

    A search form: composed in floating point, so equal to the graph up to rounding only. Proofs are made from the
    stored weights by the checker, never from this.
    """

    input_size: int
    layers: tuple[Layer, ...]
    output: Layer

    def astype(self, dtype: Any) -> ReluNetwork:
        layers = tuple(layer.astype(dtype) for layer in self.layers)
        return ReluNetwork(self.input_size, layers, self.output.astype(dtype))

    @property
    def density(self) -> float:
        """Share of the stored coefficients that are not zero."""
        weights = [w for layer in (*self.layers, self.output) for _, w in layer.terms]
        return sum(map(nonzeros, weights)) / max(1, sum(w.shape[0] * w.shape[1] for w in weights))

    @property
    def work(self) -> float:
        """Multiply-adds of substituting every neuron backward to the input, about."""
        before = np.cumsum([sum(nonzeros(w) for _, w in layer.terms) for layer in self.layers])
        return float(sum(len(layer.bias) * below for layer, below in zip(self.layers, before)))

    @property
    def largest(self) -> float:
        """The largest stored coefficient."""
        layers = (*self.layers, self.output)
        weights = [largest(w) for layer in layers for _, w in layer.terms]
        return max([*weights, *(float(abs(layer.bias).max(initial=0.0)) for layer in layers)], default=0.0)

    @property
    def signs(self) -> frozenset[int]:
        """The layers, counted from 0, that are signs."""
        return frozenset(k for k, layer in enumerate(self.layers) if layer.sign)

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the sources: the input, then every ReLU layer."""
        return (self.input_size, *(len(layer.bias) for layer in self.layers))

    def preactivations(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Inputs of every ReLU layer and the outputs, for a batch (B, inputs)."""
        values, seen = [x], []
        for layer in self.layers:
            z = layer.apply(values)
            seen.append(z)
            values.append(layer.output(z))
        return seen, self.output.apply(values)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """Outputs (B, outputs) for a batch of inputs (B, inputs)."""
        return self.preactivations(x)[1]
