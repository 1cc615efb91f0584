"""Values of expressions that are no numbers: which class wins, which lead, and comparisons element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from specs.language.formula import And, Formula, Or, less
from specs.language.terms import Term

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
