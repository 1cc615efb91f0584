"""Which neuron to split next: what its relaxation costs the open rows, directly and through intermediate bounds.

A neuron's direct cost is |coefficient| times the distance of its relaxed value from the ReLU at the relaxed minimiser.
Its relaxation also loosens the bounds of later neurons, whose own cost grows with them: that share is passed down from
the last layer to the first, along the derivative of the triangle's cost in its bounds.
"""

from __future__ import annotations

import numpy as np

from verifier.engine.phases.node import Node


def choose(node: Node, cost: list[np.ndarray]) -> tuple[int, int] | None:
    """Layer and neuron with the largest total cost; ``cost[k]`` (n,) is the direct one. None when none is left."""
    total = [c.copy() for c in cost]
    for k in range(len(total) - 1, 0, -1):
        rows = node.rows.get(k)
        if rows is None or rows.gap is None:
            continue
        l, u = node.lower[k][rows.neurons].astype(float), node.upper[k][rows.neurons].astype(float)
        unstable = (l < 0) & (u > 0)
        width = np.where(unstable, u - l, 1)
        own = np.where(unstable, total[k][rows.neurons], 0)
        of_lower, of_upper = own * u / (width * np.where(unstable, -l, 1)), own * -l / (width * np.where(unstable, u, 1))
        weights = np.concatenate([of_lower, of_upper]).astype(np.float32)
        for j in range(k):
            gap = (rows.gap[j].astype(np.uint32) << 16).view(np.float32)
            total[j] = total[j] + weights @ gap
    best: tuple[float, int, int] | None = None
    for k, score in enumerate(total):
        free = (node.lower[k] < 0) & (node.upper[k] > 0)
        if not free.any():
            continue
        score = np.where(free, score, -1.0)
        i = int(score.argmax())
        if best is None or score[i] > best[0]:
            best = float(score[i]), k, i
    return best[1:] if best is not None else None
