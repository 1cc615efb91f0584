"""Euclidean balls as sets of inputs: linear forms bounded where a box and a ball meet, and points moved there.

For any split ``a = a' + a''`` of a form, its least value over the intersection of a box and a ball is at least

    least of a'.x over the box  +  least of a''.x over the ball,

and the best split attains it, because both sets are convex and compact. It belongs to the point
``x = clip(c - mu radii^2 a)`` for the ``mu`` at which x reaches the ball's surface: where x is not clipped all of the
coefficient is the ball's, elsewhere the ball takes ``(c - x) / (mu radii^2)``. A few passes find ``mu`` nearly; the
split of any pass is valid. On images cut off at the range of their pixels this is what a ball alone would lose: a pixel
that is black can only get brighter.

Source of the bound on a ball alone: the dual norm, Zhang et al. 2018, arXiv:1811.00866. The split is the conjugate of
a sum as an infimal convolution, Rockafellar 1970 (Convex Analysis), theorem 16.4.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from specs.problem import Case

Array = Any
PASSES = 1  # of the search for mu; more change bounds of images by a millionth of the radius (measured)
MANY_PASSES = 100  # to the last digit, for single points
INSIDE = 1e-9  # share of the radius by which points that are moved into a ball are moved further


class Ball(NamedTuple):
    """Inputs ``center + radii * t`` with ``|t|_2 <= 1``; shapes (n,), or (B, n) for a ball of each point.

    An infinite radius puts no limit on an input. The numbers are those of the search: the checker has exact ones.
    """

    center: Array
    radii: Array

    @staticmethod
    def of(case: Case) -> Ball | None:
        """The ball of a case in float64; None if it has none."""
        if case.ball is None:
            return None
        shares = [float(case.ball.bound / weight) for weight in case.ball.weights]
        return Ball(np.array([float(c) for c in case.ball.center]), np.sqrt(np.array(shares)))

    def astype(self, dtype: Any) -> Ball:
        return Ball(self.center.astype(dtype), self.radii.astype(dtype))

    def around(self, lower: np.ndarray, upper: np.ndarray) -> Ball:
        """The ball of what inputs differ by from the middles of boxes (B, n)."""
        return Ball(self.center - (lower + upper) / 2, self.radii)

    def tobytes(self) -> bytes:
        """Equal for equal balls."""
        return bytes(self.center.tobytes() + self.radii.tobytes())

    def lengths(self, x: np.ndarray) -> np.ndarray:
        """``|t|_2`` (B,) of points (B, n): at most 1 in the ball. An input of radius 0 counts for nothing at it."""
        return np.asarray(np.linalg.norm(self._scaled(x - self.center), axis=-1))

    def misses(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Which boxes (B, n) have no point in common with the ball, by more than rounding."""
        return np.asarray(self.lengths(np.clip(self.center, lower, upper)) > 1 + INSIDE)

    def moved_inside(self, x: np.ndarray, lower: np.ndarray, upper: np.ndarray, share: Any = INSIDE) -> np.ndarray:
        """Points (B, n) moved into ball and box, which meet: towards the centre, into the box, towards its nearest.

        They end at most at ``1 - share`` (a number or (B, 1)) of the ball's radius, where the box has such points.
        """
        with np.errstate(all="ignore"):
            length = self.lengths(x)[..., None]
            limit = 1 - share
            x = np.where(length > limit, self.center + (x - self.center) * (limit / length), x)
            x = np.clip(x, lower, upper)
            nearest = np.clip(self.center, lower, upper)
            start, way = self._scaled(nearest - self.center), self._scaled(x - nearest)
            square = (way * way).sum(axis=-1, keepdims=True)
            along = (start * way).sum(axis=-1, keepdims=True)
            left = np.maximum(limit * limit - (start * start).sum(axis=-1, keepdims=True), 0)
            most = (np.sqrt(along * along + square * left) - along) / np.where(square > 0, square, 1)
            moved = np.clip(nearest + (x - nearest) * np.minimum(most, 1), lower, upper)
            return np.where(self.lengths(x)[..., None] > limit, moved, x)

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(x == 0, 0, x / self.radii)


def least(form: Array, mid: Array, rad: Array, ball: Ball, xp: ModuleType, passes: int = PASSES) -> tuple[Array, Array]:
    """The least value (N,) of ``form . (x - mid)`` over ball and box, and about the point (N, n) that takes it.

    Forms are (N, n), ``mid`` and ``rad`` (n,) or (N, n). The value is a lower bound up to rounding, whatever the number
    of passes; where ball and box do not meet it may be anything.
    """
    positive = ball.radii > 0
    unit = xp.where(positive, ball.radii, 1)
    low = xp.where(positive, (mid - rad - ball.center) / unit, 0)
    up = xp.where(positive, (mid + rad - ball.center) / unit, 0)
    steep = form * ball.radii
    square = xp.einsum("ij,ij->i", steep, steep)[:, None]
    reach = 1 / xp.sqrt(xp.where(square > 0, square, 1))
    for _ in range(passes):
        wanted = -reach * steep
        t = xp.clip(wanted, low, up)
        clipped = wanted != t
        spent = xp.where(clipped, t * t, 0).sum(axis=1, keepdims=True)
        rest = xp.where(clipped, 0, steep * steep).sum(axis=1, keepdims=True)
        found = xp.sqrt((1 - spent) / xp.where(rest > 0, rest, 1))
        reach = xp.where((rest > 0) & (spent < 1), found, reach)
    wanted = -reach * steep
    t = xp.clip(wanted, low, up)
    of_ball = xp.where(wanted != t, -t / (reach * unit), form)
    in_ball = of_ball * ball.radii
    beside = ball.center - mid
    on_box = -(xp.abs(form) * rad).sum(axis=1)
    on_ball = (form * beside).sum(axis=1) - xp.sqrt(square[:, 0])
    split = (of_ball * beside).sum(axis=1) - (xp.abs(form - of_ball) * rad).sum(axis=1)
    split = split - xp.sqrt((in_ball * in_ball).sum(axis=1))
    both = xp.maximum(xp.where(xp.isfinite(split), split, on_ball), on_ball)
    x = xp.where(positive, ball.center + ball.radii * t, xp.clip(ball.center, mid - rad, mid + rad))
    return xp.maximum(both, on_box), xp.where((on_box > both)[:, None], mid - xp.sign(form) * rad, x)
