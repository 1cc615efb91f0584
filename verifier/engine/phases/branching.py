"""Which neuron to split next: what its relaxation costs the open rows, directly and through intermediate bounds.

A neuron's direct cost is |coefficient| times the distance of its relaxed value from the ReLU at the relaxed minimiser.
Its relaxation also loosens the bounds of later neurons, whose own cost grows with them: that share is passed down from
the last layer to the first, along the derivative of the triangle's cost in its bounds.

What splits gain is measured, for each neuron until it has been often enough; from then on it is expected to gain as
much in proportion to its cost as it has on average (reliability branching: Achterberg, Koch, Martin 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from verifier.engine.phases.batch import whole
from verifier.engine.phases.node import Candidate, Neuron, Node

ENOUGH = 8  # splits tried of a neuron, after which the rest are predicted
TINY = 1e-30


@dataclass
class Experience:
    """What splitting each neuron has gained: how often it was tried, and the sums of gain per cost in either half."""

    seen: dict[Neuron, tuple[int, float, float]] = field(default_factory=dict)

    def suffices(self, neuron: Neuron) -> bool:
        return neuron in self.seen and self.seen[neuron][0] >= ENOUGH

    def learn(self, candidate: Candidate, parent: float, children: np.ndarray) -> None:
        """Take note of a split tried: what is missing to a proof (<= 0) before, and after in either half (2,)."""
        gain = np.maximum(children - parent, 0) / max(candidate.cost, TINY)
        count, below, above = self.seen.get(candidate.neuron, (0, 0.0, 0.0))
        self.seen[candidate.neuron] = count + 1, below + float(gain[0]), above + float(gain[1])

    def predicted(self, candidate: Candidate, parent: float) -> np.ndarray:
        """What will be missing in either half (2,), by what splits of this neuron have gained so far."""
        count, *gains = self.seen[candidate.neuron]
        return np.minimum(parent + np.array(gains) / count * candidate.cost, 0)

    def merge(self, other: Experience) -> None:
        """Take over what another search has learnt that began with this one's: of each neuron, the longer record."""
        for neuron, record in other.seen.items():
            if record[0] > self.seen.get(neuron, (0,))[0]:
                self.seen[neuron] = record

    def copy(self) -> Experience:
        return Experience(dict(self.seen))


def candidates(node: Node, cost: list[np.ndarray], by_total: int, by_cost: int) -> tuple[Candidate, ...]:
    """The free neurons that cost most in total, then by the direct cost ``cost[k]`` (n,) alone; with their totals."""
    total = [c.copy() for c in cost]
    for k in range(len(total) - 1, 0, -1):
        rows = node.rows.get(k)
        if rows is None or rows.gap is None:
            continue
        l, u = node.lower[k][rows.neurons].astype(float), node.upper[k][rows.neurons].astype(float)
        unstable = (l < 0) & (u > 0)
        width = np.where(unstable, u - l, 1)
        own = np.where(unstable, total[k][rows.neurons], 0)
        of_lower = own * u / (width * np.where(unstable, -l, 1))
        of_upper = own * -l / (width * np.where(unstable, u, 1))
        weights = np.concatenate([of_lower, of_upper]).astype(np.float32)
        for j in range(k):
            total[j] = total[j] + weights @ whole(rows.gap[j])
    free = [(l < 0) & (u > 0) & (k not in node.signs) for k, (l, u) in enumerate(zip(node.lower, node.upper))]
    named = dict.fromkeys(_largest(total, free, by_total))
    named.update(dict.fromkeys(_largest(cost, free, by_cost)))
    return tuple(Candidate((k, i), float(total[k][i])) for k, i in named)


def _largest(scores: Sequence[np.ndarray], free: Sequence[np.ndarray], count: int) -> list[Neuron]:
    """The free neurons with the largest scores, largest first."""
    if not scores:
        return []
    flat = np.concatenate([np.where(f, s, -1.0) for s, f in zip(scores, free)])
    starts = np.cumsum([0, *(len(f) for f in free)])
    order = np.argsort(-flat, kind="stable")[:count]
    layers = np.searchsorted(starts, order, side="right") - 1
    return [(int(k), int(i - starts[k])) for i, k in zip(order, layers) if flat[i] >= 0]


def best(parent: float, children: np.ndarray) -> int:
    """Which of several splits to make, from what is missing to a proof (<= 0) before, and after in either half (C, 2).

    The product of the two gains, as in strong branching for mixed-integer programming (Achterberg et al. 2005).
    """
    gain = np.maximum(children - parent, 1e-6 * max(-parent, 1e-30))
    return int((gain[:, 0] * gain[:, 1]).argmax())
