"""The harness itself: whatever a relaxation does wrong, it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relaxations.actions import Point
from relaxations.base import Branch, Query, Solution
from relaxations.lp.triangle import Triangle
from tests.relaxations.contract import check_relaxation
from tests.relaxations.queries import random_queries


class EmbedsElsewhere(Triangle):
    def embed(self, x: np.ndarray) -> Point:
        real = super().embed(x)
        return replace(real, z=tuple(z + 1e-3 for z in real.z))


class ScoresLess(Triangle):
    def score(self, action: Point) -> float:
        return super().score(action) - 1e-3


class BoundsTooTightly(Triangle):
    """But for the duals it finds itself."""

    other: Any = None

    def bound(self, dual: Any) -> float:
        return -1e3 if dual is self.other else super().bound(dual)

    def some_dual(self, rng: np.random.Generator) -> Any:
        self.other = super().some_dual(rng)
        return self.other


class RoundsElsewhere(Triangle):
    def round(self, action: Point, rng: np.random.Generator, count: int = 1) -> np.ndarray:
        return np.repeat(((self.query.lower + self.query.upper) / 2)[None], count, axis=0)


class RoundsToTooFew(Triangle):
    def round(self, action: Point, rng: np.random.Generator, count: int = 1) -> np.ndarray:
        return super().round(action, rng, 1)


def solving(change: Callable[[Solution], Solution]) -> type[Triangle]:
    class Changed(Triangle):
        def solve(self, seconds: float = np.inf) -> Solution:
            return change(super().solve(seconds))

    return Changed


def outside(solution: Solution) -> Solution:
    return replace(solution, action=replace(solution.action, z=tuple(z + 0.1 for z in solution.action.z)))


class BranchesNowhere(Triangle):
    def tighten(self, action: Point) -> list[Branch]:
        return [Branch(99, 0, 1.0)]


WRONG = {
    "(S1)": EmbedsElsewhere,
    "(S2)": ScoresLess,
    "(W)": BoundsTooTightly,
    "is rounded to": RoundsElsewhere,
    "inputs were asked for": RoundsToTooFew,
    "the dual bounds": solving(lambda s: replace(s, value=s.value - 1e-3)),
    "the action scores": solving(lambda s: replace(s, attained=s.attained + 1e-3)),
    "the action is outside": solving(outside),
    "no action attains": solving(lambda s: replace(s, action=None)),
    "there is no layer": BranchesNowhere,
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_found(message: str) -> None:
    with pytest.raises(AssertionError) as found:
        check_relaxation(WRONG[message], random_queries(10), inputs=20)
    assert message in str(found.value)
    assert str(found.value).startswith("query ")


def test_declined_queries_are_passed_over() -> None:
    class Declines(Triangle):
        @classmethod
        def declines(cls, query: Query) -> str:
            return "it is in no mood" if len(query.lower) > 1 else ""

    alone = sum(len(query.lower) == 1 for query in random_queries(10))
    seen = check_relaxation(Declines, random_queries(10), inputs=5)
    assert 0 < alone < 10
    assert (seen.solved, seen.embedded) == (alone, 5 * alone)
    assert max(seen.gaps) <= 1e-9
