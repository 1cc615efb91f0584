"""Enumeration: where inputs are finitely many, nothing is relaxed and the dual is the explicit list of all of them.

The adversary has the inputs themselves. The dual names for every input a row of the query, and bounds the score by the
largest negated value of a named row: a proof lists one row for each input, however many inputs there are. It is the
far end of the frontier, exact and exponentially long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from relaxations.base import Query, Relaxation, Solution

LARGEST = 1 << 20  # inputs of a list
VALUES_AT_ONCE = 1 << 20  # of one pass through the network


@dataclass(frozen=True)
class Grid:
    """``steps`` equally spaced values of each input in [``lower``, ``upper``] (n,), the ends among them; 2 or more.

    An input with ``lower = upper`` has this one value.
    """

    lower: np.ndarray
    upper: np.ndarray
    steps: int

    @property
    def count(self) -> int:
        """How many points there are; an integer of any size."""
        return self.steps ** int((self.upper > self.lower).sum())

    @cached_property
    def points(self) -> np.ndarray:
        """All of them (count, n), the last input that varies changing fastest."""
        live = np.flatnonzero(self.upper > self.lower)
        points = np.repeat(self.lower[None], self.count, axis=0)
        places = np.indices((self.steps,) * len(live)).reshape(len(live), -1).T
        points[:, live] = self._values(places, live)
        return points

    def nearest(self, x: np.ndarray) -> np.ndarray:
        """Of each input (B, n) the nearest point."""
        live = np.flatnonzero(self.upper > self.lower)
        share = (x[:, live] - self.lower[live]) / (self.upper - self.lower)[live]
        nearest = np.repeat(self.lower[None], len(x), axis=0)
        nearest[:, live] = self._values(np.rint(np.clip(share, 0, 1) * (self.steps - 1)), live)
        return nearest

    def _values(self, places: np.ndarray, live: np.ndarray) -> np.ndarray:
        """The same floats in both methods; the ends are those of the box, exactly."""
        lower, upper = self.lower[live], self.upper[live]
        inner = lower + places * ((upper - lower) / (self.steps - 1))
        return np.where(places == self.steps - 1, upper, np.minimum(inner, upper))


class Enumeration(Relaxation[np.ndarray, np.ndarray]):
    """A: the ``points`` (P, n), inputs of the box; without them the box's only point.

    With points the question is asked about these alone. Every other relaxation of the query is one of this question
    too, because the box contains them. Actions are inputs (n,). The dual (P,) names a row for each point.
    """

    name: ClassVar[str] = "enumerate"

    def __init__(self, query: Query, points: np.ndarray | None = None) -> None:
        super().__init__(query)
        self.points = query.lower[None] if points is None else points
        if not len(self.points) or (self.points < query.lower).any() or (self.points > query.upper).any():
            raise ValueError("the points have to be inputs of the box, at least one")

    @classmethod
    def declines(cls, query: Query, count: int | None = None) -> str:
        """``count`` is the number of points; without it the box has to be a single one."""
        if count is None and (query.upper > query.lower).any():
            return "the inputs of the box are not finitely many"
        if count is not None and count > LARGEST:
            return f"its list would have {count if count < 10**12 else f'{float(count):.1e}'} rows, more than {LARGEST}"
        return ""

    def embed(self, x: np.ndarray) -> np.ndarray:
        return x

    def outside(self, action: np.ndarray) -> float:
        """The distance to the nearest point, by the input that differs most."""
        return float(np.abs(self.points - action).max(axis=1, initial=0.0).min())

    def score(self, action: np.ndarray) -> float:
        return float(self.query.score(action[None])[0])

    def solve(self, seconds: float = np.inf) -> Solution[np.ndarray, np.ndarray]:
        """Every point is evaluated; out of time, the value is inf and there is no dual."""
        started = time.monotonic()
        dual = np.zeros(len(self.points), dtype=np.int64)
        value, best = -np.inf, self.points[0]
        finished = True
        for part in self._parts():
            if time.monotonic() - started > seconds:
                finished = False
                break
            margins = self.query.margins(self.points[part])
            dual[part] = margins.argmax(axis=1)
            scores = _numbers(-margins.max(axis=1))
            if scores.max() > value:
                value, best = float(scores.max()), self.points[part][scores.argmax()]
        spent = time.monotonic() - started
        attained = self.score(best)
        return Solution(value if finished else np.inf, dual if finished else None, best, attained, finished, spent)

    def bound(self, dual: np.ndarray) -> float:
        """The largest negated value of the rows named; raises ValueError if the list leaves points out."""
        if len(dual) != len(self.points):
            raise ValueError(f"the list has {len(dual)} rows for {len(self.points)} points")
        named = (
            np.take_along_axis(self.query.margins(self.points[p]), dual[p][:, None], axis=1) for p in self._parts()
        )
        return max(float(_numbers(-values).max()) for values in named)

    def named(self, dual: np.ndarray, part: slice = slice(None)) -> np.ndarray:
        """The values (p,) of the rows that a dual names, at some of the points."""
        margins = self.query.margins(self.points[part])
        return np.take_along_axis(margins, dual[part][:, None], axis=1)[:, 0]

    def some_dual(self, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(len(self.query.rows.constant), size=len(self.points))

    def input_of(self, action: np.ndarray) -> np.ndarray:
        return action

    def _parts(self) -> Iterator[slice]:
        size = max(1, VALUES_AT_ONCE // (sum(self.query.network.widths) + 1))
        return (slice(at, at + size) for at in range(0, len(self.points), size))


def _numbers(scores: np.ndarray) -> np.ndarray:
    """Scores with inf for what is no number: nothing is known of it."""
    return np.where(np.isnan(scores), np.inf, scores)
