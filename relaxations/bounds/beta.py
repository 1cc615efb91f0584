"""Beta-CROWN: bounds under fixed ReLU phases, with slopes and multipliers as free dual variables.

Source: Wang et al. 2021 (beta-CROWN), arXiv:2103.06624; the slopes are those of Xu et al. 2021 (alpha-CROWN),
arXiv:2011.13824. Intermediate bounds are frozen at a frame, so the final pass is the dual of the triangle LP.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork, pull, push

Array = Any


@dataclass(frozen=True)
class Frame:
    """One box with its pre-activation bounds: ``mid``, ``rad`` (inputs,), ``lower``, ``upper`` per ReLU layer (n,)."""

    mid: Array
    rad: Array
    lower: list[Array]
    upper: list[Array]


@dataclass(frozen=True)
class Duals:
    """Per node of a batch: slopes in [0, 1] and split multipliers >= 0, per layer (B, n); row weights >= 0 (B, R).

    Any values in these ranges give a sound bound; they decide only how tight it is.
    """

    slopes: list[Array]
    multipliers: list[Array]
    weights: Array


@dataclass(frozen=True)
class Pass:
    """One evaluation: the bound (B,) and its gradient in the duals, from the relaxed minimiser.

    ``point`` (B, inputs) is that minimiser's input, ``gap[k]`` (B, n) what each unsplit neuron's relaxation costs,
    ``reach[k]`` (B, 1) the largest coefficient on the layer: the scale of its multipliers.
    """

    bound: Array
    gradient: Duals
    point: Array
    gap: list[Array]
    reach: list[Array]


def evaluate(network: ReluNetwork, rows: Rows, frame: Frame, phases: list[Array], duals: Duals, xp: ModuleType) -> Pass:
    """Lower bound of ``sum_r weights_r row_r`` over the frame's box where ``phases`` hold (+1: z >= 0, -1: z <= 0).

    Sound up to float rounding. The gradient is exact where the bound is differentiable: by the envelope theorem it is
    read off the relaxed primal, the minimiser carried forward through the lines the backward pass has chosen.
    """
    coefs: dict[int, Array] = {0: duals.weights @ rows.x}
    y = duals.weights @ rows.y
    constant = duals.weights @ rows.constant + y @ network.output.bias
    for source, weight in network.output.terms:
        coefs[source] = coefs[source] + pull(weight, y) if source in coefs else pull(weight, y)
    chosen: dict[int, tuple[Array, Array, Array]] = {}
    for k in range(len(network.layers), 0, -1):
        l, u, phase = frame.lower[k - 1], frame.upper[k - 1], phases[k - 1]
        layer = network.layers[k - 1]
        a = coefs.pop(k) if k in coefs else xp.zeros((len(constant), len(layer.bias)), dtype=constant.dtype)
        unstable = (l < 0) & (u > 0)
        upper_slope = xp.where(unstable, u / xp.where(unstable, u - l, 1), xp.where(l >= 0, 1, 0)).astype(a.dtype)
        free = unstable & (phase == 0)
        slope = xp.where(a >= 0, duals.slopes[k - 1], upper_slope)
        slope = xp.where(free, slope, xp.where(phase != 0, phase > 0, upper_slope))
        offset = xp.where(free & (a < 0), -upper_slope * l, 0)
        constant = constant + (a * offset).sum(axis=1)
        a_z = a * slope - phase * duals.multipliers[k - 1]
        constant = constant + a_z @ layer.bias
        for parent, weight in layer.terms:
            pulled = pull(weight, a_z)
            coefs[parent] = coefs[parent] + pulled if parent in coefs else pulled
        chosen[k] = a, slope, offset
    form = coefs[0]
    bound = constant + form @ frame.mid - xp.abs(form) @ frame.rad
    values = [frame.mid - xp.sign(form) * frame.rad]
    slopes, multipliers, gap = [], [], []
    for k, layer in enumerate(network.layers, start=1):
        z = sum((push(w, values[s]) for s, w in layer.terms), start=layer.bias)
        a, slope, offset = chosen[k]
        free = (frame.lower[k - 1] < 0) & (frame.upper[k - 1] > 0) & (phases[k - 1] == 0)
        relaxed = slope * z + offset
        slopes.append(xp.where(free & (a > 0), a * z, 0))
        multipliers.append(-phases[k - 1] * z)
        gap.append(xp.where(free, xp.abs(a * (relaxed - xp.maximum(z, 0))), 0))
        values.append(relaxed)
    outputs = sum((push(w, values[s]) for s, w in network.output.terms), start=network.output.bias)
    weights = values[0] @ rows.x.T + outputs @ rows.y.T + rows.constant
    reach = [xp.abs(chosen[k][0]).max(axis=1, keepdims=True) for k in sorted(chosen)]
    return Pass(bound, Duals(slopes, multipliers, weights), values[0], gap, reach)
