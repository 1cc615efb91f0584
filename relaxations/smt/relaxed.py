"""Logical models as a relaxation: the adversary gets nothing but real executions, and the dual is a refutation tree.

Both sides are exact: the best action is a rational input, the best dual a tree that proves, in rational arithmetic,
that no input scores more. What this costs is time: the number of phases is exponential in the unstable neurons.
"""

from __future__ import annotations

import math
import time
from fractions import Fraction

import numpy as np

from relaxations.base import Query, Relaxation, Solution
from relaxations.smt.bounds import Ranges, root_ranges, unstable
from relaxations.smt.encode import Neuron, Question, Vector, exact, vector
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.node import Node
from relaxations.smt.reluplex import Model, Refutation, decide
from relaxations.smt.simplex import Optimum
from relaxations.smt.tree import Leaf, Split, Tree, ceiling

MOST_UNSTABLE = 30
MOST_COEFFICIENTS = 20_000  # of the network, for arithmetic in fractions
CLIMB_SHARE = 0.25  # of the time left, for one climb: what it does not reach, the search finds
SAMPLES = 256  # float inputs, the best of which the search starts from


class Models(Relaxation[Vector, Tree]):
    """Exact executions as actions (an input as Fractions), refutation trees as duals."""

    name = "smt"

    def __init__(self, query: Query, question: Question | None = None, ranges: Ranges | None = None) -> None:
        """``question`` is the query in rationals and ``ranges`` hold for it; both are found if not given."""
        super().__init__(query)
        self.question = Question.of(query) if question is None else question
        self.ranges = root_ranges(self.question) if ranges is None else ranges

    @classmethod
    def declines(cls, query: Query) -> str:
        if reason := super().declines(query):
            return reason
        if query.ball is not None:
            return "exact search is for a box of inputs, and these are a ball's"
        if query.count_unstable > MOST_UNSTABLE:
            return f"exact search is for up to {MOST_UNSTABLE} unstable ReLUs, and there are {query.count_unstable}"
        layers = (*query.network.layers, query.network.output)
        count = sum(weight.shape[0] * weight.shape[1] for layer in layers for _, weight in layer.terms)
        if count > MOST_COEFFICIENTS:
            return f"exact search is for up to {MOST_COEFFICIENTS} coefficients, and there are {count}"
        return ""

    def embed(self, x: np.ndarray) -> Vector:
        return exact(x)

    def outside(self, action: Vector) -> float:
        return float(max(max(self.question.lower - action), max(action - self.question.upper), Fraction(0)))

    def score(self, action: Vector) -> float:
        return float(self.question.score(action))

    def solve(self, seconds: float = np.inf) -> Solution[Vector, Tree]:
        """The exact optimum: better and better models until a tree proves that there is no better one."""
        start, deadline = time.monotonic(), Deadline.within(seconds)
        best, finished = self._climbed(self._sampled(), Deadline.within(CLIMB_SHARE * deadline.left)), False
        while True:
            answer = decide(self.question.above(self.question.score(best)), deadline.left, self.ranges)
            if not isinstance(answer, Model):
                break
            best = self._climbed(answer.x, Deadline.within(CLIMB_SHARE * deadline.left))
        finished = isinstance(answer, Refutation)
        value, attained = self.bound(answer.tree), self.score(best)
        return Solution(value, answer.tree, best, attained, finished, time.monotonic() - start)

    def prove(self, seconds: float = np.inf, enough: float = 0.0) -> Solution[Vector, Tree]:
        """A tree in a certificate's numbers that no input scores more than ``enough``, or an input that does.

        With an input the value is inf and there is no tree; out of time the value is that of the tree so far.
        """
        start = time.monotonic()
        answer = decide(self.question.above(Fraction(enough)), seconds, self.ranges, rounded=True)
        if isinstance(answer, Model):
            return Solution(math.inf, None, answer.x, self.score(answer.x), True, time.monotonic() - start)
        value, finished = self.bound(answer.tree), isinstance(answer, Refutation)
        return Solution(value, answer.tree, None, finished=finished, seconds=time.monotonic() - start)

    def bound(self, dual: Tree) -> float:
        """The least float that is not below the exact bound."""
        value = self.exact_bound(dual)
        if value is None:
            return -math.inf
        nearest = float(value)
        return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)

    def exact_bound(self, dual: Tree) -> Fraction | None:
        """What the tree proves in rationals; None would mean that the box is empty."""
        return ceiling(self.question, dual, self.ranges)

    def some_dual(self, rng: np.random.Generator) -> Tree:
        free = [(k, i) for k, (l, u) in enumerate(self.ranges) for i in unstable(l, u)]
        return self._random_tree(rng, free, 0)

    def input_of(self, action: Vector) -> np.ndarray:
        return action.astype(float)

    def _random_tree(self, rng: np.random.Generator, free: list[Neuron], depth: int) -> Tree:
        if free and depth < 4 and rng.random() < 0.7:
            neuron = free[rng.integers(len(free))]
            rest = [other for other in free if other != neuron]
            below, above = self._random_tree(rng, rest, depth + 1), self._random_tree(rng, rest, depth + 1)
            return Split(neuron, below, above)
        weights = vector([Fraction(int(w), 8) for w in rng.integers(0, 9, size=len(self.question.strict))])
        slopes = {neuron: Fraction(int(rng.integers(0, 256)), 255) for neuron in free if rng.random() < 0.7}
        return Leaf(weights, slopes, tuple(Fraction(int(m), 8) for m in rng.integers(0, 9, size=depth)))

    def _sampled(self) -> Vector:
        rng = np.random.default_rng(0)
        x = rng.uniform(self.query.lower, self.query.upper, size=(SAMPLES, len(self.query.lower)))
        return np.clip(exact(x[np.argmax(self.query.score(x))]), self.question.lower, self.question.upper)

    def _climbed(self, x: Vector, deadline: Deadline) -> Vector:
        """The best input with the phases of x, again and again, while that is better."""
        while True:
            z, _ = self.question.run(x)
            phases = {(k, i): 1 if z[k][i] > 0 else -1 for k, (l, u) in enumerate(self.ranges) for i in unstable(l, u)}
            try:
                found = Node.of(self.question, self.ranges, phases).least(deadline)
            except OutOfTime:
                return x
            assert isinstance(found, Optimum), "x itself has these phases"
            if -found.value <= self.question.score(x):
                return x
            x = found.point[: len(x)]
