"""Shor's relaxation as cvxpy states it: the reference for what the interior point method computes, for small networks.

The moment matrix is that of (1, x, a) with all neurons in their own units, where the interior point method substitutes
stable ones and scales the rest; the constraints are those of Raghunathan, Steinhardt and Liang (arXiv:1811.01057), with
the triangle's, with ``E[b (L - b)] >= 0`` and with the ball, whose radii have to be positive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relaxations.base import Query
from relaxations.maps import dense
from relaxations.solvers import required

if TYPE_CHECKING:
    import cvxpy


def value(query: Query, solver: str = "CLARABEL") -> float:
    """The least margin that the relaxation allows, by a general solver: a value, not a bound.

    Raises ``MissingSolver`` where cvxpy or the solver is not installed.
    """
    cvxpy = required("cvxpy", "the reference formulation needs cvxpy")
    network = query.network
    first = np.cumsum([1, *network.widths])
    moments = cvxpy.Variable((first[-1], first[-1]), PSD=True)
    constraints = [moments[0, 0] == 1]
    for i, (low, up) in enumerate(zip(query.lower, query.upper, strict=True), start=1):
        constraints.append(moments[i, i] <= (low + up) * moments[0, i] - low * up)
    if query.ball is not None:
        center, weights = query.ball.center, query.ball.radii**-2.0
        at = np.arange(1, first[1])
        distances = cvxpy.diag(moments)[at] - 2 * cvxpy.multiply(center, moments[0, at]) + center**2
        constraints.append(weights @ distances <= 1)

    def affine(terms: tuple, bias: np.ndarray, row: int) -> cvxpy.Expression:
        """The moments of a layer's values with element ``row``."""
        total = bias * moments[row, 0]
        for source, weight in terms:
            total = total + dense(weight) @ moments[first[source] : first[source + 1], row]
        return total

    for k, (layer, (l, u)) in enumerate(zip(network.layers, query.ranges, strict=True), start=1):
        mean = affine(layer.terms, layer.bias, 0)
        with_all = cvxpy.vstack([affine(layer.terms, layer.bias, row) for row in range(first[-1])])  # (all, n)
        for i in range(len(l)):
            at = int(first[k] + i)
            if l[i] >= 0 or u[i] <= 0:
                constraints.append(moments[:, at] == (with_all[:, i] if l[i] >= 0 else 0))
                continue
            low, up, a, z, az = -l[i], u[i], moments[0, at], mean[i], with_all[at, i]
            square = affine_square(cvxpy, layer.terms, layer.bias, i, with_all, first)
            constraints += [a >= 0, a >= z, up * low - low * a - up * (a - z) >= 0, moments[at, at] == az]
            constraints.append(moments[at, at] <= up * a)
            constraints.append(low * (a - z) - (moments[at, at] - 2 * az + square) >= 0)
    outputs = affine(network.output.terms, network.output.bias, 0)
    rows = query.rows
    margins = rows.x @ moments[0, 1 : first[1]] + rows.y @ outputs + rows.constant
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.max(margins)), constraints)
    return float(problem.solve(solver=solver))


def affine_square(
    cvxpy: object, terms: tuple, bias: np.ndarray, i: int, with_all: cvxpy.Expression, first: np.ndarray
) -> cvxpy.Expression:
    """The second moment of a layer's value i, from its moments with everything."""
    total = bias[i] * with_all[0, i]
    for source, weight in terms:
        total = total + dense(weight)[i] @ with_all[first[source] : first[source + 1], i]
    return total
