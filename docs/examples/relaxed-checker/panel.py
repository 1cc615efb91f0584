"""The panel that is asked: nothing is known of it but its answers. A real one would take minutes."""

from __future__ import annotations

import numpy as np


def judge(x: np.ndarray, y: np.ndarray) -> float:
    """Below 0 where the panel objects: too much heat, by the warmest corner of the room and what the heater adds."""
    room, power = x[1:5], y[0]
    return 1.02 - (0.75 * power + 0.9 * room.max())
