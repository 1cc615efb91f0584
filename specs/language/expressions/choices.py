"""Values of expressions that are no numbers: which class wins, which lead, and comparisons element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from specs.language.expressions.formula import And, Either, Formula, Or, less
from specs.language.expressions.terms import Term

_MAX_CHOICES = 20_000


@dataclass(frozen=True)
class Winner:
    """``argmax`` or ``argmin`` of a tensor: not a number, it can only be compared with classes.

    At a tie nothing wins: ``argmax(y) == k`` is true only where ``y[k]`` is strictly the largest, and ``!=`` is its
    opposite. ``argmax(y) in [a, b]`` is true where every largest value is one of these.
    """

    scores: tuple[Term, ...]

    def among(self, classes: Sequence[int]) -> Formula:
        others = [score for k, score in enumerate(self.scores) if k not in classes]
        chosen = [self.scores[k] for k in classes]
        return And(tuple(Or(tuple(less(other, score) for score in chosen)) for other in others))

    def same(self, other: Winner) -> Formula:
        """Whether both have the same winner; where one of them has none they have not.

        Some class wins in both; or, what comes to the same, no two different classes lead one and the other (ties
        included). The second form has an opposite of ``n (n - 1)`` alternatives, the first one of exponentially many.
        """
        classes = range(len(self.scores))
        wins = tuple(And((self.among([k]), other.among([k]))) for k in classes)
        apart = [(i, j) for i in classes for j in classes if i != j]
        return Either(And(tuple(Or((*self.beaten(i), *other.beaten(j))) for i, j in apart)), Or(wins))

    def beaten(self, k: int) -> list[Formula]:
        """The ways in which another class can be strictly ahead of class ``k``."""
        return [less(self.scores[k], score) for other, score in enumerate(self.scores) if other != k]


@dataclass(frozen=True)
class Top:
    """The ``k`` largest: a class is in it where fewer than ``k`` others are at least as large."""

    scores: tuple[Term, ...]
    k: int

    def contains(self, index: int) -> Formula:
        others = [score for j, score in enumerate(self.scores) if j != index]
        if comb(len(others), self.k) > _MAX_CHOICES:
            raise OverflowError(f"top {self.k} of {len(self.scores)} expands into too many constraints")
        beaten = [less(other, self.scores[index]) for other in others]
        return And(tuple(Or(chosen) for chosen in combinations(beaten, self.k)))


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Element-by-element comparison of tensors; as a formula, all of them."""

    parts: tuple[Formula, ...]
    operator: str
