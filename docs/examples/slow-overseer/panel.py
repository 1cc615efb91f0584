"""A panel that judges what a network did, here a cheap function in the place of people or of a slow simulation."""

import numpy as np


def judge(x: np.ndarray, y: np.ndarray) -> float:
    """How acceptable the answer y is for x: below 0 the panel objects.

    It wants y[0] close to what the sum of the positive parts of x says, and objects strongly where all are large.
    """
    return 0.5 - abs(float(y[0]) - float(np.maximum(x, 0).mean())) - 16.0 * max(0.0, float(x.min()) - 0.9)


def strict(x: np.ndarray, y: np.ndarray) -> float:
    """The same panel with less patience."""
    return judge(x, y) - 0.45
