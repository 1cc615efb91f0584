"""Linear bounds of the sign, which is -1, 0 or 1."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

Array = Any
SHORTEST = 1e-30  # range on one side of 0 below which lines are flat
ROUNDING = 1e-6  # a slope is less by this share, so that rounding does not make it too large
LONGER = 2.001  # times the other end of a range: then a sloped line pays; few ranges of small integers are near it


class Lines(NamedTuple):
    """``lower_slope * z + lower_offset <= sign(z) <= upper_slope * z + upper_offset`` for every z in [l, u]."""

    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array


def lines(l: Array, u: Array, xp: ModuleType) -> Lines:
    """From -1 up to 1 over an end of the range that is much longer than the other; constant where there is none.

    A sloped line is worse than a constant at the shorter end. Any slopes of 0 to 2 / u (below) and 0 to -2 / l (above)
    would be sound.
    """
    mixed = (l < 0) & (u > 0)
    zero = xp.zeros_like(l)
    rising = mixed & (u > -l * LONGER) & (u > SHORTEST)
    falling = mixed & (-l > u * LONGER) & (-l > SHORTEST)
    lower = xp.where(rising, 2 * (1 - ROUNDING) / xp.where(rising, u, 1), zero)
    upper = xp.where(falling, 2 * (1 - ROUNDING) / xp.where(falling, -l, 1), zero)
    return Lines(lower.astype(l.dtype), xp.sign(l), upper.astype(l.dtype), xp.sign(u))
