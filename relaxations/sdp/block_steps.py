"""One step of the first-order method of ``first_order``, for JAX to compile: vectors refined, variables moved.

The block of vectors holds Ritz pairs of the scaled matrix, kept from step to step and refined once in each, as LOBPCG
does (Knyazev 2001, doi:10.1137/S1064827500366124). Weighted by ``exp(-lambda / mu)`` they give a gradient that does not
jump (Nesterov 2007, doi:10.1007/s10107-006-0001-8), along which Adam steps (Kingma and Ba 2015, arXiv:1412.6980),
projected.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from relaxations.sdp.products import Forms, Maps

Array = Any

FIRST, SECOND, TINY = 0.9, 0.99, 1e-12  # Adam's constants
WEIGHT_RATE = 0.5  # of the rows' weights, times the rate of the others
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}  # other cases are solved on the other processors


class Variables(NamedTuple):
    """Multipliers in units of their scales: products and backs (M,), squares (n,), the ball, and rows' weights (R,).

    The constant's square is what it is beside the ball's multiplier, so that all of them cost the same.
    """

    product: Array
    back: Array
    squares: Array
    ball: Array
    weights: Array


class Problem(NamedTuple):
    """Maps, the diagonal d (n,), and the units of products and backs (M,), of squares (n,) and of the ball.

    Squares marked in ``raised`` (n,), or the ball's where ``raised_ball`` is 1, when raised by one unit each raise the
    matrix by diag(d); these units add up to 1.
    """

    maps: Maps
    diagonal: Array
    scale: Array
    unit: Array
    of_ball: Array
    raised: Array
    raised_ball: Array


class State(NamedTuple):
    """Variables, Adam's moments, and the block (k, n), its residuals and its last changes."""

    now: Variables
    first: Variables
    second: Variables
    block: Array
    residual: Array
    change: Array


def begin(problem: Problem, now: Variables, block: int) -> State:
    """The state before the first step, with random vectors."""
    import jax

    rng = np.random.default_rng(0)
    symbols = np.asarray(problem.maps.symbols)
    drawn = rng.normal(size=(3, block, len(symbols))) * symbols
    zero = jax.tree_util.tree_map(np.zeros_like, now)
    return jax.tree_util.tree_map(lambda array: jax.numpy.asarray(array, np.float32), State(now, zero, zero, *drawn))


def operate(problem: Problem, now: Variables, vectors: Array) -> tuple[Array, Forms]:
    """``D^-1/2 (M + diag(kappa)) D^-1/2`` times vectors (k, n), and the forms of the vectors ``D^-1/2 v``."""
    import jax.numpy as xp

    maps, scale = problem.maps, problem.scale
    root = maps.symbols / xp.sqrt(problem.diagonal)
    squares, ball = now.squares * problem.unit, now.ball * problem.of_ball
    found, seen = maps.times(vectors * root, now.weights, now.product * scale, now.back * scale, squares, ball)
    return found * root, seen


def step(problem: Problem, state: State, rate: Array, mu: Array, t: Array) -> tuple[State, Array]:
    """Step number ``t`` (from 1), and the value before it, by Ritz values: rather more than what holds.

    With ``rate`` 0 only the block is refined, and squares are changed so that its least Ritz value is 0.
    """
    import jax
    import jax.numpy as xp

    maps, d, count = problem.maps, problem.diagonal, len(state.block)
    basis = xp.linalg.qr(xp.concatenate([state.block, state.residual, state.change]).T)[0].T * maps.symbols
    product, seen = operate(problem, state.now, basis)
    inner = basis @ product.T
    values, turn = xp.linalg.eigh((inner + inner.T) / 2)
    values, turn = values[:count], turn[:, :count].T
    block = turn @ basis
    residual = turn @ product - values[:, None] * block
    change = (turn * (xp.arange(turn.shape[1]) >= count)) @ basis

    now = state.now._replace(
        squares=_positive(state.now.squares - values[0] * problem.raised) * maps.symbols,
        ball=xp.maximum(state.now.ball - values[0] * problem.raised_ball, 0),
    )
    share = jax.nn.softmax(-values / mu)[:, None]
    rows, a, b, e, in_ball = (turn @ part for part in seen)
    one = block[:, :1] / xp.sqrt(d[0])
    gradient = Variables(
        -(share * a * b).sum(axis=0) * problem.scale,
        -(share * b * (one - b)).sum(axis=0) * problem.scale,
        ((share * e**2).sum(axis=0) - 1) * problem.unit,
        ((share * in_ball**2).sum() - 1) * problem.of_ball,
        (share * one * rows).sum(axis=0),
    )
    first = Variables(*(FIRST * m + (1 - FIRST) * g for m, g in zip(state.first, gradient)))
    second = Variables(*(SECOND * v + (1 - SECOND) * g * g for v, g in zip(state.second, gradient)))
    moved = Variables(
        *(
            x + rate * (m / (1 - FIRST**t)) / (xp.sqrt(v / (1 - SECOND**t)) + TINY)
            for x, m, v in zip(now, first, second)
        )
    )
    spread = xp.maximum(xp.abs(gradient.weights).max(), 1e-30)
    weights = now.weights * xp.exp(WEIGHT_RATE * rate * gradient.weights / spread)
    after = Variables(
        moved.product,
        xp.maximum(moved.back, 0),
        _positive(moved.squares) * maps.symbols,
        xp.maximum(moved.ball, 0),
        weights / weights.sum(),
    )
    value = -(problem.unit * now.squares).sum() - problem.of_ball * now.ball
    return State(after, first, second, block, residual, change), value


@cache
def compiled() -> Callable[..., tuple[State, Array]]:
    """``step`` as a program for each shape, which networks of one outline share."""
    import jax

    return jax.jit(step, donate_argnums=1, compiler_options=ONE_THREAD)


def _positive(squares: Array) -> Array:
    """Without negative ones but for that of the constant."""
    import jax.numpy as xp

    return xp.concatenate([squares[:1], xp.maximum(squares[1:], 0)])
