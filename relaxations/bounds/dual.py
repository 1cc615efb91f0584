"""Dual bounds of rows over ReLU layers: slopes (alpha) and split multipliers (beta) are free, and so is their gradient.

One backward pass bounds a batch of rows for any slopes in [0, 1] and any multipliers >= 0; one forward pass of the
relaxed minimiser it has chosen gives the exact gradient in all of them (envelope theorem). Intermediate bounds are
taken as given, so the bound maximised over the duals is the optimum of the triangle LP under the splits.

Sources: Xu et al. 2021 (alpha-CROWN), arXiv:2011.13824; Wang et al. 2021 (beta-CROWN), arXiv:2103.06624.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from relaxations.network import Layer, ReluNetwork, pull, push

Array = Any


class Frame(NamedTuple):
    """A box, |x - mid| <= rad (inputs,), and pre-activation bounds per ReLU layer, (1, n) or one line per row (N, n)."""

    mid: Array
    rad: Array
    lower: tuple[Array, ...]
    upper: tuple[Array, ...]


class Duals(NamedTuple):
    """Per row of a batch and ReLU layer (N, n): slopes in [0, 1], multipliers >= 0 (None for a layer without splits).

    ``weights`` (N, R) say which combination of the target's R values each row is about. Any slopes and multipliers in
    these ranges give a sound bound; they decide only how tight it is.
    """

    slopes: tuple[Array, ...]
    multipliers: tuple[Array | None, ...]
    weights: Array


class Pass(NamedTuple):
    """One evaluation: bounds (N,), their gradient in the duals, the relaxed minimiser's input ``point`` (N, inputs).

    ``gap[k]`` (N, n) is what each unsplit neuron's relaxation costs the bound, ``reach[k]`` (N, 1) the largest
    coefficient on the layer: the scale of its multipliers.
    """

    bound: Array
    gradient: Duals
    point: Array
    gap: tuple[Array, ...]
    reach: tuple[Array, ...]


def evaluate(
    network: ReluNetwork,
    target: Layer,
    frame: Frame,
    phases: tuple[Array | None, ...],
    duals: Duals,
    xp: ModuleType,
) -> Pass:
    """Lower bound of ``weights @ (target's values)`` on the frame's box where ``phases`` hold.

    ``phases`` (N, n) are +1 where z >= 0, -1 where z <= 0, 0 where free; None for a layer without splits. They cover the
    ReLU layers the target can depend on, the first ``len(phases)``. Sound up to float rounding.
    """
    constant = duals.weights @ target.bias
    coefs: dict[int, Array] = {}
    _pull(target, duals.weights, coefs)
    chosen: list[tuple[Array, Array, Array, Array]] = []
    for k in range(len(phases) - 1, -1, -1):
        l, u, phase, layer = frame.lower[k], frame.upper[k], phases[k], network.layers[k]
        a = coefs.pop(k + 1) if k + 1 in coefs else xp.zeros_like(duals.slopes[k])
        free = (l < 0) & (u > 0)
        chord = xp.where(free, u / xp.where(free, u - l, 1), l >= 0).astype(a.dtype)
        if phase is not None:
            free = free & (phase == 0)
            chord = xp.where(phase != 0, phase > 0, chord).astype(a.dtype)
        slope = xp.where(free & (a > 0), duals.slopes[k], chord)
        offset = xp.where(free & (a < 0), -chord * l, 0)  # these coefficients read the upper line
        constant = constant + (a * offset).sum(axis=1)
        a_z = a * slope
        if phase is not None:
            a_z = a_z - phase * duals.multipliers[k]
        constant = constant + a_z @ layer.bias
        _pull(layer, a_z, coefs)
        chosen.append((a, slope, offset, free))
    form = coefs[0] if 0 in coefs else xp.zeros((len(constant), network.input_size), dtype=constant.dtype)
    bound = constant + form @ frame.mid - xp.abs(form) @ frame.rad
    values = [frame.mid - xp.sign(form) * frame.rad]
    slopes, multipliers, gap, reach = [], [], [], []
    for layer, phase, (a, slope, offset, free) in zip(network.layers, phases, reversed(chosen)):
        z = _push(layer, values)
        relaxed = slope * z + offset
        slopes.append(xp.where(free & (a > 0), a * z, 0))
        multipliers.append(None if phase is None else -phase * z)
        gap.append(xp.where(free, xp.abs(a * (relaxed - xp.maximum(z, 0))), 0))
        reach.append(xp.abs(a).max(axis=1, keepdims=True))
        values.append(relaxed)
    gradient = Duals(tuple(slopes), tuple(multipliers), _push(target, values))
    return Pass(bound, gradient, values[0], tuple(gap), tuple(reach))


def _pull(layer: Layer, a: Array, coefs: dict[int, Array]) -> None:
    """Add the coefficients ``a`` (N, n) of a layer's values to those of what it reads."""
    for source, weight in layer.terms:
        pulled = pull(weight, a)
        coefs[source] = coefs[source] + pulled if source in coefs else pulled


def _push(layer: Layer, values: list[Array]) -> Array:
    return sum((push(weight, values[source]) for source, weight in layer.terms), start=layer.bias)
