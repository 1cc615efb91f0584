"""The Euclidean ball of a case: exactly, and a superset of it in float64 over which linear forms are bounded.

Lemma B1. Where ``sum ((x_i - c_i) / r_i)^2 <= 1``, a form ``a . (x - m)`` is at least ``a . (c - m) - |(a_i r_i)_i|``,
by Cauchy and Schwarz. A form is bounded over the box and over the ball; both bounds hold, so the larger one does.

Lemma B2. If ``|c_i - d_i| <= s_i``, the ball with center c and radii r lies in the one with center d and the radii
``(1 + |(s_i / r_i)_i|) r_i``. So the float64 center is exact, and radii pay for it.

docs/reference/soundness.md has the proofs and what is paid for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, sqrt

import numpy as np
from numpy.typing import NDArray

from verifier.checker.lines import Floats, U
from verifier.checker.rational import nearest

SHORTEST, LONGEST = 1e-100, 1e80  # of a radius in float64
TINY_ROOT = 1e-150  # more than a root of squares that underflow loses
ROOT_BITS = 128


@dataclass(frozen=True)
class ExactBall:
    """``sum weights[i] (x[i] - center[i])^2 <= bound``; every weight > 0. Nothing is in it if ``bound`` is negative."""

    center: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    bound: Fraction

    def contains(self, x: Sequence[Fraction]) -> bool:
        parts = (w * (v - c) ** 2 for w, v, c in zip(self.weights, x, self.center, strict=True))
        return sum(parts, Fraction(0)) <= self.bound

    def meets(self, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> bool:
        """Whether it has a point in the box: the one nearest to the center, coordinate by coordinate."""
        return self.contains([min(max(c, l), u) for c, l, u in zip(self.center, lower, upper, strict=True)])

    def reach(self, form: Sequence[Fraction]) -> Fraction:
        """How far the form moves at most from its value at the center, rounded up."""
        return root_above(self.bound * sum((a * a / w for a, w in zip(form, self.weights, strict=True)), Fraction(0)))


def root_above(value: Fraction) -> Fraction:
    """A number at least as large as the square root and hardly larger: exactly it, where it has few digits."""
    shift = max(0, ROOT_BITS - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    whole = -((-value.numerator << 2 * shift) // value.denominator)
    return Fraction(isqrt(whole - 1) + 1 if whole else 0, 1 << shift)


@dataclass(frozen=True)
class Ball:
    """``sum ((x_i - center[i]) / radii[i])^2 <= 1`` at every point of a case's ball; (n,) each.

    ``point`` tells that the case's own has the bound 0: no multiplier of it is defined.
    """

    center: Floats
    radii: Floats
    point: bool = False

    @staticmethod
    def of(ball: ExactBall | None) -> Ball | None:
        """By lemma B2; None where there is no ball, or one whose numbers are too large: the box alone is then used."""
        if ball is None or ball.bound < 0:
            return None
        try:
            center = np.array([nearest(value) for value in ball.center])
            slack = np.array([nearest(abs(c - Fraction(d))) for c, d in zip(ball.center, center.tolist())])
            squares = {w: nearest(ball.bound / w) for w in set(ball.weights)}
        except OverflowError:
            return None
        radii = np.array([max(sqrt(squares[w]) * (1 + 4 * U), SHORTEST) for w in ball.weights])
        with np.errstate(all="ignore"):
            shares = (slack * (1 + 2 * U) + np.where(slack > 0, 5e-324, 0.0)) / radii
            moved = float(np.sqrt(shares @ shares)) * (1 + _gamma(len(radii))) + TINY_ROOT
            radii = radii * ((1 + moved) * (1 + 16 * U))
        if not ((radii < LONGEST) & (np.abs(center) < LONGEST)).all():
            return None
        return Ball(center, radii, ball.bound == 0)

    def over(self, generators: Floats, mid: Floats, gamma: float) -> tuple[Floats, Floats]:
        """Values (B, n) at the center and how far they move in the ball, rounded up, of forms ``G . (x - mid)``.

        ``generators`` are (B or 1, inputs, n), ``mid`` is (B, inputs). ``gamma`` is L1's for that many inputs.
        """
        away = self.center - mid
        scaled = generators * self.radii[:, None]
        reach = np.sqrt(np.einsum("bin,bin->bn", scaled, scaled)) * (1 + 4 * gamma)
        lost = 4 * gamma * _pushed(np.abs(away), np.abs(generators))
        return _pushed(away, generators), (reach + lost) * (1 + 4 * gamma) + TINY_ROOT

    def misses(self, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
        """Whether it certainly has no point in the boxes (B, inputs). What overflows is more than 1, too."""
        with np.errstate(all="ignore"):
            gaps = np.maximum(np.maximum(lower - self.center, self.center - upper), 0.0) / self.radii
            return np.asarray((gaps**2).sum(axis=1) * (1 - 4 * _gamma(len(self.radii))) > 1.0)

    def in_symbols(self, mid: Floats, rad: Floats) -> Ball:
        """The same of e for ``x = mid + rad e`` (inputs,), each number up to a relative 4 U; 0 where ``rad`` is 0."""
        moves = rad > 0
        width = np.where(moves, rad, 1.0)
        center, radii = (self.center - mid) / width, self.radii / width
        return Ball(np.where(moves, center, 0.0), np.where(moves, radii, 0.0))


def _pushed(values: Floats, generators: Floats) -> Floats:
    """Products (B, n) of rows (B, inputs) and matrices (B or 1, inputs, n)."""
    if len(generators) == 1:
        return np.asarray(values @ generators[0])
    return np.asarray(np.matmul(values[:, None, :], generators)[:, 0])


def _gamma(inputs: int) -> float:
    return float(2 * inputs + 64) * U
