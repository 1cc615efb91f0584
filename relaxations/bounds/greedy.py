"""The relaxed action behind a CROWN bound: every ReLU on the line that the sign of its coefficient chose.

Backward substitution replaces each ReLU of a row by one of its two lines, so the bound is the least value of the row
over the box *with these lines in place of the ReLUs*. Walking forward from the input where that value is taken, along
the same lines, gives pre-activations and outputs at which the row equals the bound: why CROWN has no proof with these
lines, as an action of the relaxation whose units may lie anywhere between their two lines.

It need not be a point of the triangle relaxation: a lower line may run below 0, and pre-activations are not held inside
their ranges, outside which the lines cross. Source of the lines: Zhang et al. 2018 (CROWN), arXiv:1811.00866.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.actions import Point
from relaxations.bounds.balls import MANY_PASSES, Ball, least
from relaxations.bounds.boxes import Rows, composed
from relaxations.bounds.dual import Duals, Frame, lines, substituted
from relaxations.network import Layer, ReluNetwork

Ranges = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Greedy:
    """``action`` attains ``bound``. By layer (n_k,): ``coefs`` of the row on the outputs, and each output's line.

    ``below[k]`` are the slopes of the lower lines, whether they were chosen or not.
    """

    action: Point
    bound: float
    coefs: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    below: tuple[np.ndarray, ...]

    def rows(self, target: Layer) -> np.ndarray:
        """The target's values (R,) for the action."""
        return np.asarray(target.apply([part[None] for part in (self.action.x, *self.action.a)])[0])

    def costs(self, network: ReluNetwork) -> list[np.ndarray]:
        """What each neuron's line takes from the row at the action's input; by layer (n_k,).

        None is negative where the ranges hold, and together they are the row's real value there less ``bound``.
        """
        seen, _ = network.preactivations(self.action.x[None])
        return [
            a * (layer.output(z[0]) - slope * z[0] - offset)
            for layer, z, a, slope, offset in zip(network.layers, seen, self.coefs, self.slopes, self.offsets)
        ]


def rows_layer(rows: Rows, output: Layer) -> Layer:
    """Rows over inputs and outputs as a layer over the network's sources."""
    coefs, constant = composed(rows, output)
    return Layer(tuple(sorted(coefs.items())), constant)


def greedy(
    network: ReluNetwork,
    target: Layer,
    weights: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    ranges: Ranges,
    below: Sequence[np.ndarray] | None = None,
    ball: Ball | None = None,
) -> Greedy:
    """The action that minimises ``weights @ (target's values)`` over box and ball, every unit between its two lines.

    ``ranges[k]`` (n_k,) bound the pre-activations, ``below[k]`` (n_k,) are slopes of the lower lines in [0, 1], by
    default those of CROWN. All arrays are float64.
    """
    lower, upper = box
    sides = (tuple(side[None] for side in sides) for sides in zip(*ranges))
    frame = Frame((lower + upper) / 2, (upper - lower) / 2, *(sides if ranges else ((), ())))
    drawn = lines(frame, (None,) * len(ranges), np, network.signs)
    if below is None:
        below = [(u > -l).astype(float) for l, u in ranges]
    duals = Duals(tuple(s[None] for s in below), (None,) * len(ranges), weights[None])
    constant, form, chosen = substituted(network, target, drawn, duals, np)
    if ball is None:
        bound, x = frame.bound(constant, form, np), np.where(form[0] > 0, lower, upper)
    else:
        lowest, points = least(form, frame.mid, frame.rad, ball, np, MANY_PASSES)
        bound, x = constant + form @ frame.mid + lowest, ball.moved_inside(points, lower, upper, 0.0)[0]
    values, z, slopes, offsets = [x[None]], [], [], []
    for k, (coef, slope, _) in enumerate(chosen):
        flat = drawn.below[k] if drawn.below else None
        offset = np.where(coef < 0, drawn.offset[k], 0.0 if flat is None else flat[1])
        z.append(network.layers[k].apply(values)[0])
        slope, offset = np.broadcast_to(slope, coef.shape)[0], np.broadcast_to(offset, coef.shape)[0]
        unread = drawn.free[k][0] & (coef[0] == 0)
        if unread.any():
            free = _nearest_to_relu(z[-1], (below[k] * z[-1], drawn.chord[k][0] * z[-1] + drawn.offset[k][0]))
            slope, offset = np.where(unread, 0.0, slope), np.where(unread, free, offset)
        slopes.append(slope), offsets.append(offset)
        values.append((slope * z[-1] + offset)[None])
    action = Point(x, tuple(z), tuple(a[0] for a in values[1:]))
    coefs = tuple(coef[0] for coef, _, _ in chosen)
    return Greedy(action, float(bound[0]), coefs, tuple(slopes), tuple(offsets), tuple(below))


def _nearest_to_relu(z: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The values between two lines that are nearest to the ReLU: what a unit does that the row does not read."""
    return np.clip(np.maximum(z, 0), np.minimum(*ends), np.maximum(*ends))
