"""The matrix of a semidefinite dual by its products with vectors: through the network's layers, never as a matrix.

A vector has one number for the constant 1, for every input and for every neuron, whether it has a symbol of its own or
not, so that all queries on one network have the same shapes; those without are 0 throughout. The forms are those of
``relaxations.lifting``, with ``a / u`` and ``b / L`` for the two parts of an unstable neuron. An input's number is its
symbol e, or t in the ball where the ball is what limits the inputs: then a multiple of its form is one of the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from relaxations.lifting import Lifting
from relaxations.maps.linear import push
from relaxations.network import ReluNetwork
from relaxations.pytrees import to_jax

Array = Any

THIN = 1e-3  # of the ball's radius


class Forms(NamedTuple):
    """Linear in vectors (k, n): rows (k, R), both parts of every neuron (k, M), 0 where it is stable, the symbols
    (k, n), and ``ball`` (k, inputs), where the inputs are in the ball, or 0 without one."""

    rows: Array
    active: Array
    inactive: Array
    symbols: Array
    ball: Array


class Affine(NamedTuple):
    """``shift + slope y`` of an input's number y; (inputs,) each, 0 for inputs that are fixed."""

    shift: Array
    slope: Array

    def of(self, one: Array, numbers: Array) -> Array:
        return self.shift * one + self.slope * numbers


class Maps(NamedTuple):
    """What the forms are made of. By neuron (M,): ``passes`` 1 where it is active, ``half`` u/2 and ``scale`` 1/L
    where it is unstable, each 0 elsewhere. ``symbols`` (n,) is 1 where a vector's number may differ from 0. ``x``,
    ``e`` and ``t`` are the inputs, their symbols, and they in the ball (0 without one)."""

    network: ReluNetwork
    of_inputs: Array
    of_outputs: Array
    constant: Array
    x: Affine
    e: Affine
    t: Affine
    passes: Array
    half: Array
    scale: Array
    symbols: Array

    def forms(self, vectors: Array) -> Forms:
        """All forms of vectors (k, n)."""
        import jax.numpy as xp

        one, at = vectors[:, :1], 1 + self.network.input_size
        numbers = vectors[:, 1:at]
        x, e = self.x.of(one, numbers), self.e.of(one, numbers)
        values, active, inactive, first = [x], [], [], 0
        for layer in self.network.layers:
            here = slice(first, first + len(layer.bias))
            z = _through(layer, values, one)
            of_symbol = one + vectors[:, at + here.start : at + here.stop]
            output = self.half[here] * of_symbol
            active.append(0.5 * of_symbol * (self.half[here] > 0))
            inactive.append(self.scale[here] * (output - z))
            values.append(output + self.passes[here] * z)
            first = here.stop
        y = _through(self.network.output, values, one)
        rows = x @ self.of_inputs.T + y @ self.of_outputs.T + one * self.constant
        none = xp.zeros((len(vectors), 0), vectors.dtype)
        symbols = xp.concatenate([one, e, vectors[:, at:]], axis=1)
        parts = xp.concatenate([none, *active], axis=1), xp.concatenate([none, *inactive], axis=1)
        return Forms(rows, *parts, symbols, self.t.of(one, numbers))

    def times(
        self, vectors: Array, weights: Array, product: Array, back: Array, squares: Array, ball: Array = 0.0
    ) -> tuple[Array, Forms]:
        """The products (k, n) of the matrix with vectors, and their forms.

        ``product`` and ``back`` (M,) are multipliers in the units of the scaled parts, ``squares`` (n,). ``ball`` is
        that of ``|t|^2``: what the ball's takes off the constant is left out.
        """
        import jax

        seen, pull = jax.vjp(self.forms, vectors)
        one, b = vectors[:, :1], seen.inactive
        of_b = -product * seen.active - back * (one - 2 * b)
        of_squares = 2 * squares * seen.symbols, 2 * ball * seen.ball
        found = pull(Forms(one * weights, -product * b, of_b, *of_squares))[0]
        found = found.at[:, 0].add(seen.rows @ weights - b @ back)
        return 0.5 * found * self.symbols, seen


def in_ball(lifting: Lifting) -> bool:
    """Whether inputs are best told by where they are in the ball: the box ends beyond it, and is nowhere thin."""
    ball = lifting.ball
    return ball is not None and bool(ball.v @ ball.v > 1) and bool(ball.v.min() > THIN)


def maps_of(lifting: Lifting) -> Maps | None:
    """The forms of a lifting as float32 arrays of JAX; None where a sparse weight is too large for it."""
    import jax.numpy as xp

    query = lifting.query
    network = to_jax(query.network)
    if network is None:
        return None
    none = np.zeros(0)
    low, up = (np.concatenate([none, *(pair[side] for pair in query.ranges)]) for side in (0, 1))
    free = (low < 0) & (up > 0)
    half, scale = np.where(free, up / 2, 0.0), np.zeros(len(free))
    scale[free] = -1 / low[free]
    symbols = np.zeros(1 + len(query.lower) + len(free))
    symbols[places(lifting)] = 1
    rows = query.rows.x, query.rows.y, query.rows.constant
    single = partial(xp.asarray, dtype=xp.float32)
    inputs = (Affine(single(shift), single(slope)) for shift, slope in _inputs(lifting))
    return Maps(network, *map(single, rows), *inputs, *map(single, (low >= 0, half, scale, symbols)))


def _inputs(lifting: Lifting) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs, their symbols, and they in the ball, each as shift and slope."""
    query, live, ball = lifting.query, lifting.live, lifting.ball
    x, none = (query.lower + query.upper) / 2, np.zeros(len(query.lower))

    def everywhere(values: np.ndarray | float, rest: np.ndarray = none) -> np.ndarray:
        out = rest.copy()
        out[live] = values
        return out

    if ball is not None and in_ball(lifting):
        yield everywhere(ball.center, x), everywhere(ball.radii)
        yield everywhere(-ball.u / ball.v), everywhere(1 / ball.v)
        yield none, everywhere(1.0)
    else:
        yield x, (query.upper - query.lower) / 2
        yield none, everywhere(1.0)
        yield (none, none) if ball is None else (everywhere(ball.u), everywhere(ball.v))


def places(lifting: Lifting) -> np.ndarray:
    """Where the symbols (1 + N,) of a lifting stand in a vector."""
    return np.concatenate([np.zeros(1, dtype=int), 1 + lifting.live, 1 + len(lifting.query.lower) + neurons(lifting)])


def neurons(lifting: Lifting) -> np.ndarray:
    """The unstable neurons (m,), counted through all layers."""
    first = np.cumsum([0, *(len(l) for l, _ in lifting.query.ranges)])
    found = [start + lifting.query.unstable(k) for k, start in enumerate(first[:-1])]
    return np.concatenate([np.zeros(0, dtype=int), *found])


def _through(layer: Any, values: list[Array], one: Array) -> Array:
    return sum((push(weight, values[source]) for source, weight in layer.terms), start=one * layer.bias)
