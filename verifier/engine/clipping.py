"""Shrinking open boxes to where a violation can still be, with the rows' affine lower bounds (search precision)."""

from __future__ import annotations

import numpy as np

PASSES = 2
SLACK = 1e-6  # relative to the box: the search's boxes should contain those the checker derives from the same tree


def clip(
    form: np.ndarray, at_mid: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds on each input implied by ``form . (x - mid) + at_mid <= 0`` for all rows, and where none is left.

    Shapes (B, R, in), (B, R), (B, in), (B, in).
    """
    mid, slack = (lower + upper) / 2, SLACK * (upper - lower)
    low, up = lower, upper
    nothing = np.zeros(len(lower), dtype=bool)
    for _ in range(PASSES):
        for row in range(form.shape[1]):
            a = form[:, row]
            products = np.minimum(a * (low - mid), a * (up - mid))
            rest = -at_mid[:, row, None] - (products.sum(axis=1, keepdims=True) - products)
            with np.errstate(divide="ignore", invalid="ignore"):
                limit = mid + rest / a
            low = np.where(a < 0, np.maximum(low, limit - slack), low)
            up = np.where(a > 0, np.minimum(up, limit + slack), up)
            empty = (low > up).any(axis=1, keepdims=True)
            low, up = np.where(empty, lower, low), np.where(empty, upper, up)
            nothing = nothing | empty[:, 0]
    return low, up, nothing
