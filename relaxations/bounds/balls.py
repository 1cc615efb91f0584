"""Balls as sets of inputs: linear forms bounded where a box and a ball meet, and points moved there.

What is said here is of Euclidean balls; `one_norm` has the others.

Over box and ball a form is at least what it is at its least over either: the checker, and so the search, takes the
better of the two. More is true: for any split ``a = a' + a''`` the form is at least

    least of a'.x over the box  +  least of a''.x over the ball,

and the best split attains its least value on the intersection, because both sets are convex and compact. It belongs to
the point ``x = clip(c - mu radii^2 a)`` for the ``mu`` at which x reaches the ball's surface: where x is not clipped
all of the coefficient is the ball's, elsewhere the ball takes ``(c - x) / (mu radii^2)``. A few passes find ``mu``
nearly, and the split of any pass is valid. Minimisers are found so: where attacks begin, and relaxed actions.

Source of the bound on a ball: the dual norm, Zhang et al. 2018, arXiv:1811.00866. The split is the conjugate of a sum
as an infimal convolution, Rockafellar 1970 (Convex Analysis), theorem 16.4.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from relaxations.bounds import one_norm
from specs import problem
from specs.problem import Case

Array = Any
PASSES = 0  # of the search for mu in bounds that are to be proved: the checker takes the better of box and ball
MANY_PASSES = 100  # to the last digit, for single points
INSIDE = 1e-9  # share of the radius by which points that are moved into a ball are moved further


class Ball(NamedTuple):
    """Inputs ``center + radii * t`` with ``|t|_2 <= 1``; shapes (n,), or (B, n) for a ball of each point.

    An infinite radius puts no limit on an input. The numbers are those of the search: the checker has exact ones.
    `OneNormBall` has ``|t|_1 <= 1`` in its place.
    """

    center: Array
    radii: Array
    norm = 2

    @staticmethod
    def of(case: Case) -> Ball | None:
        """The ball of a case in float64; None if it has none."""
        return None if case.ball is None else Ball.rounded(case.ball)

    @staticmethod
    def rounded(ball: problem.Ball) -> Ball:
        """An exact ball in float64."""
        center, shares = np.array([float(c) for c in ball.center]), [float(ball.bound / w) for w in ball.weights]
        return OneNormBall(center, np.array(shares)) if ball.norm == 1 else Ball(center, np.sqrt(np.array(shares)))

    def astype(self, dtype: Any) -> Ball:
        return type(self)(self.center.astype(dtype), self.radii.astype(dtype))

    def of_points(self, which: np.ndarray) -> Ball:
        """Those of some points, of balls of their own each."""
        return type(self)(self.center[which], self.radii[which])

    def around(self, lower: np.ndarray, upper: np.ndarray) -> Ball:
        """The ball of what inputs differ by from the middles of boxes (B, n)."""
        return type(self)(self.center - (lower + upper) / 2, self.radii)

    @property
    def is_linear(self) -> bool:
        """Whether a linear program can state it: the norm is 1, and every input has a radius."""
        return self.norm == 1 and bool(((self.radii > 0) & np.isfinite(self.radii)).all())

    def tobytes(self) -> bytes:
        """Equal for equal balls."""
        return bytes([self.norm]) + bytes(self.center.tobytes() + self.radii.tobytes())

    def lengths(self, x: np.ndarray) -> np.ndarray:
        """``|t|`` (B,) of points (B, n): at most 1 in the ball. An input of radius 0 counts for nothing at it."""
        return np.asarray(np.linalg.norm(self._scaled(x - self.center), ord=self.norm, axis=-1))

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


class OneNormBall(Ball):
    """Inputs ``center + radii * t`` with ``|t|_1 <= 1``; otherwise as a `Ball`."""

    norm = 1

    def moved_inside(self, x: np.ndarray, lower: np.ndarray, upper: np.ndarray, share: Any = INSIDE) -> np.ndarray:
        """Points (B, n) moved into ball and box, which meet: to the nearest ones there, nearly.

        They end at most at ``1 - share`` (a number or (B, 1)) of the ball's radius, where the box has such points.
        """
        with np.errstate(all="ignore"):
            nearest = np.clip(self.center, lower, upper)
            moved = one_norm.projected(
                x, nearest, self.radii, lower, upper, 1 - share - self.lengths(nearest)[..., None]
            )
            # From the nearest point on, the length grows along a line; what rounding left outside comes back on it.
            length, start = self.lengths(moved)[..., None], self.lengths(nearest)[..., None]
            inside = np.clip((1 - share - start) / (length - start), 0, 1)
            back = np.clip(nearest + (moved - nearest) * inside, lower, upper)
            return np.where(length > 1 - share, np.where(length > start, back, nearest), moved)


def moved_inside(x: np.ndarray, lower: np.ndarray, upper: np.ndarray, ball: Ball | None) -> np.ndarray:
    """Points (B, n) near those given, in the box and in the ball if there is one."""
    return np.clip(x, lower, upper) if ball is None else ball.moved_inside(x, lower, upper)


def name_of(lower: np.ndarray, upper: np.ndarray, ball: Ball | None) -> bytes:
    """Equal for equal sets of inputs."""
    return lower.tobytes() + upper.tobytes() + (b"" if ball is None else ball.tobytes())


def least(form: Array, mid: Array, rad: Array, ball: Ball, xp: ModuleType, passes: int = PASSES) -> tuple[Array, Array]:
    """The least value (N,) of ``form . (x - mid)`` over ball and box, and about the point (N, n) that takes it.

    Forms are (N, n), ``mid`` and ``rad`` (n,) or (N, n). The value is a lower bound up to rounding, whatever the number
    of passes: without any the better of those over the box and over the ball, with many the best there is. Where ball
    and box do not meet it may be anything.
    """
    if ball.norm == 1:
        return one_norm.least(form, mid, rad, ball.center, ball.radii, xp)
    steep = form * ball.radii
    square = xp.einsum("ij,ij->i", steep, steep)[:, None]
    reach = 1 / xp.sqrt(xp.where(square > 0, square, 1))
    beside = ball.center - mid
    on_box = -(xp.abs(form) * rad).sum(axis=1)
    best = (form * beside).sum(axis=1) - xp.sqrt(square[:, 0])
    x = ball.center - ball.radii * (reach * steep)
    if passes:
        of_ball, x = _split(form, steep, reach, (mid - rad, mid + rad), ball, xp, passes)
        in_ball = of_ball * ball.radii
        split = (of_ball * beside).sum(axis=1) - (xp.abs(form - of_ball) * rad).sum(axis=1)
        split = split - xp.sqrt((in_ball * in_ball).sum(axis=1))
        best = xp.maximum(xp.where(xp.isfinite(split), split, best), best)
    return xp.maximum(best, on_box), xp.where((on_box > best)[:, None], mid - xp.sign(form) * rad, x)


def share_of(form: np.ndarray, mid: np.ndarray, rad: np.ndarray, ball: Ball) -> np.ndarray:
    """The part a'' (N, n) of forms that a Euclidean ball bounds in their best split over box and ball."""
    steep = form * ball.radii
    size = np.linalg.norm(steep, axis=1, keepdims=True)
    found, _ = _split(form, steep, 1 / np.where(size > 0, size, 1), (mid - rad, mid + rad), ball, np, MANY_PASSES)
    return np.where(np.isfinite(found), found, 0.0)


def _split(
    form: Array, steep: Array, reach: Array, box: tuple[Array, Array], ball: Ball, xp: ModuleType, passes: int
) -> tuple[Array, Array]:
    """The ball's part of forms (N, n), and the points (N, n) that it belongs to; ``reach`` (N, 1) is the first mu."""
    positive = ball.radii > 0
    unit = xp.where(positive, ball.radii, 1)
    low, up = (xp.where(positive, (side - ball.center) / unit, 0) for side in box)
    below, above = 0 * reach, reach + xp.inf  # |t| grows with it
    for _ in range(passes):
        wanted = -reach * steep
        t = xp.clip(wanted, low, up)
        clipped = wanted != t
        spent = xp.where(clipped, t * t, 0).sum(axis=1, keepdims=True)
        rest = xp.where(clipped, 0, steep * steep).sum(axis=1, keepdims=True)
        inside = spent + reach * reach * rest <= 1
        below, above = xp.where(inside, reach, below), xp.where(inside, above, reach)
        found = xp.sqrt(xp.maximum(1 - spent, 0) / xp.where(rest > 0, rest, 1))
        usable = (rest > 0) & (spent < 1) & (found >= below) & (found <= above)
        reach = xp.where(usable, found, xp.where(above < xp.inf, (below + above) / 2, 2 * reach))
    wanted = -reach * steep
    t = xp.clip(wanted, low, up)
    x = xp.where(positive, ball.center + ball.radii * t, xp.clip(ball.center, *box))
    return xp.where(wanted != t, -t / (reach * unit), form), x
