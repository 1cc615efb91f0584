"""ReLU: ``a = max(0, z)`` with ``l <= z <= u``."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

Array = Any


class Lines(NamedTuple):
    """``lower_slope * z <= relu(z) <= upper_slope * z + upper_offset`` for every z in [l, u]."""

    lower_slope: Array
    upper_slope: Array
    upper_offset: Array


def lines(l: Array, u: Array, xp: ModuleType) -> Lines:
    """The triangle's upper edge and the lower line through 0 of slope 0 or 1, whichever leaves the smaller area.

    Stable neurons get their exact line on both sides. Any lower slope in [0, 1] would be sound.
    Source: Zhang et al. 2018 (CROWN), arXiv:1811.00866; the adaptive slope is their section 3.3.
    """
    unstable = (l < 0) & (u > 0)
    active = l >= 0
    width = xp.where(unstable, u - l, 1)
    one = xp.ones_like(l)
    upper_slope = xp.where(unstable, u / width, xp.where(active, one, 0 * one))
    upper_offset = xp.where(unstable, -upper_slope * l, 0 * one)
    lower_slope = xp.where(unstable, xp.where(u > -l, one, 0 * one), upper_slope)
    return Lines(lower_slope, upper_slope, upper_offset)
