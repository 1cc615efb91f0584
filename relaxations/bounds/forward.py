"""Forward bounds: every value as an affine function of the input, plus or minus a remainder (affine arithmetic)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from relaxations.bounds.balls import Ball, least
from relaxations.functions.relu import Lines
from relaxations.network import Layer, push

Array = Any


class Form(NamedTuple):
    """``|v - (generators . t + center)| <= remainder`` for |t| <= rad; shapes (B or 1, in, n), (B, n), (B, n).

    Up to the first ReLU all boxes share their generators, which then have a leading axis of 1.
    """

    generators: Array
    center: Array
    remainder: Array


def of_input(mid: Array, xp: ModuleType) -> Form:
    """The input itself: ``x = mid + t``."""
    return Form(xp.eye(mid.shape[1], dtype=mid.dtype)[None], mid, xp.zeros_like(mid))


def through_affine(layer: Layer, magnitudes: Layer, forms: Sequence[Form] | Mapping[int, Form]) -> Form:
    """Exact but for the remainder, which passes through the absolute weights (``magnitudes``)."""
    parts = [
        (push(w, forms[s].generators), push(w, forms[s].center), push(m, forms[s].remainder))
        for (s, w), (_, m) in zip(layer.terms, magnitudes.terms, strict=True)
    ]
    generators, center, remainder = parts[0]
    for g, c, r in parts[1:]:
        generators, center, remainder = generators + g, center + c, remainder + r
    return Form(generators, center + layer.bias, remainder)


def through_relu(form: Form, lines: Lines) -> Form:
    """``relu(z)`` lies in ``slope * z + [0, offset]`` for the slope and offset of the upper line."""
    half = lines.upper_offset / 2
    return Form(
        form.generators * lines.upper_slope[:, None, :],
        form.center * lines.upper_slope + half,
        form.remainder * lines.upper_slope + half,
    )


def interval(form: Form, rad: Array, xp: ModuleType, ball: Ball | None = None) -> tuple[Array, Array]:
    """Lower and upper bounds (B, n) of the value; with a ``ball`` of t, with centres (B, inputs), the better ones."""
    widths = xp.abs(form.generators)
    swing = rad @ widths[0] if len(widths) == 1 else xp.matmul(rad[:, None, :], widths)[:, 0]
    radius = swing + form.remainder
    if ball is None:
        return form.center - radius, form.center + radius
    if ball.norm == 1:
        low, up = _over_one_norm(form, rad, xp, ball)
        return xp.maximum(form.center - radius, low), xp.minimum(form.center + radius, up)
    half = xp.sqrt(xp.einsum("bij,i->bj", form.generators**2, ball.radii**2)) + form.remainder
    shift = (
        ball.center @ form.generators[0] if len(widths) == 1 else xp.matmul(ball.center[:, None], form.generators)[:, 0]
    )
    center = form.center + shift
    return xp.maximum(form.center - radius, center - half), xp.minimum(form.center + radius, center + half)


def _over_one_norm(form: Form, rad: Array, xp: ModuleType, ball: Ball) -> tuple[Array, Array]:
    """Bounds over box and ball, which need a sort for every value of every box."""
    lows, ups = [], []
    for b in range(len(rad)):
        rows, here = form.generators[b if len(form.generators) > 1 else 0].T, type(ball)(ball.center[b], ball.radii)
        lows.append(least(rows, 0 * rad[b], rad[b], here, xp)[0])
        ups.append(-least(-rows, 0 * rad[b], rad[b], here, xp)[0])
    return form.center + xp.stack(lows) - form.remainder, form.center + xp.stack(ups) + form.remainder
