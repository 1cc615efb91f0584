"""What an attack has reached so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from verifier.attack.targets import Targets
from verifier.engine.deadline import Deadline

STEPS_TO_DEPTH = 10


@dataclass
class Best:
    """The least value seen of every case and a point that has it.

    Case k is of interest from ``stop_at[k]`` down. A value there is confirmed by ``exact(case, point)``, for values
    come in search precision. One confirmed case is enough once it is ``depth`` below, or has had some more steps.
    """

    targets: Targets
    stop_at: np.ndarray
    exact: Callable[[int, np.ndarray], float]
    deadline: Deadline
    values: np.ndarray = field(init=False)
    points: dict[int, np.ndarray] = field(default_factory=dict)
    depth: float = 0.0
    patience: int = STEPS_TO_DEPTH

    def __post_init__(self) -> None:
        self.values = np.full(self.targets.count, np.inf)

    def see(self, points: np.ndarray, cases: np.ndarray, values: np.ndarray) -> bool:
        """Note values (P, C) at points in the boxes of the given cases (P,); whether it is time to end."""
        elsewhere = self.targets.box[cases][:, None] != self.targets.box
        values = np.where(elsewhere | np.isnan(values), np.inf, values)
        at = values.argmin(axis=0)
        least = values[at, np.arange(len(at))]
        for k in np.flatnonzero(least < self.values).tolist():
            point, value = points[at[k]].copy(), float(least[k])
            if value <= self.stop_at[k]:
                value = self.exact(k, point)
            if value < self.values[k]:
                self.values[k], self.points[k] = value, point
        self.patience -= bool((self.values <= self.stop_at).any())
        return self.enough

    @property
    def enough(self) -> bool:
        deep = bool((self.values <= self.stop_at - self.depth).any())
        return deep or self.patience < 0 or self.deadline.over
