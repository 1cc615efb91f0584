"""What every relaxation has to keep, asked of any class on any queries; a new relaxation gets all of it for free.

Call ``check_relaxation(Mine, queries)``. It raises AssertionError with the query's number, and returns how many cases
it has seen and how large the gaps between primal and dual were.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from relaxations.base import Query, Relaxation, Solution
from tests.relaxations.queries import inputs_of

ROUNDING = 1e-9  # of the values compared: thousands of float64 operations on numbers of that size


@dataclass
class Seen:
    """Cases by what was asked; by query, ``gaps`` between value and attained, of the size of the value."""

    embedded: int = 0
    bounded: int = 0
    solved: int = 0
    gaps: list[float] = field(default_factory=list)


def check_relaxation(
    kind: type[Relaxation],
    queries: Iterable[Query],
    inputs: int = 100,
    duals: int = 10,
    tolerance: float = 1e-7,
    seconds: float = 10.0,
) -> Seen:
    """Everything below, for each query that the relaxation does not decline.

    ``tolerance`` is that of its solver, for what the solver's own action may violate; ``seconds`` each solve may take.
    """
    seen = Seen()
    for number, query in enumerate(queries):
        if kind.declines(query):
            continue
        rng = np.random.default_rng(number)
        relaxation = kind(query)
        points = inputs_of(query, rng, inputs)
        try:
            actions = embeddings(relaxation, points, rng)
            seen.embedded += len(points)
            solution = relaxation.solve(seconds)
            solutions(relaxation, solution, tolerance)
            seen.solved += 1
            allowance = tolerance * (1 + abs(solution.value))
            for dual in [*([] if solution.dual is None else [solution.dual]), *_some(relaxation, rng, duals)]:
                seen.bounded += weak_duality(relaxation, dual, actions, solution, allowance)
        except AssertionError as error:
            raise AssertionError(f"query {number}: {error}") from error
        if np.isfinite(solution.gap):
            seen.gaps.append(solution.gap / (1 + abs(solution.value)))
    return seen


def embeddings(relaxation: Relaxation, points: np.ndarray, rng: np.random.Generator) -> list[float]:
    """(S1) and (S2), and that rounding an embedded input gives it back; the scores of the embedded inputs."""
    query = relaxation.query
    truths = query.score(points)
    size = 1 + max(float(np.abs(z).max(initial=0.0)) for z in [points, *query.network.preactivations(points)[0]])
    scores = []
    for x, truth in zip(points, truths):
        action = relaxation.embed(x)
        outside, score = relaxation.outside(action), relaxation.score(action)
        assert outside <= ROUNDING * size, f"(S1) the input {x} is outside by {outside}"
        assert score >= truth - ROUNDING * (size + abs(truth)), f"(S2) the input {x} scores {score}, not {truth}"
        rounded = relaxation.round(action, rng, 2)
        assert rounded.shape == (2, len(x)), f"two inputs were asked for, not {rounded.shape}"
        assert np.abs(rounded - x).max() <= 1e-6 * size, f"the embedded input {x} is rounded to {rounded}"
        scores.append(score)
    return scores


def solutions(relaxation: Relaxation, solution: Solution, tolerance: float) -> None:
    """That a solution is what it says: its value that of its dual, its action one of the relaxation's."""
    query, size = relaxation.query, 1 + abs(solution.value)
    if solution.dual is not None:
        again = relaxation.bound(solution.dual)
        assert abs(again - solution.value) <= ROUNDING * size, f"the dual bounds {again}, not {solution.value}"
    if solution.action is None:
        assert solution.attained == -np.inf, f"no action attains {solution.attained}"
        return
    again, outside = relaxation.score(solution.action), relaxation.outside(solution.action)
    assert abs(again - solution.attained) <= ROUNDING * size, f"the action scores {again}, not {solution.attained}"
    assert outside <= tolerance * size, f"the action is outside by {outside}"
    assert solution.attained <= solution.value + tolerance * size, f"{solution.attained} exceeds {solution.value}"
    near = relaxation.round(solution.action, np.random.default_rng(0), 3)
    assert near.shape == (3, len(query.lower)), f"three inputs were asked for, not {near.shape}"
    assert (near >= query.lower).all(), "rounded to an input that is not in the box"
    assert (near <= query.upper).all(), "rounded to an input that is not in the box"
    if query.ball is not None:
        assert (query.ball.lengths(near) <= 1 + ROUNDING).all(), "rounded to an input that is not in the ball"
    for branch in relaxation.tighten(solution.action):
        assert 0 <= branch.layer < len(query.network.layers), f"there is no layer {branch.layer}"
        assert 0 <= branch.neuron < len(query.ranges[branch.layer][0]), f"there is no neuron {branch.neuron}"


def weak_duality(
    relaxation: Relaxation, dual: object, scores: list[float], solution: Solution, allowance: float
) -> int:
    """(W) for one dual and all actions at hand; ``allowance`` for what the solver's own may violate."""
    bound = relaxation.bound(dual)
    best = max(scores)
    assert bound >= best - ROUNDING * (1 + abs(bound) + abs(best)), f"(W) the bound {bound} is below the score {best}"
    assert bound >= solution.attained - allowance, f"(W) {bound} is below the solver's action, {solution.attained}"
    return len(scores) + (solution.action is not None)


def _some(relaxation: Relaxation, rng: np.random.Generator, count: int) -> Iterable[object]:
    return (relaxation.some_dual(rng) for _ in range(count))
