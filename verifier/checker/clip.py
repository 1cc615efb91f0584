"""Shrinking a box to where a violation could still be, by affine lower bounds of the rows.

Lemma C1. If every row of an any-of fails at x, each row is <= 0 there (a strict row fails at <= 0, a non-strict one
below 0), so its lower bound gives ``form . t <= error - constant`` with t = x - mid. Solving for one coordinate with
the others at their best bounds that coordinate. Every step rounds away from the violation's side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.boxes import AffineBound, Boxes
from verifier.checker.lines import TINY, U

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PASSES = 2


def clip(boxes: Boxes, bound: AffineBound) -> tuple[Floats, Floats, Bools]:
    """New lower and upper (B, inputs) containing every violation of the box, and where that leaves nothing (B,)."""
    lower, upper = boxes.lower, boxes.upper
    sound = np.isfinite(bound.lower)[..., None]
    for _ in range(PASSES):
        with np.errstate(all="ignore"):
            for row in range(bound.form.shape[1]):
                form = bound.form[:, row]
                low, high = _solve(form, bound.error[:, row] - bound.constant[:, row], boxes.mid, lower, upper)
                keep = sound[:, row] & np.isfinite(low) & np.isfinite(high)
                lower = np.where(keep, np.maximum(lower, low), lower)
                upper = np.where(keep, np.minimum(upper, high), upper)
                empty = (lower > upper).any(axis=1, keepdims=True)
                lower, upper = np.where(empty, np.inf, lower), np.where(empty, -np.inf, upper)
    return lower, upper, np.asarray((lower > upper).any(axis=1))


def _solve(form: Floats, slack: Floats, mid: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Bounds on each x_i implied by ``form . (x - mid) <= slack`` on [lower, upper], rounded outward."""
    gamma = (4 * form.shape[1] + 64) * U
    # Least of each product form_j * (x_j - mid_j); their sum less the own one is what the others contribute.
    products = np.minimum(form * (lower - mid), form * (upper - mid))
    total = products.sum(axis=1, keepdims=True)
    scale = (np.abs(form) * np.maximum(np.abs(lower - mid), np.abs(upper - mid))).sum(axis=1, keepdims=True)
    slack = slack[:, None]
    rest = slack - (total - products) + gamma * (scale + np.abs(slack)) + TINY
    quotient = rest / form
    margin = 8 * U * (np.abs(quotient) + np.abs(mid)) + TINY
    low = np.where(form < 0, mid + quotient - margin, lower)
    high = np.where(form > 0, mid + quotient + margin, upper)
    return low, high
