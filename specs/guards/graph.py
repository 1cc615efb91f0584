"""A guard in front of a model: one network whose answers are the model's on a set, and NaN elsewhere."""

from __future__ import annotations

from math import prod

import numpy as np

from specs.compose import Composer
from specs.graph import Graph, ops
from specs.guards.limits import BallLimit, EmptyGuard, Limits, SumLimit

ACCEPT = "accept"
TRUTHS = (ops.Equal, ops.Less, ops.LessOrEqual, ops.And, ops.Or, ops.Not)


def guard_graph(graph: Graph, limits: Limits) -> Graph:
    """The graph with one more output, ``accept`` (1,), at the end: whether the input keeps all limits.

    Outputs are those of ``graph``, under their names, where it does, and NaN where it does not. ``graph`` has one
    input. Bounds are compared with the input as it is. Sums are added up by one reduction, not by a matrix product,
    which some runtimes compute with fewer digits than they are given. Raises ``EmptyGuard`` for an output that is no
    real number, and so cannot be NaN.
    """
    for name in graph.outputs:
        op = graph.by_name[name].op
        if isinstance(op, TRUTHS) or (isinstance(op, ops.Cast) and op.to != "float"):
            raise EmptyGuard(f"the output {name} is no real number, so that it cannot say that there is no answer")
    composer = Composer()
    (given,) = graph.inputs
    x = composer.input(given, graph.by_name[given].shape)
    flat = composer.flat(x)
    accept = _Decision(composer, flat, limits).accept()
    computed = composer.inline(graph, [x], graph.outputs, "guarded")
    nothing = composer.constant(np.full(1, np.nan, dtype=limits.arithmetic.dtype), "abstains")
    answers = [
        composer.add(ops.Where(), _shaped(composer, accept, composer.shape(one)), one, nothing, name=name)
        for one, name in zip(computed, graph.outputs)
    ]
    return composer.build([x], [*answers, accept])


def _shaped(composer: Composer, accept: str, shape: tuple[int, ...]) -> str:
    """The decision with as many axes as an output has."""
    return composer.reshaped(accept, (1,) * len(shape)) if len(shape) > 1 else accept


class _Decision:
    """The limits of a flat value, each as a vector of truth values."""

    def __init__(self, composer: Composer, flat: str, limits: Limits) -> None:
        self.composer, self.flat, self.limits = composer, flat, limits

    def accept(self) -> str:
        parts = [self._box()]
        for strict in (False, True):
            pairs = [(i, j) for i, j, own in self.limits.orders if own == strict]
            if pairs:
                one, two = (self.composer.picked(self.flat, list(side)) for side in zip(*pairs))
                parts.append(self.composer.add(ops.Less() if strict else ops.LessOrEqual(), one, two))
        parts += [self._at_most(self._sum(one), one.limit) for one in self.limits.sums]
        if self.limits.ball is not None:
            parts.append(self._at_most(self._ball(self.limits.ball), self.limits.ball.limit))
        truths = [self.composer.add(ops.Cast("float"), part) for part in parts]
        least = self.composer.add(ops.ReduceMin((0,), True), self.composer.joined(truths))
        return self.composer.add(ops.LessOrEqual(), self._constant([1.0]), least, name=ACCEPT)

    def _box(self) -> str:
        lower, upper = (self._constant(side) for side in (self.limits.lower, self.limits.upper))
        above = self.composer.add(ops.LessOrEqual(), lower, self.flat)
        return self.composer.add(ops.And(), above, self.composer.add(ops.LessOrEqual(), self.flat, upper))

    def _sum(self, test: SumLimit) -> str:
        picked = self.composer.picked(self.flat, test.places)
        return self._total(self.composer.add(ops.Mul(), picked, self._constant(test.coefficients)))

    def _ball(self, test: BallLimit) -> str:
        away = self.composer.add(ops.Sub(), self.flat, self._constant(test.center))
        powers = self.composer.add(ops.Abs(), away) if test.norm == 1 else self.composer.add(ops.Mul(), away, away)
        if test.weights:
            powers = self.composer.add(ops.Mul(), powers, self._constant(test.weights))
        return self._total(powers)

    def _total(self, terms: str) -> str:
        if prod(self.composer.shape(terms)) == 1:
            return terms
        return self.composer.add(ops.ReduceSum((0,), True), terms)

    def _at_most(self, value: str, limit: float) -> str:
        return self.composer.add(ops.LessOrEqual(), value, self._constant([limit]))

    def _constant(self, values: object) -> str:
        return self.composer.constant(np.array(values, dtype=self.limits.arithmetic.dtype), "limits")
