"""The form the search works on: ReLU layers joined by dense or sparse matrices, everything affine composed away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Matrix = Any  # a NumPy array, or a scipy.sparse matrix where a weight is large and mostly zero


@dataclass(frozen=True)
class Layer:
    """``sum of weight @ source + bias``; source 0 is the input, source j >= 1 the output of ReLU layer j."""

    terms: tuple[tuple[int, Matrix], ...]
    bias: np.ndarray


@dataclass(frozen=True)
class ReluNetwork:
    """ReLU layers 1..L in evaluation order, then an affine output layer.

    A search form: composed in floating point, so equal to the graph up to rounding only. Proofs are made from the
    stored weights by the checker, never from this.
    """

    input_size: int
    layers: tuple[Layer, ...]
    output: Layer

    def astype(self, dtype: Any) -> ReluNetwork:
        def convert(layer: Layer) -> Layer:
            return Layer(tuple((s, w.astype(dtype)) for s, w in layer.terms), layer.bias.astype(dtype))

        return ReluNetwork(self.input_size, tuple(map(convert, self.layers)), convert(self.output))

    @property
    def density(self) -> float:
        """Share of the stored coefficients that are not zero."""
        weights = [w for layer in (*self.layers, self.output) for _, w in layer.terms]
        nonzero = sum(np.count_nonzero(w) if isinstance(w, np.ndarray) else w.nnz for w in weights)
        return nonzero / max(1, sum(w.shape[0] * w.shape[1] for w in weights))

    @property
    def largest(self) -> float:
        """The largest stored coefficient."""
        parts = [part for layer in (*self.layers, self.output) for part in (*(w for _, w in layer.terms), layer.bias)]
        return max((float(abs(part).max()) for part in parts if part.shape[0]), default=0.0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the sources: the input, then every ReLU layer."""
        return (self.input_size, *(len(layer.bias) for layer in self.layers))

    def preactivations(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Inputs of every ReLU layer and the outputs, for a batch (B, inputs)."""
        values, seen = [x], []
        for layer in self.layers:
            z = _apply(layer, values)
            seen.append(z)
            values.append(np.maximum(z, 0))
        return seen, _apply(self.output, values)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """Outputs (B, outputs) for a batch of inputs (B, inputs)."""
        return self.preactivations(x)[1]


def push(weight: Matrix, value: np.ndarray) -> np.ndarray:
    """``weight @ v`` along the last axis of ``value``: (..., in) to (..., out)."""
    flat = value.reshape(-1, value.shape[-1])
    return np.asarray((weight @ flat.T).T if not isinstance(weight, np.ndarray) else flat @ weight.T).reshape(
        *value.shape[:-1], weight.shape[0]
    )


def pull(weight: Matrix, coefs: np.ndarray) -> np.ndarray:
    """``a @ weight`` for rows of coefficients (N, out) to (N, in)."""
    return coefs @ weight if isinstance(weight, np.ndarray) else np.asarray((weight.T @ coefs.T).T)


def _apply(layer: Layer, values: list[np.ndarray]) -> np.ndarray:
    return sum((push(weight, values[source]) for source, weight in layer.terms), start=layer.bias)
