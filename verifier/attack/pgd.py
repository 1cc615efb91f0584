"""Projected gradient descent on the value of a case's best row: at or below zero the case fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relaxations.bounds.balls import Ball, least
from relaxations.network import ReluNetwork
from verifier.attack.targets import Targets

FIRST_STEP, LAST_STEP = 0.5, 0.004
COLDEST = 0.02  # of the first temperature

See = Callable[[np.ndarray, np.ndarray, np.ndarray], bool]


@dataclass(frozen=True)
class Attempt:
    """A point (inputs,) and its value in the search network."""

    point: np.ndarray
    value: float


@dataclass(frozen=True, eq=False)
class Descents:
    """Where to begin (P, inputs), which case each point is to make fail, and how its gradient is used.

    ``temperature`` (P,): 0 for the gradient itself, see ``gradient``; it falls as the steps get shorter. ``by_sign``
    (P,): follow the sign of every coordinate (Madry et al. 2018) or the gradient scaled to the box. Steps shrink
    geometrically from ``first_step`` to LAST_STEP, both in widths of the box. In a ball all follow the gradient scaled
    to it, of unit length, as far as the box lets them, and steps are in diameters. In a ball of the norm 1 all move
    towards its vertex, cut by the box, that is best by the gradient (Frank and Wolfe 1956, as few inputs move in it).
    """

    points: np.ndarray
    cases: np.ndarray
    temperature: np.ndarray
    by_sign: np.ndarray
    first_step: float = FIRST_STEP


def descend(network: ReluNetwork, targets: Targets, starts: Descents, steps: int, see: See) -> None:
    """Descend from every start at once; ``see(points, cases, values)`` gets the value (P, C) of every case each step.

    Ends early when ``see`` returns True.
    """
    box = targets.box[starts.cases]
    low, up = targets.lower[box], targets.upper[box]
    width, points = up - low, targets.moved_inside(starts.points, box)
    by_sign = starts.by_sign[:, None]
    for share in np.linspace(0, 1, steps):
        seen, outputs = network.preactivations(points)
        rows = targets.rows(points, outputs)
        if see(points, starts.cases, targets.values(rows)):
            return
        chosen = targets.best_rows(rows, starts.cases)
        temperature = starts.temperature * max(1 - share, COLDEST)
        slope = gradient(network, targets, seen, chosen, temperature)
        step = width.dtype.type(starts.first_step * (LAST_STEP / starts.first_step) ** share)
        if targets.balls:
            moves = sum(_in_ball(slope, points, ball.of_points(box), low, up) for ball in targets.balls)
            points = targets.moved_inside(points + step * moves, box)
            continue
        slope = slope * width
        norm = np.abs(slope).max(axis=1, keepdims=True)
        direction = np.where(by_sign, np.sign(slope), slope / np.where(norm > 0, norm, 1))
        points = np.clip(points - step * width * direction, low, up)
    see(points, starts.cases, targets.values(targets.rows(points, network.evaluate(points))))


def _in_ball(slope: np.ndarray, points: np.ndarray, ball: Ball, low: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The step (P, inputs) of a diameter's length against a gradient, without what would leave the box at once.

    In a ball of the norm 1 twice the way to the least point by the gradient; 0 for a point without one of it. In a
    Euclidean ball the box's width stands for the diameter of an input that has no other limit.
    """
    limited = np.isfinite(ball.radii)
    if ball.norm == 1:
        held = limited.any(axis=1)
        step = np.zeros_like(points)
        middle, half = (low + up)[held] / 2, (up - low)[held] / 2
        step[held] = 2 * (least(slope[held], middle, half, ball.of_points(held), np)[1] - points[held])
        return step
    diameter = np.where(limited, 2 * ball.radii, up - low)
    blocked = ((points <= low) & (slope > 0)) | ((points >= up) & (slope < 0))
    scaled = np.where(blocked, 0, slope * diameter)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(-diameter * scaled / np.where(norm > 0, norm, 1))


def gradient(
    network: ReluNetwork, targets: Targets, seen: list[np.ndarray], chosen: np.ndarray, temperature: np.ndarray
) -> np.ndarray:
    """Gradient (P, inputs) of the chosen row of each point, from the pre-activations seen there.

    Where the temperature is positive, every ReLU lets through the derivative of a smooth one, temperature times the
    layer's mean magnitude being its scale. Neurons that are off then still say where they would go on: a saturated
    network has no other slope.
    """
    coefs: dict[int, np.ndarray] = {} if targets.x is None else {0: targets.x[chosen]}
    smooth = np.flatnonzero(temperature > 0)
    network.output.pull_into(coefs, targets.y[chosen])
    for source in range(len(network.layers), 0, -1):
        if source in coefs:
            z = seen[source - 1]
            if network.layers[source - 1].sign:
                passed = _through_sign(z)
            else:
                passed = (z > 0).astype(z.dtype)
                if len(smooth):
                    passed[smooth] = _sigmoid(z[smooth], temperature[smooth, None])
            network.layers[source - 1].pull_into(coefs, coefs.pop(source) * passed)
    return coefs[0] if 0 in coefs else np.zeros((len(chosen), network.input_size), dtype=targets.y.dtype)


def _through_sign(z: np.ndarray) -> np.ndarray:
    """A slope for the sign, which has none: that of a line through 0 as far as values usually reach.

    Source: the straight-through estimator of Hubara et al. 2016 (binarised neural networks), NeurIPS.
    """
    scale = np.abs(z).mean(axis=1, keepdims=True)
    inside: np.ndarray = (np.abs(z) <= scale) / np.where(scale > 0, scale, 1)
    return inside.astype(z.dtype)


def _sigmoid(z: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    scale = temperature.astype(z.dtype) * np.abs(z).mean(axis=1, keepdims=True)
    smooth: np.ndarray = 0.5 + 0.5 * np.tanh(z / (2 * np.where(scale > 0, scale, 1)))
    return smooth
