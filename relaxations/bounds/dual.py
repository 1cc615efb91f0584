"""Dual bounds of rows over ReLU layers: slopes (alpha) and split multipliers (beta) are free, and so is their gradient.

One backward pass bounds a batch of rows for any slopes in [0, 1] and any multipliers >= 0; one forward pass of the
relaxed minimiser it has chosen gives the exact gradient in all of them (envelope theorem). Intermediate bounds are
taken as given, so the bound maximised over the duals is the optimum of the triangle LP under the splits.

Sources: Xu et al. 2021 (alpha-CROWN), arXiv:2011.13824; Wang et al. 2021 (beta-CROWN), arXiv:2103.06624.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from relaxations.bounds.balls import Ball, least
from relaxations.functions import step
from relaxations.network import Layer, ReluNetwork

Array = Any


class Frame(NamedTuple):
    """A box, |x - mid| <= rad (inputs,), and pre-activation bounds per ReLU layer, (1, n) for all rows or (N, n).

    With a ``ball`` the inputs are those of both.
    """

    mid: Array
    rad: Array
    lower: tuple[Array, ...]
    upper: tuple[Array, ...]
    ball: Ball | None = None

    def bound(self, constant: Array, form: Array, xp: ModuleType) -> Array:
        """A lower bound (N,) of ``form . x + constant`` for forms (N, inputs) over the inputs."""
        if self.ball is None:
            return constant + form @ self.mid - xp.abs(form) @ self.rad
        return constant + form @ self.mid + least(form, self.mid, self.rad, self.ball, xp)[0]

    def bound_and_point(self, constant: Array, form: Array, xp: ModuleType) -> tuple[Array, Array]:
        """The same with the input (N, inputs) that takes it."""
        if self.ball is None:
            return self.bound(constant, form, xp), self.mid - xp.sign(form) * self.rad
        value, x = least(form, self.mid, self.rad, self.ball, xp)
        return constant + form @ self.mid + value, x


class Duals(NamedTuple):
    """Per row of a batch and ReLU layer (N, n): slopes in [0, 1], multipliers >= 0 (None for a layer without splits).

    ``weights`` (N, R) say which combination of the target's R values each row is about. Any slopes and multipliers in
    these ranges give a sound bound; they decide only how tight it is.
    """

    slopes: tuple[Array, ...]
    multipliers: tuple[Array | None, ...]
    weights: Array


class Lines(NamedTuple):
    """What a frame and phases leave of each ReLU, per layer (1 or N, n): it is free, its upper line, its phase.

    Where ``free`` is False the ReLU is exactly ``chord * z``. ``phase`` is None for a layer without splits. ``below``
    has slope and offset of the lower lines of each layer of signs, None for one of ReLUs, and is empty if all are;
    nothing of a sign is free.
    """

    free: tuple[Array, ...]
    chord: tuple[Array, ...]
    offset: tuple[Array, ...]
    phase: tuple[Array | None, ...]
    below: tuple[tuple[Array, Array] | None, ...] = ()


def lines(frame: Frame, phases: tuple[Array | None, ...], xp: ModuleType, signs: frozenset[int] = frozenset()) -> Lines:
    """Lines of the first ``len(phases)`` layers; ``phases`` (N, n) are +1 for z >= 0, -1 for z <= 0, 0 where free.

    The layers ``signs`` are no ReLUs.
    """
    free, chord, offset = [], [], []
    below: list[tuple[Array, Array] | None] = []
    for k, (l, u, phase) in enumerate(zip(frame.lower, frame.upper, phases)):
        if k in signs:
            drawn = step.lines(l, u, xp)
            free.append(xp.zeros_like(l, dtype=bool)), chord.append(drawn.upper_slope)
            offset.append(drawn.upper_offset)
            below.append((drawn.lower_slope, drawn.lower_offset))
            continue
        below.append(None)
        unstable = (l < 0) & (u > 0)
        slope = xp.where(unstable, u / xp.where(unstable, u - l, 1), l >= 0).astype(l.dtype)
        if phase is not None:
            unstable = unstable & (phase == 0)
            slope = xp.where(phase != 0, phase > 0, slope).astype(l.dtype)
        free.append(unstable), chord.append(slope)
        offset.append(xp.where(unstable, -slope * l, 0))
    return Lines(tuple(free), tuple(chord), tuple(offset), phases, tuple(below) if signs else ())


class Pass(NamedTuple):
    """One evaluation: bounds (N,), their gradient in the duals, the relaxed minimiser's input ``point`` (N, inputs).

    ``coefs[k]`` (N, n) is the coefficient on layer k's output, ``cost[k]`` (N, n) what each free neuron's relaxation
    costs the bound (empty unless asked for).
    """

    bound: Array
    gradient: Duals
    point: Array
    coefs: tuple[Array, ...]
    cost: tuple[Array, ...]


def evaluate(
    network: ReluNetwork,
    target: Layer,
    frame: Frame,
    lines: Lines,
    duals: Duals,
    xp: ModuleType,
    with_cost: bool = False,
    with_values: bool = False,
) -> Pass:
    """Lower bound of ``weights @ (target's values)`` on the frame's box where the phases of ``lines`` hold.

    ``lines`` cover the ReLU layers the target can depend on. Sound up to float rounding. ``with_values``: the gradient
    in the weights is wanted too (None otherwise), which is the target's values at the relaxed minimiser.
    """
    constant, form, chosen = substituted(network, target, lines, duals, xp)
    bound, x = frame.bound_and_point(constant, form, xp)
    values = [x]
    slopes, multipliers, cost = [], [], []
    for k, (a, slope, lower) in enumerate(chosen):
        z = network.layers[k].apply(values)
        below = lines.below[k] if lines.below else None
        relaxed = slope * z + xp.where(a < 0, lines.offset[k], 0 if below is None else below[1])
        phase = lines.phase[k]
        slopes.append(xp.where(lower, a * z, 0))
        multipliers.append(None if phase is None else -phase * z)
        if with_cost:
            cost.append(xp.where(lines.free[k], xp.abs(a * (relaxed - xp.maximum(z, 0))), 0))
        values.append(relaxed)
    gradient = Duals(tuple(slopes), tuple(multipliers), target.apply(values) if with_values else None)
    return Pass(bound, gradient, values[0], tuple(a for a, _, _ in chosen), tuple(cost))


def backward(
    network: ReluNetwork, target: Layer, frame: Frame, lines: Lines, duals: Duals, xp: ModuleType
) -> tuple[Array, Array, list[tuple[Array, Array, Array]]]:
    """The bound (N,), the coefficients on the input (N, inputs), and per layer: coefficient, slope, lower line."""
    constant, form, chosen = substituted(network, target, lines, duals, xp)
    return frame.bound(constant, form, xp), form, chosen


def substituted(
    network: ReluNetwork, target: Layer, lines: Lines, duals: Duals, xp: ModuleType
) -> tuple[Array, Array, list[tuple[Array, Array, Array]]]:
    """The affine lower bound of the rows: constant (N,), coefficients on the input, and the rest as ``backward``."""
    constant = duals.weights @ target.bias
    coefs: dict[int, Array] = {}
    target.pull_into(coefs, duals.weights)
    chosen: list[tuple[Array, Array, Array]] = []
    for k in range(len(lines.free) - 1, -1, -1):
        layer, phase = network.layers[k], lines.phase[k]
        a = coefs.pop(k + 1) if k + 1 in coefs else xp.zeros_like(duals.slopes[k])
        lower = lines.free[k] & (a > 0)
        slope = xp.where(lower, duals.slopes[k], lines.chord[k])
        below = lines.below[k] if lines.below else None
        if below is not None:
            slope = xp.where(a > 0, below[0], slope)
            constant = constant + xp.einsum("ij,ij->i", xp.maximum(a, 0), xp.broadcast_to(below[1], a.shape))
        constant = constant + xp.einsum("ij,ij->i", xp.minimum(a, 0), xp.broadcast_to(lines.offset[k], a.shape))
        a_z = a * slope
        if phase is not None:
            a_z = a_z - phase * duals.multipliers[k]
        constant = constant + a_z @ layer.bias
        layer.pull_into(coefs, a_z)
        chosen.append((a, slope, lower))
    form = coefs[0] if 0 in coefs else xp.zeros((len(constant), network.input_size), dtype=constant.dtype)
    return constant, form, chosen[::-1]
