"""When to stop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


class OutOfTime(Exception):
    """The deadline has passed."""


@dataclass(frozen=True)
class Deadline:
    """A point in time of the monotonic clock."""

    at: float

    @staticmethod
    def within(seconds: float) -> Deadline:
        return Deadline(time.monotonic() + seconds)

    @staticmethod
    def never() -> Deadline:
        return Deadline(math.inf)

    @property
    def left(self) -> float:
        """Seconds that remain, not negative."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise ``OutOfTime`` if it is over."""
        if time.monotonic() > self.at:
            raise OutOfTime
