"""The triangle relaxation as one linear program with a variable for every quantity: an oracle to compare with.

Maximise t over (x, z, a, t) with t <= -row_r, z = W a + b, l <= z <= u, and for each unit a >= 0, a >= z and
a <= u (z - l) / (u - l) where l < 0 < u, else a = z or a = 0 (Ehlers 2017, arXiv:1705.01320).
"""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.maps.linear import dense


def solve_triangle(query: Query) -> tuple[float, Point]:
    """The greatest score of an action, and an action of this score."""
    optimize = pytest.importorskip("scipy.optimize")
    widths = query.network.widths
    n, neurons = widths[0], sum(widths[1:])
    starts = n + np.cumsum([0, *widths[1:]])
    total = n + 2 * neurons + 1

    def place(source: int) -> slice:  # of a source's values: the inputs, or outputs behind all pre-activations
        return slice(0, n) if source == 0 else slice(*(starts[source - 1 : source + 1] + neurons))

    low, up = np.full(total, -np.inf), np.full(total, np.inf)
    low[:n], up[:n] = query.lower, query.upper
    equal, right, below, limit = [], [], [], []
    for k, layer in enumerate(query.network.layers):
        z = slice(starts[k], starts[k + 1])
        l, u = query.ranges[k]
        low[z], up[z] = l, u
        block = np.zeros((widths[k + 1], total))
        block[:, z] = np.eye(widths[k + 1])
        for source, weight in layer.terms:
            block[:, place(source)] -= dense(weight)
        equal.append(block), right.append(layer.bias)
        for i in range(widths[k + 1]):
            zi, ai = starts[k] + i, starts[k] + neurons + i
            row = np.zeros(total)
            row[ai] = 1
            if l[i] >= 0 or u[i] <= 0:
                row[zi] = -1 if l[i] >= 0 else 0
                equal.append(row[None]), right.append(np.zeros(1))
                continue
            low[ai] = 0
            above, under = row.copy(), -row
            above[zi], under[zi] = -u[i] / (u[i] - l[i]), 1
            below += [above, under]
            limit += [-u[i] * l[i] / (u[i] - l[i]), 0.0]
    for r in range(len(query.rows.constant)):
        row = np.zeros(total)
        row[-1] = 1
        row[:n] += query.rows.x[r]
        for source, weight in query.network.output.terms:
            row[place(source)] += query.rows.y[r] @ dense(weight)
        below.append(row)
        limit.append(-query.rows.constant[r] - query.rows.y[r] @ query.network.output.bias)
    cost = np.zeros(total)
    cost[-1] = -1
    done = optimize.linprog(
        cost,
        A_ub=np.array(below),
        b_ub=np.array(limit),
        A_eq=np.concatenate(equal),
        b_eq=np.concatenate(right),
        bounds=np.stack([low, up], axis=1),
        method="highs-ds",
    )
    assert done.status == 0, done.message
    z = tuple(done.x[starts[k] : starts[k + 1]] for k in range(len(widths) - 1))
    a = tuple(done.x[place(k + 1)] for k in range(len(widths) - 1))
    return -float(done.fun), Point(done.x[:n], z, a)
