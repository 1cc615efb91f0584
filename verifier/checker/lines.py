"""The two lines between which a ReLU (lemma L5) or a sign (L6) lies, rounded outward; what rounding is measured in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

U = 2.0**-52  # twice the unit roundoff, so that bounds hold in every IEEE rounding mode
TINY = 1e-200  # more than underflow loses in all (lemma L4)
LONGER = 2.001  # times the other end of a range of a sign: then its line is sloped; this and the next decide no truth
SHORTEST = 1e-30  # range of a sign on one side of 0 below which its lines are flat


@dataclass(frozen=True)
class Lines:
    """Lines of one node per box, (B, n), or (1, n) for all: lower slope, upper slope and offset, bound on |z|.

    ``shift`` is added to the coefficient of z: minus a multiplier >= 0 where z >= 0 is assumed, plus one where z <= 0.
    ``base`` is the offset of the lower lines of a sign; those of a ReLU have none.
    """

    below: Floats
    slope: Floats
    offset: Floats
    size: Floats
    shift: Floats | None = None
    base: Floats | None = None


def of_rows(part: Floats, index: NDArray[np.int64]) -> Floats:
    """The boxes ``index`` (N,) of something there is for each box: (N, n), or (1, n) where all share it."""
    return part if len(part) == 1 else part[index]


def lines_on(l: Floats, u: Floats) -> Lines:
    """Lines by L5, with the default slopes. The offset is 0 where the ReLU is stable and only there."""
    unstable = (l < 0) & (u > 0)
    width = np.where(unstable, u - l, 1.0)
    slope = np.clip(np.where(unstable, u / width, (l >= 0).astype(np.float64)), 0.0, 1.0)
    chord = np.maximum(-slope * l, (1.0 - slope) * u)
    offset = np.where(unstable, chord * (1 + 16 * U) + TINY, 0.0)
    below = np.where(unstable, (u > -l).astype(np.float64), slope)
    return Lines(below, slope, offset, np.maximum(np.abs(l), np.abs(u)))


def lines_of_sign(l: Floats, u: Floats) -> Lines:
    """Lines by L6: from -1 up to 1 over an end of a range that is much longer than the other, else constant.

    ``size`` also bounds slope times |z|: slopes may exceed 1.
    """
    unsure = (l < 0) & (u > 0)
    rising, falling = unsure & (u > -l * LONGER) & (u > SHORTEST), unsure & (-l > u * LONGER) & (-l > SHORTEST)
    below = np.where(rising, 2.0 / np.where(rising, u, 1.0), 0.0) * (1 - 4 * U)
    slope = np.where(falling, 2.0 / np.where(falling, -l, 1.0), 0.0) * (1 - 4 * U)
    largest = np.maximum(np.abs(l), np.abs(u))
    size = largest * np.maximum(np.maximum(below, slope), 1.0) * (1 + 8 * U) + 1.0
    return Lines(below, slope, np.sign(u), size, None, np.sign(l))
