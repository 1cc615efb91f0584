"""The bound that linear multipliers prove, whatever they are: nothing a solver says about them is believed.

The multipliers' sum (see ``relaxations.multipliers``) is substituted backward through the layers, exactly but for
rounding, and what is left of it on the inputs and on the outputs of unstable neurons is taken at its least over their
ranges. Source: Neumaier and Shcherbina 2004, doi:10.1007/s10107-003-0433-3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from relaxations.base import Query
from relaxations.bounds.balls import least as least_in_ball
from relaxations.bounds.boxes import composed
from relaxations.multipliers import Multipliers

Phases = tuple[np.ndarray, ...]
Splits = tuple[tuple[int, int, int], ...]

ROUNDING = 2.0**-40  # more than the rounding error of any sum here, relative to the sum of its absolute terms


@dataclass(frozen=True)
class SafeDual:
    """``value`` bounds the score of every action. ``coefs[k]`` (n_k,) is what layer k's outputs count for in it."""

    value: float
    coefs: tuple[np.ndarray, ...]


def phases_of(query: Query, splits: Iterable[tuple[int, int, int]] = ()) -> Phases:
    """By layer and neuron (n_k,): +1 where a split says active, -1 inactive, 0 where there is none."""
    phases = tuple(np.zeros(len(l), dtype=np.int8) for l, _ in query.ranges)
    for layer, neuron, sign in splits:
        phases[layer][neuron] = sign
    return phases


def safe_dual(query: Query, dual: Multipliers, phases: Phases | None = None) -> SafeDual:
    """An upper bound of the score over the triangle relaxation, where the ``phases`` hold.

    Negative multipliers count as 0 and weights are scaled to the sum 1. With weights of 0 the value is -inf if the
    multipliers show, by more than rounding, that there is no action, else inf. A split neuron is ``a = z`` or ``a = 0``
    exactly, and its multipliers are those of what remains true: ``positive`` is the one of ``z >= 0`` for an active
    one, ``above`` that of ``z <= 0`` for an inactive one. Inputs are those of the box, and of a ball of the norm 1. In
    float64, without a bound of the rounding.
    """
    phases = phases or phases_of(query)
    weights = np.maximum(dual.weights, 0)
    rows, constants = composed(query.rows, query.network.output)
    coefs = {source: weights[None] @ a for source, a in rows.items()}
    constant = float(weights @ constants)
    size = float(weights @ np.abs(constants))
    seen: list[np.ndarray] = []
    for k in range(len(query.network.layers) - 1, -1, -1):
        l, u = query.ranges[k]
        a = coefs.pop(k + 1)[0] if k + 1 in coefs else np.zeros(len(l))
        seen.append(a)
        a_z = np.where(l >= 0, a, 0.0)
        free = query.unstable(k)
        positive, above, chord = (np.maximum(part[k], 0) for part in (dual.positive, dual.above, dual.chord))
        reach, drop, phase = u[free], -l[free], phases[k][free]
        left = a[free] - positive - above + (drop + reach) * chord
        a_z[free] = np.where(phase > 0, a[free] - positive + drop * chord, above - reach * chord)
        lost = np.where(phase == 0, np.minimum(left, 0) * reach, 0.0) - chord * reach * drop
        bias = query.network.layers[k].bias
        constant += float(lost.sum() + a_z @ bias)
        size += float(np.abs(lost).sum() + np.abs(a_z) @ np.abs(bias))
        query.network.layers[k].pull_into(coefs, a_z[None])
    form = coefs[0][0] if 0 in coefs else np.zeros(query.network.input_size)
    least = constant + float(np.where(form > 0, query.lower, query.upper) @ form)
    if query.ball is not None and query.ball.is_linear:  # which the program knows; a Euclidean ball it does not
        mid, rad = (query.lower + query.upper) / 2, (query.upper - query.lower) / 2
        least = constant + float(form @ mid + least_in_ball(form[None], mid, rad, query.ball, np)[0][0])
    size += float(np.maximum(np.abs(query.lower), np.abs(query.upper)) @ np.abs(form))
    total = float(weights.sum())
    if total > 0:
        return SafeDual(-least / total, tuple(seen[::-1]))
    return SafeDual(-np.inf if least > ROUNDING * size else np.inf, tuple(seen[::-1]))


def no_multipliers(query: Query, weights: np.ndarray | None = None) -> Multipliers:
    """All of them 0, the rows weighing the same if not said otherwise."""
    count = len(query.rows.constant)
    zero = tuple(np.zeros(len(query.unstable(k))) for k in range(len(query.ranges)))
    return Multipliers(np.full(count, 1 / count) if weights is None else weights, zero, zero, zero)


def random_multipliers(query: Query, rng: np.random.Generator) -> Multipliers:
    """Multipliers of all sizes, many of them 0."""
    sizes = [len(query.unstable(k)) for k in range(len(query.ranges))]

    def part() -> tuple[np.ndarray, ...]:
        scale = 10.0 ** rng.uniform(-3, 1)
        return tuple(scale * rng.exponential(size=m) * (rng.random(m) < 0.6) for m in sizes)

    return Multipliers(rng.dirichlet(np.ones(len(query.rows.constant))), part(), part(), part())
