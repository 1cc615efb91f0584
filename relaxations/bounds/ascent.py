"""Ascent on the duals of a batch of rows: Adam, projected, keeping every row's best.

The same steps run on NumPy, one by one, and on JAX, compiled into one program (see ``compiled``).
Source of the rule: Kingma and Ba 2015 (Adam), arXiv:1412.6980.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from relaxations.bounds.dual import Duals, Frame, Lines, Pass, evaluate
from relaxations.network import Layer, ReluNetwork

Array = Any
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # Adam's constants


class Rates(NamedTuple):
    """Step sizes: of slopes, of multipliers (times the reach of their layer), and what each step multiplies them by.

    ``weights`` > 0 lets the row weights move, by multiplicative updates, where they are not 0.
    """

    slopes: float = 0.2
    multipliers: float = 0.2
    decay: float = 0.95
    weights: float = 0.0


class State(NamedTuple):
    """Where the ascent stands: current and best duals, best bounds (N,), Adam's two moments."""

    duals: Duals
    best: Duals
    bound: Array
    first: tuple[Array | None, ...]
    second: tuple[Array | None, ...]


def begin(duals: Duals, xp: ModuleType) -> State:
    """The state before the first step."""
    moving = (*duals.slopes, *duals.multipliers)
    zero = tuple(None if part is None else xp.zeros_like(part) for part in moving)
    bound = xp.full(len(duals.weights), -xp.inf, dtype=duals.weights.dtype)
    return State(duals, duals, bound, zero, zero)


def remember(state: State, seen: Pass, xp: ModuleType) -> State:
    """Keep the duals of every row that has not been bounded so well before."""
    better = seen.bound > state.bound
    column = better[:, None]

    def keep(new: Array | None, old: Array | None) -> Array | None:
        return None if new is None or old is None else xp.where(column, new, old)

    best = Duals(
        tuple(map(keep, state.duals.slopes, state.best.slopes)),
        tuple(map(keep, state.duals.multipliers, state.best.multipliers)),
        xp.where(column, state.duals.weights, state.best.weights),
    )
    return state._replace(best=best, bound=xp.where(better, seen.bound, state.bound))


def step(state: State, seen: Pass, phases: tuple[Array | None, ...], rates: Rates, t: Any, xp: ModuleType) -> State:
    """Step number ``t`` (from 1) along the gradient of ``seen``, projected to where the duals are sound."""
    shrink = rates.decay ** (t - 1)
    count = len(state.duals.slopes)
    gradient = (*seen.gradient.slopes, *seen.gradient.multipliers)
    first: list[Array | None] = []
    second: list[Array | None] = []
    moves: list[Array | None] = []
    for g, m, v in zip(gradient, state.first, state.second):
        if g is None or m is None or v is None:
            first.append(None), second.append(None), moves.append(None)
            continue
        m, v = FIRST * m + (1 - FIRST) * g, SECOND * v + (1 - SECOND) * g * g
        first.append(m), second.append(v)
        moves.append(shrink * (m / (1 - FIRST**t)) / (xp.sqrt(v / (1 - SECOND**t)) + TINY))
    slopes = tuple(xp.clip(s + rates.slopes * d, 0, 1) for s, d in zip(state.duals.slopes, moves[:count]))
    multipliers = tuple(
        None if b is None else xp.where(p != 0, xp.maximum(b + rates.multipliers * _reach(a, xp) * d, 0), 0)
        for b, d, a, p in zip(state.duals.multipliers, moves[count:], seen.coefs, phases)
    )
    weights = state.duals.weights
    if rates.weights:
        values = xp.where(weights > 0, seen.gradient.weights, 0)  # others may be too large for the exponential
        spread = xp.abs(values).max(axis=1, keepdims=True)
        moved = weights * xp.exp(rates.weights * shrink * values / xp.where(spread > 0, spread, 1))
        weights = moved / moved.sum(axis=1, keepdims=True)
    return state._replace(duals=Duals(slopes, multipliers, weights), first=tuple(first), second=tuple(second))


def _reach(coefs: Array, xp: ModuleType) -> Array:
    """The scale (N, 1) of a layer's multipliers: its largest coefficient."""
    return xp.abs(coefs).max(axis=1, keepdims=True)


def ascend(
    network: ReluNetwork,
    target: Layer,
    frame: Frame,
    lines: Lines,
    duals: Duals,
    steps: int,
    rates: Rates,
    enough: float = np.inf,
) -> Duals:
    """The best duals met in ``steps`` steps on NumPy; stops early once every row's bound exceeds ``enough``."""
    state = begin(duals, np)
    for t in range(1, steps + 2):
        seen = evaluate(network, target, frame, lines, state.duals, np, with_values=rates.weights > 0)
        state = remember(state, seen, np)
        if t > steps or (state.bound > enough).all():
            break
        state = step(state, seen, lines.phase, rates, t, np)
    return state.best
