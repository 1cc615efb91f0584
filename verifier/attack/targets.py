"""What an attack aims at: cases, each a set of rows that all have to fail somewhere in the case's box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.bounds.boxes import Rows


@dataclass(frozen=True, eq=False)
class Targets:
    """Case k fails at a point of box ``box[k]`` where its rows ``first[k]`` to ``first[k + 1]`` are all <= 0.

    Rows are ``x . input + y . output + constant``, of shapes (R, inputs), (R, outputs), (R,); ``x`` is None when none
    reads an input. ``lower``, ``upper`` (B, inputs) are the different boxes, so that cases may share one.
    """

    x: np.ndarray | None
    y: np.ndarray
    constant: np.ndarray
    first: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    box: np.ndarray

    @staticmethod
    def of(rows: Sequence[Rows], lower: Sequence[np.ndarray], upper: Sequence[np.ndarray]) -> Targets:
        """One case for each of ``rows``, over the box [lower, upper] of the same index."""
        boxes: dict[bytes, int] = {}
        box = [boxes.setdefault(l.tobytes() + u.tobytes(), len(boxes)) for l, u in zip(lower, upper, strict=True)]
        cases = [box.index(b) for b in range(len(boxes))]
        return Targets(
            np.concatenate([r.x for r in rows]) if any(r.x.any() for r in rows) else None,
            np.concatenate([r.y for r in rows]),
            np.concatenate([r.constant for r in rows]),
            np.cumsum([0, *(len(r.constant) for r in rows)]),
            np.stack([lower[k] for k in cases]),
            np.stack([upper[k] for k in cases]),
            np.array(box),
        )

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
        return Targets(x, self.y.astype(dtype), self.constant.astype(dtype), self.first, low, up, self.box)
