"""What the unproved rows of a node show, gathered row by row."""

from __future__ import annotations

import numpy as np


class View:
    """What the unproved rows of one node show: their places, the worst of them, and the neurons' costs together."""

    def __init__(self, depth: int) -> None:
        self.places: list[int] = []
        self.bound, self.missing, self.worst = np.inf, 0.0, 0
        self.point = np.zeros(0)
        self.cost: list[np.ndarray] = [np.zeros(1)] * depth
        self.by_upper = np.zeros(1, dtype=bool)

    def add(self, place: int, bound: float, point: np.ndarray, cost: list[np.ndarray], last: np.ndarray) -> None:
        """One row: ``last`` (n,) are its coefficients on the last layer."""
        bound = -np.inf if np.isnan(bound) else bound
        self.places.append(place)
        self.missing += min(0.0, bound)
        self.cost = [total + part for total, part in zip(self.cost, cost)]
        self.by_upper = self.by_upper | (last < 0)
        if len(self.places) == 1 or bound < self.bound:
            self.bound, self.point, self.worst = bound, point.astype(float), place
