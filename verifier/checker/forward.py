"""Forward forms: every value as an affine function of the input, plus or minus a remainder that pays for rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verifier.checker.ball import Ball
from verifier.checker.lines import TINY, Floats, Lines, U


@dataclass(frozen=True)
class Forward:
    """``|v - (generators . (x - mid) + center)| <= remainder``: shapes (B or 1, in, n), then (B, n) each.

    Where ``in`` is 0 there are no generators: the form is then an interval, center +- remainder. Where it exceeds the
    number of inputs, the generators behind theirs belong to symbols in [-1, 1], the same ones in all forms of a box.

    ``size`` bounds both |v| and ``|generators| . rad + |center|``, the quantities rounding is charged to.
    """

    generators: Floats
    center: Floats
    remainder: Floats
    size: Floats


def range_of(form: Forward, rad: Floats, gamma: float) -> tuple[Floats, Floats]:
    """Interval of a forward form over boxes with these radii (B, in), rounded outward."""
    gamma = _gamma_of(form.generators, gamma)
    radius = (_swing(form.generators, rad) + form.remainder) * (1 + 4 * gamma) + 4 * U * np.abs(form.center) + TINY
    return form.center - radius, form.center + radius


def range_in(ball: Ball, form: Forward, mid: Floats, rad: Floats, gamma: float) -> tuple[Floats, Floats]:
    """Interval over the ball of a forward form that has generators, rounded outward; infinite where it overflows.

    Inputs are also within ``rad`` (B, inputs) of ``mid``, as in ``range_of``.
    """
    gamma, inputs = _gamma_of(form.generators, gamma), mid.shape[1]
    moved, *reaches = ball.over(form.generators[:, :inputs], mid, rad, gamma)
    center = form.center + moved
    others = np.abs(form.generators[:, inputs:]).sum(axis=1) + form.remainder
    fall, rise = ((reach + others) * (1 + 4 * gamma) + 4 * U * np.abs(center) + TINY for reach in reaches)
    sound = np.isfinite(center) & np.isfinite(fall) & np.isfinite(rise)
    return np.where(sound, center - fall, -np.inf), np.where(sound, center + rise, np.inf)


def output_size(form: Forward, lines: Lines, u: Floats) -> Floats:
    """Bound on a ReLU's value and on the parts of its forward form."""
    return np.maximum(np.maximum(u, 0.0), (form.size * lines.slope + 0.5 * lines.offset) * (1 + 4 * U))


def through(form: Forward, lines: Lines, size: Floats) -> Forward:
    """The forward form ``s z + t/2 +- t/2`` of a ReLU."""
    half = 0.5 * lines.offset
    # Slopes 0 and 1 multiply exactly, and then the offset is 0.
    rounding = np.where(lines.offset > 0, 16 * U * (form.size + lines.size), 0.0)
    return Forward(
        form.generators * lines.slope[:, None, :],
        form.center * lines.slope + half,
        (form.remainder * lines.slope + half) * (1 + 4 * U) + rounding,
        size,
    )


def with_symbols(form: Forward, lines: Lines, u: Floats, rad: Floats, first: int, gamma: float) -> Forward:
    """The form ``s z + t/2 + t/2 e`` of a ReLU on one box, with a symbol e of its own for each unstable neuron.

    The new generators are those from number ``first`` on; no other form may have used these numbers.
    """
    unstable = np.flatnonzero(lines.offset[0] > 0)
    known = form.generators.shape[1]
    generators = np.zeros((1, first + len(unstable), form.generators.shape[2]))
    np.multiply(form.generators, lines.slope[:, None, :], out=generators[:, :known])
    generators[0, first + np.arange(len(unstable)), unstable] = 0.5 * lines.offset[0, unstable]
    center = form.center * lines.slope + 0.5 * lines.offset
    rounding = np.where(lines.offset > 0, 16 * U * (form.size + lines.size), 0.0)
    remainder = form.remainder * lines.slope * (1 + 4 * U) + rounding
    size = (_swing(generators, rad) + np.abs(center)) * (1 + 4 * _gamma_of(generators, gamma)) + TINY
    return Forward(generators, center, remainder, np.maximum(np.maximum(u, 0.0), size))


def summed(one: Floats, other: Floats) -> Floats:
    """The sum of generators (B or 1, in, n); those that one of them does not have are 0."""
    few, many = sorted((one, other), key=lambda part: part.shape[1])
    if few.shape[1] == many.shape[1]:
        return few + many
    if not few.shape[1]:
        return many
    return np.concatenate([many[:, : few.shape[1]] + few, many[:, few.shape[1] :]], axis=1)


def _swing(generators: Floats, rad: Floats) -> Floats:
    """How far the generators' part of forms moves from 0 (B, n), up to rounding."""
    widths = np.abs(generators)
    symbols = max(0, widths.shape[1] - rad.shape[1])
    reach = np.pad(rad, ((0, 0), (0, symbols)), constant_values=1.0)[:, : widths.shape[1]]  # nothing, for an interval
    moved: Floats = reach @ widths[0] if len(widths) == 1 else np.matmul(reach[:, None, :], widths)[:, 0]
    return moved


def _gamma_of(generators: Floats, gamma: float) -> float:
    """The network's gamma, or L1's for sums over all generators, of which there may be more than terms anywhere."""
    return max(gamma, float(2 * generators.shape[1] + 64) * U)


def clipped(l: Floats, u: Floats) -> Forward:
    """The interval [max(l, 0), max(u, 0)] as a form without generators, rounded outward."""
    low, up = np.maximum(l, 0.0), np.maximum(u, 0.0)
    center = low + 0.5 * (up - low)
    remainder = np.maximum(up - center, center - low) * (1 + 4 * U) + TINY
    return Forward(np.zeros((1, 0, l.shape[1])), center, remainder, np.maximum(low, up) * (1 + 8 * U) + 2 * TINY)


def stepped(l: Floats, u: Floats) -> Forward:
    """The interval [sign(l), sign(u)] as a form without generators; nothing is rounded."""
    low, up = np.sign(l), np.sign(u)
    center, remainder = 0.5 * (low + up), 0.5 * (up - low)
    return Forward(np.zeros((1, 0, l.shape[1])), center, remainder, np.maximum(np.abs(low), np.abs(up)) + TINY)
