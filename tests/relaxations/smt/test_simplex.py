"""The exact simplex against vertices found by brute force, and its explanations against Farkas' lemma."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from relaxations.smt.encode import vector
from relaxations.smt.farkas import Constraint, refutes
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.simplex import Conflict, Optimum, Problem, minimise


def random_problem(rng: random.Random) -> Problem:
    n, m = rng.randint(1, 3), rng.randint(0, 6)
    forms = [vector([rng.randint(-3, 3) for _ in range(n)]) for _ in range(m)]
    constants = [Fraction(rng.randint(-4, 3)) for _ in range(m)]
    return Problem(forms, constants, [Fraction(-1)] * n, [Fraction(rng.randint(-1, 2)) for _ in range(n)])


def vertices(problem: Problem) -> list[np.ndarray]:
    """Every point where n constraints or sides of the box meet and none is violated."""
    n = len(problem.lower)
    sides = [
        (np.eye(n, dtype=int)[i] * sign, -sign * bound)
        for i in range(n)
        for sign, bound in ((1, problem.lower[i]), (-1, problem.upper[i]))
    ]
    planes = [*zip(problem.forms, problem.constants), *((vector(list(map(int, form))), c) for form, c in sides)]
    found = []
    for chosen in itertools.combinations(planes, n):
        point = solved([list(form) for form, _ in chosen], [-c for _, c in chosen])
        if point is not None and all(form @ point + c >= 0 for form, c in planes):
            found.append(point)
    return found


def solved(matrix: list[list[Fraction]], right: list[Fraction]) -> np.ndarray | None:
    rows = [[Fraction(v) for v in row] + [b] for row, b in zip(matrix, right)]
    n = len(rows)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k])]
    return vector([row[-1] for row in rows])


@pytest.mark.parametrize("seed", range(300))
def test_optimum_is_the_best_vertex_and_a_conflict_is_a_proof(seed: int) -> None:
    rng = random.Random(seed)
    problem = random_problem(rng)
    objective = vector([rng.randint(-3, 3) for _ in problem.lower])
    answer = minimise(problem, objective)
    corners = vertices(problem)
    n = len(problem.lower)
    if isinstance(answer, Conflict):
        assert not corners
        constraints = [Constraint(dict(enumerate(f)), c) for f, c in zip(problem.forms, problem.constants)]
        box = {i: (problem.lower[i], problem.upper[i]) for i in range(n)}
        assert refutes(constraints, list(answer.multipliers), box)
        return
    assert answer.value == min(objective @ corner for corner in corners) == objective @ answer.point
    assert all(form @ answer.point + c >= 0 for form, c in zip(problem.forms, problem.constants))
    assert all(answer.multipliers >= 0)
    rest = objective - sum((m * f for m, f in zip(answer.multipliers, problem.forms)), start=vector([0] * n))
    constant = -sum(m * c for m, c in zip(answer.multipliers, problem.constants))
    assert constant + sum(min(c * l, c * u) for c, l, u in zip(rest, problem.lower, problem.upper)) == answer.value


def test_variables_may_be_free() -> None:
    """x >= 1 and y - x >= 2 without a box: y is least at 3; the other way round it has no least value."""
    forms, constants = [vector([1, 0]), vector([-1, 1])], [Fraction(-1), Fraction(-2)]
    problem = Problem(forms, constants, [None, None], [None, None])
    answer = minimise(problem, vector([0, 1]))
    assert isinstance(answer, Optimum)
    assert answer.value == 3
    with pytest.raises(ValueError, match="no least value"):
        minimise(problem, vector([0, -1]))


def test_the_deadline_is_obeyed() -> None:
    problem = random_problem(random.Random(1))
    with pytest.raises(OutOfTime):
        minimise(problem, vector([1] * len(problem.lower)), Deadline.within(-1))
