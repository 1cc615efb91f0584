"""Balls of the norm 1 cut by boxes: least values of linear forms, and nearest points.

Let q be the point of the box that is nearest to the centre c. On the box ``|x_i - c_i| = |x_i - q_i| + |q_i - c_i|``,
so that there the ball is one around q with what q leaves of the radius. With ``t_i = |x_i - q_i| / r_i`` a form falls
by at most ``|a_i| r_i`` for each unit of ``t_i``, of which the box allows ``room_i / r_i`` and the ball all in all
what is left: a knapsack whose goods can be divided. Spending on the largest ``|a_i| r_i`` first is optimal (Dantzig
1957, Operations Research 5, 266), so the least value over both sets is exact.

Nearest points keep the signs of ``x - q`` and shrink by a threshold, ``max(|x_i - q_i| - mu / r_i, 0)`` within the
room: Duchi, Shalev-Shwartz, Singer and Chandra 2008, ICML; with a box Croce and Hein 2021, arXiv:2103.01208.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

Array = Any
HALVINGS = 40  # of the interval of the threshold; what is left is moved along a line


def least(form: Array, mid: Array, rad: Array, center: Array, radii: Array, xp: ModuleType) -> tuple[Array, Array]:
    """The least value (N,) of ``form . (x - mid)`` over ball and box, and the point (N, n) that takes it.

    Forms are (N, n), ``mid`` and ``rad`` (n,) or (N, n), ``center`` and ``radii`` likewise; radii are finite. Where
    ball and box do not meet the value is at least what it is over the ball alone, and the point the box's nearest.
    """
    away = center - mid + 0 * form
    nearest = xp.clip(away, -rad, rad)
    unit = xp.where(radii > 0, radii, 1)
    left = 1 - (xp.abs(away - nearest) / unit).sum(axis=1, keepdims=True)
    gain = xp.abs(form) * radii
    room = xp.where(radii > 0, (rad + xp.sign(form) * nearest) / unit, 0)
    order = xp.argsort(-gain, axis=1)
    rooms = xp.take_along_axis(room, order, axis=1)
    before = xp.cumsum(rooms, axis=1) - rooms
    spent = xp.take_along_axis(xp.clip(xp.maximum(left, 0) - before, 0, rooms), xp.argsort(order, axis=1), axis=1)
    moved = nearest - xp.sign(form) * radii * spent
    return (form * moved).sum(axis=1) - xp.minimum(left[:, 0], 0) * gain.max(axis=1), mid + moved


def projected(
    x: np.ndarray, nearest: np.ndarray, radii: np.ndarray, lower: np.ndarray, upper: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """About the points of box and ball that are nearest to given ones (B, n), or these where they lie in both.

    ``nearest`` is the box's point next to the ball's centre, and ``left`` (B, 1) what it leaves of the radius 1. An
    infinite radius puts no limit on an input, and a radius of 0 leaves it at its nearest.
    """
    limited, way = np.isfinite(radii), x - nearest
    unit = np.where(limited & (radii > 0), radii, 1)
    room = np.where(way > 0, upper - nearest, nearest - lower)
    length = np.where(radii > 0, np.abs(way), 0)

    def shrunk(mu: np.ndarray) -> np.ndarray:
        shorter = np.where(limited, np.maximum(length - mu / unit, 0), length)
        return np.minimum(shorter, room)

    def outside(mu: np.ndarray) -> np.ndarray:
        spent = np.where(limited, shrunk(mu) / unit, 0).sum(axis=-1, keepdims=True)
        return np.asarray(spent > left)

    none = np.zeros_like(length[..., :1])
    low, high = none, np.where(limited, length * unit, 0).max(axis=-1, keepdims=True)
    beyond = outside(none)
    for _ in range(HALVINGS if beyond.any() else 0):
        middle = (low + high) / 2
        too_long = outside(middle)
        low, high = np.where(too_long, middle, low), np.where(too_long, high, middle)
    moved: np.ndarray = np.where(beyond, nearest + np.sign(way) * shrunk(high), x)
    return np.clip(moved, lower, upper)
