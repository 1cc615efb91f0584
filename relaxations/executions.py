"""Relaxed executions of a query: made layer by layer, judged, and compared with the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from relaxations.actions import Point
from relaxations.base import Branch, Query


def forward(query: Query, x: np.ndarray, outputs: Callable[[int, np.ndarray], np.ndarray]) -> Point:
    """The execution at an input (n,) whose layer k answers pre-activations z (n_k,) with ``outputs(k, z)``."""
    sources, z, a = [x[None]], [], []
    for k, layer in enumerate(query.network.layers):
        z.append(layer.apply(sources)[0])
        a.append(outputs(k, z[-1]))
        sources.append(a[-1][None])
    return Point(x, tuple(z), tuple(a))


def box_excess(query: Query, action: Point) -> float:
    """By how much the input of an action is outside the box."""
    return float(np.maximum(query.lower - action.x, action.x - query.upper).max(initial=0.0))


def input_excess(query: Query, action: Point) -> float:
    """By how much it is outside the box, or outside the ball in units of its radius."""
    of_ball = 0.0 if query.ball is None else float(query.ball.lengths(action.x)) - 1
    return max(of_ball, box_excess(query, action))


def affine_excess(query: Query, action: Point) -> float:
    """The largest error of a pre-activation, as what follows from the outputs before it."""
    sources = [action.x[None], *(a[None] for a in action.a)]
    errors = [np.abs(z - layer.apply(sources)[0]) for layer, z in zip(query.network.layers, action.z)]
    return float(max((error.max(initial=0.0) for error in errors), default=0.0))


def lines_excess(query: Query, action: Point, slopes: Sequence[np.ndarray] | None = None) -> float:
    """The largest distance of an output from what its neuron's triangle allows; from its stable line where it has one.

    With ``slopes`` (n_k,) by layer the lower side is the line ``slope * z`` instead of ``max(z, 0)``.
    """
    worst = 0.0
    for k, (z, a, (l, u)) in enumerate(zip(action.z, action.a, query.ranges)):
        active, free = l >= 0, (l < 0) & (u > 0)
        chord = u * (z - l) / np.where(free, u - l, 1.0)
        least = np.maximum(z, 0) if slopes is None else slopes[k] * z
        stable = np.abs(a - np.where(active, z, 0.0))
        worst = max(worst, float(np.where(free, np.maximum(least - a, a - chord), stable).max(initial=0.0)))
    return worst


def score(query: Query, action: Point) -> float:
    """What the adversary gains by an action: the least of the rows' negated values."""
    return float((-action.margins(query)).min())


def invented(action: Point, coefs: Sequence[np.ndarray]) -> list[Branch]:
    """Neurons by how far their output is from a real one, times the size of what it counts for (n_k,) by layer.

    Empty for a real execution.
    """
    weighed = [
        Branch(k, int(i), float(abs(gap[i] * a[i])))
        for k, (gap, a) in enumerate(zip(action.gaps(), coefs))
        for i in np.flatnonzero(gap)
    ]
    return sorted(weighed, key=lambda branch: -branch.weight)
