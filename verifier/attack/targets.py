"""What an attack aims at: cases, each a set of rows that all have to fail somewhere in the case's box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.bounds.balls import INSIDE, Ball, OneNormBall, name_of
from relaxations.bounds.boxes import Rows

HALF = 0.5  # of the radius: where rounding would cost more, the radius is hardly worth the name


@dataclass(frozen=True, eq=False)
class Targets:
    """Case k fails at a point of box ``box[k]`` where its rows ``first[k]`` to ``first[k + 1]`` are all <= 0.

    Rows are ``x . input + y . output + constant``, of shapes (R, inputs), (R, outputs), (R,); ``x`` is None when none
    reads an input. ``lower``, ``upper`` (B, inputs) are the different boxes, so that cases may share one. Points have
    to be in the ``balls``, too, which are one for each norm: centres and radii (B, inputs), infinite where a box has
    none of it.
    """

    x: np.ndarray | None
    y: np.ndarray
    constant: np.ndarray
    first: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    box: np.ndarray
    balls: tuple[Ball, ...] = ()

    @staticmethod
    def of(
        rows: Sequence[Rows],
        lower: Sequence[np.ndarray],
        upper: Sequence[np.ndarray],
        balls: Sequence[Ball | None] | None = None,
    ) -> Targets:
        """One case for each of ``rows``, over the box [lower, upper] and the ball of the same index."""
        within = [None] * len(rows) if balls is None else balls
        boxes: dict[bytes, int] = {}
        names = [name_of(*inputs) for inputs in zip(lower, upper, within, strict=True)]
        box = [boxes.setdefault(name, len(boxes)) for name in names]
        cases = [box.index(b) for b in range(len(boxes))]
        return Targets(
            np.concatenate([r.x for r in rows]) if any(r.x.any() for r in rows) else None,
            np.concatenate([r.y for r in rows]),
            np.concatenate([r.constant for r in rows]),
            np.cumsum([0, *(len(r.constant) for r in rows)]),
            np.stack([lower[k] for k in cases]),
            np.stack([upper[k] for k in cases]),
            np.array(box),
            _stacked([within[k] for k in cases], lower[0].shape),
        )

    def moved_inside(self, points: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Points (P, inputs) moved into their boxes and balls: so far inside that float32 can still hold them."""
        low, up = self.lower[box], self.upper[box]
        points = np.clip(points, low, up) if not self.balls else points
        for all_balls in self.balls:
            balls = all_balls.of_points(box)
            moving = (low < up) | (balls.center != low)  # an input fixed at the centre is as far in any precision
            most = np.where(moving, np.maximum(-low, up), 0)
            rounding = np.finfo(np.float32).eps * type(balls)(np.zeros_like(low), balls.radii).lengths(most)
            points = balls.moved_inside(points, low, up, np.minimum(INSIDE + rounding, HALF)[:, None])
        return points

    @property
    def middle(self) -> np.ndarray:
        """A point (B, inputs) of every box and ball: the middle, or near it."""
        middle: np.ndarray = (self.lower + self.upper) / 2
        return self.moved_inside(middle, np.arange(len(middle))) if self.balls else middle

    @property
    def count(self) -> int:
        """The number of cases."""
        return len(self.box)

    def rows(self, points: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Values (P, R) of all rows."""
        values: np.ndarray = outputs @ self.y.T + self.constant
        return values if self.x is None else values + points @ self.x.T

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Value (P, C) of the best row of each case: at most 0 where the case fails; -inf for a case without rows."""
        best = np.full((len(rows), self.count), -np.inf, dtype=rows.dtype)
        some = np.flatnonzero(np.diff(self.first))
        if len(some):
            best[:, some] = np.maximum.reduceat(rows, self.first[:-1][some], axis=1)
        return best

    def best_rows(self, rows: np.ndarray, cases: np.ndarray) -> np.ndarray:
        """For each point (P,), which row is the best of its case; the case has at least one row."""
        spans = zip(rows, self.first[cases], self.first[cases + 1], strict=True)
        return np.array([start + int(values[start:end].argmax()) for values, start, end in spans], dtype=np.int64)

    def astype(self, dtype: type[np.floating]) -> Targets:
        """The same in ``dtype``, boxes rounded inward; an input that no number of the type fits is at its nearest."""
        low, up = self.lower.astype(dtype), self.upper.astype(dtype)
        low = np.where(low < self.lower, np.nextafter(low, dtype(np.inf)), low)
        up = np.where(up > self.upper, np.nextafter(up, dtype(-np.inf)), up)
        nearest = ((self.lower + self.upper) / 2).astype(dtype)
        none = low > up
        x = None if self.x is None else self.x.astype(dtype)
        low, up = np.where(none, nearest, low), np.where(none, nearest, up)
        balls = tuple(ball.astype(dtype) for ball in self.balls)
        return Targets(x, self.y.astype(dtype), self.constant.astype(dtype), self.first, low, up, self.box, balls)


def _stacked(balls: Sequence[Ball | None], shape: tuple[int, ...]) -> tuple[Ball, ...]:
    found = []
    for kind in (Ball, OneNormBall):
        own = [ball if type(ball) is kind else kind(np.zeros(shape), np.full(shape, np.inf)) for ball in balls]
        if any(ball is mine for ball, mine in zip(balls, own)):
            found.append(kind(*(np.stack(parts) for parts in zip(*own))))
    return tuple(found)
