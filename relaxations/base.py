"""The contract that every relaxation meets: more actions for the adversary, and duals that bound what it gains.

A question asks for the adversary's best *score* over a set of inputs,

    c(x) = min over rows r of -row_r(x),        v* = sup over x in X of c(x),

which is negative exactly if at every input some row is positive: then the property holds. A relaxation has a set A of
relaxed actions, an embedding of inputs into it, and a score on it, with

    (S1) embed(x) is in A                  for every x in X,
    (S2) score(embed(x)) >= c(x)           for every x in X,
    (W)  bound(dual) >= score(a)           for every dual and every a in A (weak duality).

So ``bound(dual) >= v*`` for every dual, whatever a solver made it from: below 0 it proves the property. Where no dual
does, an action of score >= 0 stands in the way; it is no attack, but the reason why this relaxation has no proof.

All three are tested for every registered relaxation by sampling (tests/relaxations). Floating point is allowed for by
a tolerance there; a proof is only ever what the independent checker accepts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from relaxations.bounds.balls import Ball, moved_inside
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.interval import interval_bounds
from relaxations.network import ReluNetwork

Action = TypeVar("Action")
Dual = TypeVar("Dual")


@dataclass(frozen=True)
class Query:
    """The adversary's problem on a box of inputs [``lower``, ``upper``] (n,), in float64, as far as it is in ``ball``.

    ``ranges[k]`` are bounds (n_k,) of layer k's pre-activations that hold for these inputs. All relaxations of a query
    start from the same ranges, which makes their values comparable.
    """

    network: ReluNetwork
    rows: Rows
    lower: np.ndarray
    upper: np.ndarray
    ranges: tuple[tuple[np.ndarray, np.ndarray], ...]
    ball: Ball | None = None

    @staticmethod
    def over_box(
        network: ReluNetwork, rows: Rows, lower: np.ndarray, upper: np.ndarray, ball: Ball | None = None
    ) -> Query:
        """A query whose ranges are those of CROWN, found layer by layer, where intervals are not better."""
        found = BoxBounder(network, rows, ball=ball).bounds(lower[None], upper[None]).ranges
        plain = interval_bounds(network, lower[None], upper[None], ball)
        both = [(np.maximum(l, low)[0], np.minimum(u, up)[0]) for (l, u), (low, up) in zip(found, plain)]
        # A range of one value may be crossed by rounding.
        ordered = tuple((np.minimum(l, u), np.maximum(l, u)) for l, u in both)
        return Query(network, rows, lower, upper, ordered, ball)

    def margins(self, x: np.ndarray) -> np.ndarray:
        """The rows' real values (B, R) at inputs (B, n)."""
        y = self.network.evaluate(x)
        return x @ self.rows.x.T + y @ self.rows.y.T + self.rows.constant

    def score(self, x: np.ndarray) -> np.ndarray:
        """c (B,) at inputs (B, n): what the adversary gains."""
        return (-self.margins(x)).min(axis=1)

    def moved_inside(self, x: np.ndarray) -> np.ndarray:
        """Inputs (B, n) that are of the query, near those given."""
        return moved_inside(x, self.lower, self.upper, self.ball)

    def unstable(self, layer: int) -> np.ndarray:
        """The neurons of a layer that may be active or not."""
        l, u = self.ranges[layer]
        return np.flatnonzero((l < 0) & (u > 0))

    @property
    def count_unstable(self) -> int:
        """How many neurons may be active or not."""
        return sum(len(self.unstable(k)) for k in range(len(self.ranges)))


class Branch(NamedTuple):
    """Something to branch on or to cut: a neuron of a layer, and how much of the relaxation's gap is due to it."""

    layer: int
    neuron: int
    weight: float


@dataclass(frozen=True)
class Solution(Generic[Action, Dual]):
    """``value`` is ``bound(dual)``: no action scores more. ``action`` is the best one found, None if there is none.

    ``finished`` tells that the solver believes both to be optimal up to its tolerance. ``seconds`` were used.
    """

    value: float
    dual: Dual | None
    action: Action | None
    attained: float = -np.inf
    finished: bool = True
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """What dual and primal differ by; 0 under strong duality."""
        return self.value - self.attained


class Relaxation(ABC, Generic[Action, Dual]):
    """A relaxation of one query. ``relaxations.registry`` knows them by name."""

    name: ClassVar[str] = ""

    def __init__(self, query: Query) -> None:
        self.query = query

    @classmethod
    def declines(cls, query: Query) -> str:
        """Why this relaxation has nothing to say about the query; "" if it has."""
        return "it is for ReLUs, and the network has signs" if query.network.signs else ""

    @abstractmethod
    def embed(self, x: np.ndarray) -> Action:
        """The action that an input (n,) of box and ball is."""

    @abstractmethod
    def outside(self, action: Action) -> float:
        """By how much an action violates the constraints that define A, 0 inside; in units of what they bound."""

    @abstractmethod
    def score(self, action: Action) -> float:
        """What the adversary gains by an action."""

    @abstractmethod
    def solve(self, seconds: float = np.inf) -> Solution[Action, Dual]:
        """The best dual and the best action that are found in the time."""

    @abstractmethod
    def bound(self, dual: Dual) -> float:
        """A number that no action's score exceeds (W), for any dual."""

    @abstractmethod
    def some_dual(self, rng: np.random.Generator) -> Dual:
        """Any dual at all, for tests of weak duality."""

    @abstractmethod
    def input_of(self, action: Action) -> np.ndarray:
        """The input (n,) that an action is closest to being."""

    def round(self, action: Action, rng: np.random.Generator, count: int = 1) -> np.ndarray:
        """Inputs (``count``, n) of the query that are worth trying as real attacks; ``[x]`` for ``embed(x)``."""
        return np.repeat(self.query.moved_inside(self.input_of(action)[None]), count, axis=0)

    def tighten(self, action: Action) -> list[Branch]:
        """What to branch on or to cut so that the action is lost, the most promising first; empty if it is real."""
        return []
