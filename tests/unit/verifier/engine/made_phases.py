"""Searches by ReLU phases over tiny questions with several cases, and what the checker says about their trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from specs.loading import load_model
from tests.checker.phase_words import certificate
from tests.oracle import Network, Row, minimum_of_max
from tests.strategies import question
from verifier.checker.__main__ import read_network
from verifier.checker.check import Checker, Verdict
from verifier.checker.container import Certificate
from verifier.checker.exact_tree import audit
from verifier.checker.vnnlib import QueryCase, QueryRow
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.search import PhaseSearch, target_of

NODES = 300  # before a search is given up


@dataclass(frozen=True)
class Asked:
    """A model file, its exact function, a box, and cases of one row or several that are to hold on it."""

    network: Network
    model: bytes
    lowered: ReluNetwork
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    cases: tuple[tuple[Row, ...], ...]

    def optima(self) -> list[Fraction]:
        """By case, the exact least value of its best row."""
        return [minimum_of_max(self.network, self.lower, self.upper, rows)[0] for rows in self.cases]

    def checker(self) -> Checker:
        def row(r: Row) -> QueryRow:
            return QueryRow(dict(r.x), dict(r.y), r.constant, r.strict)

        cases = (
            QueryCase(lower=self.lower, upper=self.upper, rows=tuple(map(row, rows)), empty=False)
            for rows in self.cases
        )
        return Checker(read_network(self.model), tuple(cases))

    def search(self, caution: float = 1.0) -> PhaseSearch:
        rows = [row for case in self.cases for row in case]
        x, y = np.zeros((len(rows), len(self.lower))), np.zeros((len(rows), len(self.network.outputs)))
        for r, row in enumerate(rows):
            for matrix, terms in ((x, row.x), (y, row.y)):
                for i, value in terms:
                    matrix[r, i] = float(value)
        constant = np.array([float(row.constant) for row in rows])
        first = np.cumsum([0, *map(len, self.cases)])
        low, up = (np.array([float(v) for v in side]) for side in (self.lower, self.upper))
        target = target_of(self.lowered, Rows(x, y, constant), first)
        return PhaseSearch.over_box(Bounding(self.lowered, target, low, up, caution))

    def float_verdict(self, search: PhaseSearch, parts: int = 1) -> Verdict:
        return self.checker().check(self.certificate(search), None, parts)

    def exact_verdict(self, search: PhaseSearch) -> Verdict:
        return audit(self.checker(), self.certificate(search))

    def certificate(self, search: PhaseSearch) -> Certificate:
        return certificate(len(self.cases), written(search, range(len(self.cases))))


def asked(seed: int, folder: Path, placement: str = "near", cases: int = 1) -> Asked:
    """A random question; with several cases, each has the question's rows moved by another amount."""
    q = question(seed, placement)
    model, _ = q.write(folder)
    size = max(abs(q.optimum), Fraction(1, 1000))
    moves = [size * Fraction(k, 7) for k in range(cases)]
    moved = tuple(tuple(Row(r.x, r.y, r.constant + move, r.strict) for r in q.rows) for move in moves)
    return Asked(q.network, model.read_bytes(), lower(load_model(model)), q.lower, q.upper, moved)


def written(search: PhaseSearch, cases: Sequence[int]) -> list[int]:
    """The words of a search's tree."""
    chunk = search.tree.words(cases)
    words = np.concatenate(list(chunk.pieces())).tolist()
    assert len(words) == len(chunk)
    return words


def never() -> bool:
    return False


def started(one: Asked, caution: float = 1.0) -> PhaseSearch:
    """The search with its root bounded, cheaply and then thoroughly."""
    search = one.search(caution)
    search.start(never)
    search.deepen()
    return search


def go_on(search: PhaseSearch, nodes: int = NODES, asks: float = np.inf) -> PhaseSearch:
    """Run the search until it is closed, stuck, has that many nodes, or has asked for the time so many times."""
    asked_for = 0

    def out_of_time() -> bool:
        nonlocal asked_for
        asked_for += 1
        return asked_for > asks

    search.run(lambda: search.count >= nodes or asked_for > asks, out_of_time)
    return search


def searched(one: Asked, nodes: int = NODES) -> PhaseSearch:
    return go_on(started(one), nodes)
