"""A small network with a way around its first hidden layer, as a graph, by hand, and for the exact oracle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder
from tests.oracle import Unit, exact


@dataclass(frozen=True)
class Residual:
    """``h = relu(x A + a)``, ``u = relu(h B + x S + b)``, ``y = u C + c``; weights are multiples of 1/8."""

    A: np.ndarray
    a: np.ndarray
    B: np.ndarray
    S: np.ndarray
    b: np.ndarray
    C: np.ndarray
    c: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, inputs: int, first: int, second: int, outputs: int) -> Residual:
        shapes = [
            (inputs, first), (first,), (first, second), (inputs, second), (second,), (second, outputs), (outputs,)
        ]  # fmt: skip
        return cls(*(rng.integers(-8, 9, shape) / 8 for shape in shapes))

    def graph(self) -> Graph:
        builder = GraphBuilder()
        weights = [builder.constant(part.astype(np.float32)) for part in vars(self).values()]
        A, a, B, S, b, C, c = weights
        x = builder.input("x", (1, len(self.A)))
        h = builder.add(ops.Relu(), self._sum(builder, self._product(builder, x, A), a), stem="h")
        both = self._sum(builder, self._product(builder, h, B), self._product(builder, x, S))
        u = builder.add(ops.Relu(), self._sum(builder, both, b), stem="u")
        return builder.build(("x",), (self._sum(builder, self._product(builder, u, C), c),))

    @staticmethod
    def _product(builder: GraphBuilder, value: str, weight: str) -> str:
        return builder.add(ops.MatMul(), value, weight)

    @staticmethod
    def _sum(builder: GraphBuilder, value: str, other: str) -> str:
        return builder.add(ops.Add(), value, other)

    def hidden(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self.A + self.a, 0)

    def behind(self, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The second hidden layer, with ``h`` in the first one in the run on ``x``."""
        return np.maximum(h @ self.B + x @ self.S + self.b, 0)

    def rest(self, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The outputs, likewise."""
        return self.behind(h, x) @ self.C + self.c

    def units(self, start: int, at: list[int], context: list[int]) -> tuple[list[Unit], list[int], list[int]]:
        """Units from value ``start`` on: of the run on values ``context``, the first layer as in that on ``at``.

        Besides them the numbers of the first layer's values, and of the outputs.
        """
        n, m = len(self.a), len(self.b)
        h = [start + i for i in range(n)]
        u = [start + n + i for i in range(m)]
        y = [start + n + m + i for i in range(len(self.c))]
        units = [self._unit([(at, self.A[:, i])], self.a[i], True) for i in range(n)]
        units += [self._unit([(h, self.B[:, i]), (context, self.S[:, i])], self.b[i], True) for i in range(m)]
        units += [self._unit([(u, self.C[:, i])], self.c[i], False) for i in range(len(self.c))]
        return units, h, y

    @staticmethod
    def _unit(parts: list[tuple[list[int], np.ndarray]], constant: float, relu: bool) -> Unit:
        terms = tuple((v, exact(w)) for values, weights in parts for v, w in zip(values, weights) if w)
        return Unit(terms, Fraction(constant), relu)
