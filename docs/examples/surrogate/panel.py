"""A panel that judges moves, here a cheap function in the place of people or of a slow simulation."""

import numpy as np


def judge(x: np.ndarray, y: np.ndarray) -> float:
    """How acceptable the moves y are where the readings are x: below 0 the panel objects.

    Moves should be small and not all in one direction; where the first readings are high, the panel is less patient.
    """
    effort = float(np.abs(y).max())
    drift = abs(float(y.sum()))
    return 1.5 - 0.25 * effort - 0.125 * drift - 0.125 * max(0.0, float(x[0] + x[1]))
