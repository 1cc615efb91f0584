"""The cases of a problem as queries of relaxations, from ranges that a certificate can state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.base import Query
from relaxations.bounds.balls import Ball, name_of
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork, rows_of
from specs.errors import CertifyError
from specs.problem import Problem
from verifier.engine.floats import float_rows
from verifier.engine.phases.bounding import Bounding, Target
from verifier.engine.phases.moments import query_of
from verifier.engine.phases.node import Node
from verifier.engine.phases.search import target_of
from verifier.engine.phases.tree import PhaseTree


@dataclass(frozen=True)
class Root:
    """A box with all its ``cases``, by their numbers in the problem, and one query for each of them.

    The queries' ranges are those of ``node``: CROWN's with its default slopes, or intervals where these are better, a
    little widened. The frame of a certificate gives the same, so that what a relaxation makes of them can be checked.
    """

    cases: tuple[int, ...]
    bounding: Bounding
    node: Node
    queries: tuple[Query, ...]

    def tree(self) -> tuple[PhaseTree, np.ndarray]:
        """A tree that has nothing but its root's frame yet, and the frame's columns (P, 2)."""
        names = [np.arange(len(layer.bias)) for layer in self.bounding.exact.layers]
        tree = PhaseTree(np.diff(self.bounding.target.first), names)
        return tree, tree.frame(self.node, np.zeros((0, 2), dtype=np.int64))

    def only(self, places: Sequence[int]) -> Root:
        """The same with some of its cases, by their places among them."""
        first = self.bounding.target.first
        kept = np.concatenate([np.arange(first[p], first[p + 1]) for p in places])
        rows = self.bounding.target.layer
        layer = Layer(tuple((source, rows_of(weight, kept)) for source, weight in rows.terms), rows.bias[kept])
        target = Target(layer, np.cumsum([0, *(first[p + 1] - first[p] for p in places)]))
        whole = self.bounding
        bounding = Bounding(whole.exact, target, whole.lower, whole.upper, ball=whole.ball)
        cases, queries = (tuple(part[p] for p in places) for part in (self.cases, self.queries))
        return Root(cases, bounding, self.node, queries)


def roots_of(problem: Problem, network: ReluNetwork, over: Callable[[], bool]) -> tuple[Root, ...]:
    """All cases, those of the same inputs together.

    Raises OutOfTime where ``over()`` turns true before the ranges are known, and ``CertifyError`` for a case that every
    input fails.
    """
    boxes: dict[bytes, list[int]] = {}
    for k, case in enumerate(problem.cases):
        if not case.any_of:
            raise CertifyError(f"case {k} asks for nothing that could hold: every input of its box is an attack")
        boxes.setdefault(name_of(*_box(problem, k), Ball.of(case)), []).append(k)
    return tuple(_root(problem, network, members, over) for members in boxes.values())


def queries_of(roots: tuple[Root, ...]) -> Iterator[Query]:
    return (query for root in roots for query in root.queries)


def _root(problem: Problem, network: ReluNetwork, members: list[int], over: Callable[[], bool]) -> Root:
    rows = [float_rows(problem.cases[k], network.input_size, len(network.output.bias)) for k in members]
    x, y, constant = (np.concatenate(parts) for parts in zip(*((r.x, r.y, r.constant) for r in rows), strict=True))
    target = target_of(network, Rows(x, y, constant), np.cumsum([0, *(len(r.constant) for r in rows)]))
    bounding = Bounding(network, target, *_box(problem, members[0]), ball=Ball.of(problem.cases[members[0]]))
    bounding.over = over
    node = bounding.root()
    queries = tuple(query_of(bounding, node, place) for place in range(len(members)))
    return Root(tuple(members), bounding, node, queries)


def _box(problem: Problem, k: int) -> tuple[np.ndarray, np.ndarray]:
    box = problem.cases[k].box
    return np.array([float(v) for v in box.lower]), np.array([float(v) for v in box.upper])
