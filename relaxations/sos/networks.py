"""A ReLU network on a box as a polynomial problem, its stored weights read as exact rationals.

Variables are the inputs and, for every neuron that may be active or not, its output ``a``; all others are affine in
these. With ``l <= z <= u`` for its pre-activation z,

    0 <= a <= u,   a - z >= 0,   a (a - z) = 0,   chord  u (z - l) - (u - l) a >= 0,   (a - z) (-l - (a - z)) >= 0.

The first three say that ``a = max(z, 0)``; the others are implied, and are worth stating at low orders. A ball of the
query is one more condition, ``1 - sum ((x_i - c_i) / r_i)^2 >= 0``, which joins all inputs in one clique.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relaxations.base import Query
from relaxations.bounds.balls import Ball
from relaxations.network import Layer, rows_of
from relaxations.sos.lasserre import Bounded
from specs.polynomial import Polynomial


@dataclass(frozen=True)
class NetworkProblem:
    """``bounded``: minimise the largest row. ``units`` are the (layer, neuron) of the variables after the inputs.

    ``arguments`` are these neurons' pre-activations as affine polynomials.
    """

    bounded: Bounded
    units: tuple[tuple[int, int], ...]
    arguments: tuple[Polynomial, ...]

    def point(self, query: Query, x: np.ndarray) -> np.ndarray:
        """All variables at an input (n,)."""
        seen, _ = query.network.preactivations(x[None])
        outputs = [max(0.0, float(seen[layer][0, neuron])) for layer, neuron in self.units]
        return np.concatenate([x, outputs])


def network_problem(query: Query) -> NetworkProblem:
    """The query's network, ranges and rows; exact for the network as it is stored in the query."""
    size = query.network.input_size
    lower, upper = ([Fraction(float(v)) for v in side] for side in (query.lower, query.upper))
    values: list[list[Polynomial]] = [[Polynomial.variable(k) for k in range(size)]]
    weak: list[Polynomial] = []
    zero: list[Polynomial] = []
    units: list[tuple[int, int]] = []
    arguments: list[Polynomial] = []
    for number, layer in enumerate(query.network.layers):
        l, u = query.ranges[number]
        unstable = set(query.unstable(number).tolist())
        outputs = []
        for neuron, z in enumerate(_affine(layer, values)):
            if neuron not in unstable:
                outputs.append(z if l[neuron] >= 0 else Polynomial.constant(0))
                continue
            a = Polynomial.variable(size + len(units))
            low, high = Fraction(float(l[neuron])), Fraction(float(u[neuron]))
            below = a - z
            weak += [below, (z - Polynomial.constant(low)).scaled(high) - a.scaled(high - low)]
            weak.append(below * (Polynomial.constant(-low) - below))
            zero.append(a * below)
            units.append((number, neuron))
            arguments.append(z)
            lower.append(Fraction(0))
            upper.append(high)
            outputs.append(a)
        values.append(outputs)
    if query.ball is not None and (query.ball.radii > 0).all():
        weak.append(_ball(query.ball))
    rows = _rows(query, values)
    bounded = Bounded(rows, tuple(lower), tuple(upper), tuple(weak), tuple(zero))
    return NetworkProblem(bounded, tuple(units), tuple(arguments))


def _ball(ball: Ball) -> Polynomial:
    """What is not negative in the ball; an infinite radius puts no limit on an input."""
    squares = []
    for k, (c, r) in enumerate(zip(ball.center.tolist(), ball.radii.tolist())):
        if np.isfinite(r):
            away = Polynomial.affine({k: Fraction(1)}, -Fraction(c))
            squares.append((away * away).scaled(-1 / Fraction(r) ** 2))
    return Polynomial.total([Polynomial.constant(1), *squares])


def _affine(layer: Layer, values: Sequence[Sequence[Polynomial]]) -> list[Polynomial]:
    """The layer's pre-activations from the values of its sources."""
    parts: list[list[Polynomial]] = [[Polynomial.constant(Fraction(float(b)))] for b in layer.bias]
    for source, weight in layer.terms:
        for neuron, row in enumerate(np.asarray(rows_of(weight, np.arange(len(layer.bias))), dtype=float)):
            parts[neuron] += _weighted(row, values[source])
    return [Polynomial.total(part) for part in parts]


def _rows(query: Query, values: Sequence[Sequence[Polynomial]]) -> tuple[Polynomial, ...]:
    outputs = _affine(query.network.output, values)
    rows = query.rows
    found = []
    for x, y, constant in zip(rows.x, rows.y, rows.constant):
        parts = [Polynomial.constant(Fraction(float(constant))), *_weighted(x, values[0]), *_weighted(y, outputs)]
        found.append(Polynomial.total(parts))
    return tuple(found)


def _weighted(row: np.ndarray, values: Sequence[Polynomial]) -> list[Polynomial]:
    return [values[k].scaled(Fraction(float(row[k]))) for k in np.flatnonzero(row)]
