"""Projected gradient descent on the value of the best row: at or below zero every row fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork, pull
from verifier.engine.deadline import Deadline

STEPS = 40
FIRST_STEP, LAST_STEP = 0.25, 0.002  # of the box width


@dataclass(frozen=True)
class Attempt:
    """The best point found (inputs,) and its value in the search network."""

    point: np.ndarray
    value: float


def pgd(
    network: ReluNetwork,
    rows: Rows,
    lower: np.ndarray,
    upper: np.ndarray,
    starts: np.ndarray,
    deadline: Deadline,
    stop_at: float = 0.0,
) -> Attempt:
    """Descend from each start (P, inputs) in the box [lower, upper]; stops early once a value <= ``stop_at``.

    A third of the starts each follow the sign of the gradient (Madry et al. 2018), the gradient scaled to the box, and
    the sign with momentum (Dong et al. 2018). Steps shrink geometrically from FIRST_STEP to LAST_STEP.
    """
    width = upper - lower
    points = np.clip(starts, lower, upper)
    best = Attempt(points[0], np.inf)
    momentum = np.zeros_like(points)
    kind = np.arange(len(points)) % 3
    for step in FIRST_STEP * (LAST_STEP / FIRST_STEP) ** np.linspace(0, 1, STEPS):
        values, gradient = value_and_gradient(network, rows, points)
        i = int(values.argmin())
        if values[i] < best.value:
            best = Attempt(points[i].copy(), float(values[i]))
        if best.value <= stop_at or deadline.over:
            return best
        scaled = gradient * width
        norm = np.abs(scaled).max(axis=1, keepdims=True)
        scaled = scaled / np.where(norm > 0, norm, 1)
        momentum = 0.75 * momentum + scaled
        direction = np.where((kind == 0)[:, None], np.sign(scaled), scaled)
        direction = np.where((kind == 2)[:, None], np.sign(momentum), direction)
        points = np.clip(points - step * width * direction, lower, upper)
    return best


def value_and_gradient(network: ReluNetwork, rows: Rows, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value (P,) of the best row at each point and its gradient (P, inputs)."""
    seen, outputs = network.preactivations(points)
    all_rows = points @ rows.x.T + outputs @ rows.y.T + rows.constant
    best = all_rows.argmax(axis=1)
    coefs: dict[int, np.ndarray] = {0: rows.x[best]}
    for source, weight in network.output.terms:
        pulled = pull(weight, rows.y[best])
        coefs[source] = coefs[source] + pulled if source in coefs else pulled
    for source in range(len(network.layers), 0, -1):
        if source in coefs:
            a = coefs.pop(source) * (seen[source - 1] > 0)
            for parent, weight in network.layers[source - 1].terms:
                pulled = pull(weight, a)
                coefs[parent] = coefs[parent] + pulled if parent in coefs else pulled
    return all_rows[np.arange(len(best)), best], coefs[0]


def starts(lower: np.ndarray, upper: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Starting points: the middle, random corners, random points."""
    random = np.random.default_rng(seed)
    share = random.random((count, len(lower)))
    share[: count // 2] = share[: count // 2].round()
    share[0] = 0.5
    return lower + share * (upper - lower)
