"""One shared point in time after which nothing new is started."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """``at`` is a reading of ``time.monotonic``, which forked workers share."""

    at: float

    @staticmethod
    def after(seconds: float) -> Deadline:
        return Deadline(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        return self.at - time.monotonic()

    @property
    def over(self) -> bool:
        return self.remaining <= 0

    def earlier(self, seconds: float) -> Deadline:
        """The same deadline moved forward, to leave time for what has to follow."""
        return Deadline(self.at - seconds)


def earliest(*deadlines: Deadline) -> Deadline:
    return min(deadlines, key=lambda deadline: deadline.at)
