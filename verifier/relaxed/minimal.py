"""Few units that deviate, and little: a second linear program over all actions of nearly the same score.

Minimised is the weighted sum of the gaps ``a - relu(z)``, each by the side of 0 on which its unit is; weights are one
over the gap found before, which makes small gaps vanish (Candes, Wakin and Boyd 2008, reweighted l1 minimisation). Few
is not proved to be fewest: that would be a mixed-integer program.
"""

from __future__ import annotations

import time

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.greedy import rows_layer
from relaxations.network import Layer

LOSS = 1e-6  # of the score (and 1) that may be given up
ROUNDS = 3
SMALL = 1e-3  # of its range: gaps from here down are worth about the same
NO_GAP = 1e-9  # of its range


def minimal(query: Query, action: Point, seconds: float = np.inf, loss: float = LOSS) -> Point:
    """An action of the triangle relaxation of nearly the score of ``action`` from which fewer units deviate.

    ``action`` itself where none is found in ``seconds`` or none is better.
    """
    until = time.monotonic() + seconds
    program = _Program(query)
    score = -float(action.margins(query).max())
    least = score - loss * (1 + abs(score))
    best = action
    for _ in range(ROUNDS):
        left = until - time.monotonic()
        found = program.solve(best, least, left) if left > 0 else None
        if found is None or _count(query, found) >= _count(query, best):
            break
        best = found
    return best


def _count(query: Query, action: Point) -> int:
    return sum(int((gap > NO_GAP * (u - l)).sum()) for gap, (l, u) in zip(action.gaps(), query.ranges))


class _Program:
    """Every value as a combination (n, v + 1) of the variables, inputs and outputs of unstable units, and of 1."""

    def __init__(self, query: Query) -> None:
        self.query, n = query, query.network.input_size
        self.unstable = [query.unstable(k) for k in range(len(query.ranges))]
        self.starts = np.cumsum([n, *map(len, self.unstable)])
        self.count = int(self.starts[-1])
        inputs = np.zeros((n, self.count + 1))
        inputs[np.arange(n), np.arange(n)] = 1
        self.forms, self.z = [inputs], []
        limits = []
        for k, (layer, (l, u)) in enumerate(zip(query.network.layers, query.ranges)):
            z = self._applied(layer)
            units, own = self.unstable[k], self.starts[k] + np.arange(len(self.unstable[k]))
            a = np.where((l >= 0)[:, None], z, 0)
            a[units] = 0
            a[units, own] = 1
            slope = (u / np.where(u > l, u - l, 1))[units, None]
            chord = slope * z[units]
            chord[:, -1] -= slope[:, 0] * l[units]
            limits += [z[units] - a[units], a[units] - chord]
            stable = np.setdiff1d(np.arange(len(l)), units)
            for side, bound in ((z[stable], -u[stable]), (-z[stable], l[stable])):
                limits.append(side + np.pad(bound[:, None], ((0, 0), (self.count, 0))))
            self.z.append(z)
            self.forms.append(a)
        self.limits = np.concatenate(limits) if limits else np.zeros((0, self.count + 1))
        self.rows = self._applied(rows_layer(query.rows, query.network.output))

    def _applied(self, layer: Layer) -> np.ndarray:
        linear = (layer.apply([form.T for form in self.forms]) - layer.bias).T
        linear[:, -1] += layer.bias
        return np.asarray(linear)

    def solve(self, action: Point, least: float, seconds: float) -> Point | None:
        """The action with the least weighted gaps of a score of ``least``, weighted by the gaps of ``action``."""
        from scipy.optimize import linprog

        cost = np.zeros(self.count + 1)
        for k, (units, gap) in enumerate(zip(self.unstable, action.gaps())):
            l, u = (side[units] for side in self.query.ranges[k])
            weight = 1 / (np.maximum(gap[units], 0) / (u - l) + SMALL) / (u - l)
            active = action.z[k][units] > 0
            cost += weight @ (self.forms[k + 1][units] - active[:, None] * self.z[k][units])
        rows = self.rows.copy()
        rows[:, -1] += least  # row <= -least
        above = np.concatenate([self.limits, rows])
        query = self.query
        bounds = [*zip(query.lower, query.upper), *((0, None) for _ in range(self.count - len(query.lower)))]
        options = {} if np.isinf(seconds) else {"time_limit": seconds}
        done = linprog(
            cost[:-1], A_ub=above[:, :-1], b_ub=-above[:, -1], bounds=bounds, method="highs", options=options
        )
        if done.x is None or done.status != 0:
            return None
        values = np.append(done.x, 1.0)
        z, a = (tuple(form @ values for form in forms) for forms in (self.z, self.forms[1:]))
        return Point(np.clip(done.x[: len(query.lower)], query.lower, query.upper), z, a)
