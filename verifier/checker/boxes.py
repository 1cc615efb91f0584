"""Batches of boxes, the rows that are bounded over them, and what bounding a network on them found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verifier.checker.ball import Ball
from verifier.checker.lines import Lines, U
from verifier.checker.pairs import PairLines

Floats = NDArray[np.float64]

MAX_MAGNITUDE = 1e80


@dataclass(frozen=True)
class Rows:
    """Rows ``x_coefs . x + y_coefs . y + constant`` in float64, with what rounding them to float64 changed.

    Shapes (R, inputs), (R, outputs), (R,). The exact rational row differs from this one by a relative error of at
    most U in each coefficient and in the constant.
    """

    x: Floats
    y: Floats
    constant: Floats


@dataclass(frozen=True)
class Boxes:
    """``|x - mid| <= rad`` contains the box [lower, upper]; all shapes (B, inputs).

    Where there is a ``ball``, what is asked about is only what it has of the boxes.
    """

    lower: Floats
    upper: Floats
    mid: Floats
    rad: Floats
    ball: Ball | None = None

    @staticmethod
    def of(lower: Floats, upper: Floats, ball: Ball | None = None) -> Boxes:
        mid = lower + 0.5 * (upper - lower)
        rad = np.maximum(upper - mid, mid - lower)
        return Boxes(lower, upper, mid, rad * (1 + 4 * U) + np.where(rad > 0, 5e-324, 0.0), ball)

    def __getitem__(self, where: NDArray[np.bool_]) -> Boxes:
        return Boxes(self.lower[where], self.upper[where], self.mid[where], self.rad[where], self.ball)


@dataclass(frozen=True)
class AffineBound:
    """``row(x) >= form . (x - mid) + constant - error`` for all real x of the box, and of the ball if there is one.

    Shapes (B, R, inputs), (B, R), (B, R). ``lower`` bounds the right-hand side there from below: its least value over
    the box or over the ball, whichever is larger. It is -inf where anything overflowed.
    """

    form: Floats
    constant: Floats
    error: Floats
    lower: Floats

    def __getitem__(self, where: NDArray[np.bool_]) -> AffineBound:
        return AffineBound(self.form[where], self.constant[where], self.error[where], self.lower[where])


@dataclass(frozen=True)
class Relaxation:
    """A batch of boxes with, by ReLU node, the lines and the ranges of its argument, and bounds on every |value|.

    ``differences`` are the lines of pairs, by the second node of each.
    """

    boxes: Boxes
    lines: dict[int, Lines]
    ranges: dict[int, tuple[Floats, Floats]]
    sizes: dict[int, Floats]
    differences: dict[int, PairLines] = field(default_factory=dict)

    @property
    def within_caps(self) -> NDArray[np.bool_]:
        """Boxes (B,) on which no value is too large for lemma L4."""
        largest = np.max([size.max(axis=1, initial=0.0) for size in self.sizes.values()], axis=0)
        return np.asarray(largest < MAX_MAGNITUDE)
