"""A query in terms of bounded symbols: every input and every unstable ReLU's output is ``centre + radius e``.

All pre-activations and rows are affine in the vector ``(1, e)``, with e in [-1, 1]^N: stable ReLUs are substituted, an
unstable one has a symbol of its own, which says nothing yet about its argument. What is known about that, the
multipliers of ``relaxations.multipliers`` bring in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.base import Query
from relaxations.lifted_ball import LiftedBall
from relaxations.multipliers import Multipliers
from relaxations.network import Layer, push


@dataclass(frozen=True)
class Lifting:
    """Affine forms are vectors over (1, e), of length 1 + N.

    Symbols stand for the inputs ``live``, those of positive radius, and then for the unstable neurons, layer by layer,
    ``counts[k]`` of them on layer k. For the latter, m in all, ``z`` (m, 1 + N) are the forms of their pre-activations
    in [-``low``, ``up``], ``symbols`` (m,) where theirs stand in a form. ``rows`` (R, 1 + N) are the query's, and so is
    the ``ball``.
    """

    query: Query
    live: np.ndarray
    counts: tuple[int, ...]
    z: np.ndarray
    low: np.ndarray
    up: np.ndarray
    symbols: np.ndarray
    rows: np.ndarray
    ball: LiftedBall | None = None

    @staticmethod
    def of(query: Query) -> Lifting:
        """The forms, by one walk forward; memory is that of all values times all symbols."""
        live = np.flatnonzero(query.upper > query.lower)
        unstable = [query.unstable(k) for k in range(len(query.ranges))]
        counts = tuple(map(len, unstable))
        size = 1 + len(live) + sum(counts)
        inputs = np.zeros((len(query.lower), size))
        inputs[:, 0] = (query.lower + query.upper) / 2
        inputs[live, 1 + np.arange(len(live))] = (query.upper[live] - query.lower[live]) / 2
        forms, z, at = [inputs], [np.zeros((0, size))], 1 + len(live)
        for layer, (l, u), free in zip(query.network.layers, query.ranges, unstable):
            argument = _through(layer, forms)
            z.append(argument[free])
            output = np.where((l >= 0)[:, None], argument, 0.0)
            output[free] = 0.0
            output[free, 0] = output[free, at + np.arange(len(free))] = u[free] / 2
            at += len(free)
            forms.append(output)
        rows = query.rows.x @ inputs + query.rows.y @ _through(query.network.output, forms)
        rows[:, 0] += query.rows.constant
        none = np.zeros(0)
        low = np.concatenate([none, *(-l[free] for (l, _), free in zip(query.ranges, unstable))])
        up = np.concatenate([none, *(u[free] for (_, u), free in zip(query.ranges, unstable))])
        symbols = 1 + len(live) + np.arange(sum(counts))
        ball = LiftedBall.of(query.ball, query.lower, query.upper, live)
        return Lifting(query, live, counts, np.concatenate(z), low, up, symbols, rows, ball)

    @property
    def size(self) -> int:
        """1 + N."""
        return self.rows.shape[1]

    @property
    def active(self) -> np.ndarray:
        """The forms (m, 1 + N) of a = max(z, 0)."""
        forms = np.zeros((len(self.up), self.size))
        forms[:, 0] = forms[np.arange(len(self.up)), self.symbols] = self.up / 2
        return forms

    @property
    def inactive(self) -> np.ndarray:
        """The forms (m, 1 + N) of b = max(-z, 0), which is a - z."""
        return self.active - self.z

    def vectors(self, x: np.ndarray) -> np.ndarray:
        """The values (B, 1 + N) of (1, e) in the network's own execution at inputs (B, n)."""
        query = self.query
        middle, radius = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
        out = np.ones((len(x), self.size))
        out[:, 1 : 1 + len(self.live)] = (x[:, self.live] - middle[self.live]) / radius[self.live]
        seen, _ = query.network.preactivations(x)
        z = np.concatenate([np.zeros((len(x), 0)), *(v[:, query.unstable(k)] for k, v in enumerate(seen))], axis=1)
        out[:, self.symbols] = 2 * np.maximum(z, 0) / self.up - 1
        return out

    def input_of(self, vector: np.ndarray) -> np.ndarray:
        """The inputs (n,) that the values (1 + N,) of the symbols stand for, moved into the box and the ball."""
        query = self.query
        x = (query.lower + query.upper) / 2
        x[self.live] += vector[1 : 1 + len(self.live)] * (query.upper - query.lower)[self.live] / 2
        return query.moved_inside(x[None])[0]

    def split(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Something of all unstable neurons (m,), layer by layer."""
        return tuple(np.split(values, np.cumsum(self.counts)[:-1])) if self.counts else ()

    def neurons(self) -> Iterator[tuple[int, int]]:
        """Layer and neuron of each unstable one, in order."""
        for k in range(len(self.counts)):
            for neuron in self.query.unstable(k).tolist():
                yield k, neuron

    def linear_form(self, dual: Multipliers) -> np.ndarray:
        """What is left (1 + N,) of the weighted rows when the linear multipliers have been subtracted."""
        positive, above, chord = (np.concatenate([np.zeros(0), *p]) for p in (dual.positive, dual.above, dual.chord))
        form = dual.weights @ self.rows - (positive - chord * self.low) @ self.active
        form -= (above - chord * self.up) @ self.inactive
        form[0] -= (chord * self.up) @ self.low
        return form

    def quadratic_form(self, dual: Multipliers) -> np.ndarray:
        """The symmetric matrix (1 + N, 1 + N) that is left, the squares and the ball's multiple added."""
        assert dual.product is not None
        assert dual.back is not None
        assert dual.squares is not None
        product, back = (np.concatenate([np.zeros(0), *p]) for p in (dual.product, dual.back))
        form, b = self.linear_form(dual) - (back * self.low) @ self.inactive, self.inactive
        half = 0.5 * (back[:, None] * b).T @ b - 0.5 * (product[:, None] * self.active).T @ b
        half[0] += form / 2
        matrix = half + half.T
        matrix[np.diag_indices(self.size)] += self.of_symbols(dual.squares)
        if self.ball is not None:
            self.ball.add_to(matrix, dual.ball * self.ball.share)
        return matrix

    def of_symbols(self, squares: np.ndarray) -> np.ndarray:
        """The squares (1 + n + m,) of a dual, without those of inputs that are fixed."""
        inputs = len(self.query.lower)
        return np.concatenate([squares[:1], squares[1 + self.live], squares[1 + inputs :]])

    def of_inputs(self, squares: np.ndarray) -> np.ndarray:
        """The other way round: 0 for inputs that are fixed."""
        everywhere = np.zeros(len(self.query.lower))
        everywhere[self.live] = squares[1 : 1 + len(self.live)]
        return np.concatenate([squares[:1], everywhere, squares[1 + len(self.live) :]])


def _through(layer: Layer, forms: Sequence[np.ndarray]) -> np.ndarray:
    """The forms of a layer's values from those of its sources."""
    out = sum(push(weight, forms[source].T).T for source, weight in layer.terms)
    assert isinstance(out, np.ndarray)
    out[:, 0] += layer.bias
    return out
