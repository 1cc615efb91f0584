"""The triangle relaxation once more, written for cvxpy as the textbook has it: what the encoding is compared with.

It shares no code with ``relaxations.lp.encoding``: a variable for every pre-activation and output, the chord as a line,
the least row as a variable of its own. Slow; for tests, and for reading.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.lp.safe_dual import Phases, phases_of
from relaxations.maps.linear import dense
from relaxations.solvers import required


def triangle_by_cvxpy(
    query: Query, phases: Phases | None = None, solver: str = "CLARABEL"
) -> tuple[float, Point | None]:
    """Optimum and action of the relaxation under phases, by cvxpy's word; -inf and None if there is no action."""
    cvxpy = _cvxpy()
    x = cvxpy.Variable(query.network.input_size)
    gain = cvxpy.Variable()
    constraints: list[Any] = [query.lower <= x, x <= query.upper]
    sources, z, a = [x], [], []
    for layer, (l, u), phase in zip(query.network.layers, query.ranges, phases or phases_of(query)):
        before = sum(dense(weight) @ sources[source] for source, weight in layer.terms) + layer.bias
        z.append(cvxpy.Variable(len(l)))
        a.append(cvxpy.Variable(len(l)))
        constraints.append(z[-1] == before)
        for i, sign in enumerate(phase):
            constraints += _neuron(z[-1][i], a[-1][i], float(l[i]), float(u[i]), int(sign))
        sources.append(a[-1])
    output = query.network.output
    y = sum(dense(weight) @ sources[source] for source, weight in output.terms) + output.bias
    rows = query.rows.x @ x + query.rows.y @ y + query.rows.constant
    problem = cvxpy.Problem(cvxpy.Maximize(gain), [*constraints, gain <= -rows])
    problem.solve(solver=solver)
    if problem.status not in ("optimal", "optimal_inaccurate"):
        return -np.inf, None
    return float(gain.value), Point(x.value, tuple(v.value for v in z), tuple(v.value for v in a))


def _neuron(z: Any, a: Any, l: float, u: float, sign: int) -> list[Any]:
    """What holds for one neuron of the range [l, u]; ``sign`` is its phase where it is unstable."""
    if l >= 0:
        return [a == z]
    if u <= 0:
        return [a == 0]
    triangle = [a >= 0, a >= z, a <= u / (u - l) * (z - l)]
    if sign:
        return [*triangle, a == z, z >= 0] if sign > 0 else [*triangle, a == 0, z <= 0]
    return triangle


def _cvxpy() -> Any:
    return required("cvxpy", "the reference formulation needs cvxpy")
