"""Sums of squares in a VNN-LIB query: the balls that inputs lie in."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from specs.problem import Ball

ONLY_SQUARES = "a query is linear in X and Y, but for a ball, (<= (+ (* w (* T T)) ...) b)"


class Squares(NamedTuple):
    """A sum of weighted squares of ``factor X_i + constant``: (factor, constant, weight) by i."""

    by_input: dict[int, tuple[Fraction, Fraction, Fraction]]


class Ellipsoid(NamedTuple):
    """The formula ``squares <= bound``; ``token`` says where it stands."""

    squares: Squares
    bound: Fraction
    token: int

    def ball(self, n_inputs: int) -> Ball:
        """The ball in ``n_inputs`` numbers. Raises ``ValueError`` with what is wrong with it."""
        squares = self.squares.by_input
        missing = [f"X_{i}" for i in range(n_inputs) if i not in squares]
        if missing:
            listed = ", ".join(missing[:5])
            raise ValueError(f"a ball needs a square of every input; {len(missing)} lack one: {listed}")
        if self.bound < 0:
            raise ValueError("the ball has no point: squares do not add up to less than 0")
        parts = [squares[i] for i in range(n_inputs)]
        center = tuple(-constant / factor for factor, constant, _ in parts)
        return Ball(center, tuple(weight * factor**2 for factor, _, weight in parts), self.bound)
