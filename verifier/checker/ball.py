"""The ball of a case, of the norm 1 or 2: exactly, and a superset in float64 over which linear forms are bounded.

Lemma B1. Where ``sum ((x_i - c_i) / r_i)^2 <= 1``, a form ``a . (x - m)`` is at least ``a . (c - m) - |(a_i r_i)_i|``,
by Cauchy and Schwarz. A form is bounded over the box and over the ball; both bounds hold, so the larger one does.

Lemma B2. If ``|c_i - d_i| <= s_i``, the ball with center c and radii r lies in the one with center d and the radii
``(1 + |(s_i / r_i)_i|) r_i``, in either norm. So the float64 center is exact, and radii pay for it.

Lemma B3. Let ``sum |x_i - c_i| / r_i <= 1`` and ``|x_i - m_i| <= rho_i``, and let q be the point of that box nearest to
c. Then ``|x_i - c_i| = |x_i - q_i| + |q_i - c_i|``, so that ``sum |x_i - q_i| / r_i <= b = 1 - sum |q_i - c_i| / r_i``.
A form falls from q on by at most ``t b + sum max(|a_i| r_i - t, 0) k_i`` for every t >= 0, if k_i is what input i can
spend in the direction in which the form falls: it spends y_i in [0, k_i], ``sum y_i <= b``, for ``|a_i| r_i y_i``.

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
TINY_ROOT = 1e-150  # more than a root of squares that underflow loses, and more than such a sum does
CELLS_AT_ONCE = 1 << 22  # of forms over a ball of the norm 1; bounds memory, not results
ROOT_BITS = 128


@dataclass(frozen=True)
class ExactBall:
    """``sum weights[i] |x[i] - center[i]|^norm <= bound``; every weight > 0. Empty if ``bound`` is negative."""

    center: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    bound: Fraction
    norm: int = 2

    def contains(self, x: Sequence[Fraction]) -> bool:
        parts = (w * abs(v - c) ** self.norm for w, v, c in zip(self.weights, x, self.center, strict=True))
        return sum(parts, Fraction(0)) <= self.bound

    def meets(self, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> bool:
        """Whether it has a point in the box: the one nearest to the center, coordinate by coordinate."""
        return self.contains([min(max(c, l), u) for c, l, u in zip(self.center, lower, upper, strict=True)])

    def radius_squared(self, i: int) -> Fraction:
        """The square of how far the ball reaches from its center in direction i."""
        return (self.bound / self.weights[i]) ** (2 // self.norm)

    def ends(
        self, form: Sequence[Fraction], mid: Sequence[Fraction], rad: Sequence[Fraction]
    ) -> tuple[Fraction, Fraction]:
        """Below and above ``form . (x - mid)`` wherever x is in the ball and ``|x - mid| <= rad``."""
        if self.norm == 1:
            return self._least(form, mid, rad), -self._least([-a for a in form], mid, rad)
        value = sum((a * (c - m) for a, c, m in zip(form, self.center, mid, strict=True)), Fraction(0))
        square = sum((a * a / w for a, w in zip(form, self.weights, strict=True)), Fraction(0))
        reach = root_above(self.bound * square)
        return value - reach, value + reach

    def _least(self, form: Sequence[Fraction], mid: Sequence[Fraction], rad: Sequence[Fraction]) -> Fraction:
        """The least value: B3's bound at the best t, which is found by spending where it counts most."""
        value, left, offers = Fraction(0), self.bound, []
        for a, c, w, m, r in zip(form, self.center, self.weights, mid, rad, strict=True):
            e = min(max(c - m, -r), r)
            value, left = value + a * e, left - w * abs(c - m - e)
            if a:
                offers.append((abs(a) / w, w * (r + e if a > 0 else r - e)))
        for gain, most in sorted(offers, reverse=True):
            value, left = value - gain * min(most, left), left - most
            if left <= 0:
                break
        return value


def root_above(value: Fraction) -> Fraction:
    """A number at least as large as the square root and hardly larger: exactly it, where it has few digits."""
    shift = max(0, ROOT_BITS - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    whole = -((-value.numerator << 2 * shift) // value.denominator)
    return Fraction(isqrt(whole - 1) + 1 if whole else 0, 1 << shift)


@dataclass(frozen=True)
class Ball:
    """``sum (|x_i - center[i]| / radii[i])^norm <= 1`` at every point of a case's ball; (n,) each.

    ``point`` tells that the case's own has the bound 0: no multiplier of it is defined.
    """

    center: Floats
    radii: Floats
    point: bool = False
    norm: int = 2

    @staticmethod
    def of(ball: ExactBall | None) -> Ball | None:
        """By lemma B2; None where there is no ball, or one whose numbers are too large: the box alone is then used."""
        if ball is None or ball.bound < 0:
            return None
        try:
            center = np.array([nearest(value) for value in ball.center])
            slack = np.array([nearest(abs(c - Fraction(d))) for c, d in zip(ball.center, center.tolist())])
            powers = {w: nearest(ball.bound / w) for w in set(ball.weights)}
        except OverflowError:
            return None
        exact = {w: sqrt(power) if ball.norm == 2 else power for w, power in powers.items()}
        radii = np.array([max(exact[w] * (1 + 4 * U), SHORTEST) for w in ball.weights])
        with np.errstate(all="ignore"):
            shares = (slack * (1 + 2 * U) + np.where(slack > 0, 5e-324, 0.0)) / radii
            size = np.sqrt(shares @ shares) if ball.norm == 2 else shares.sum()
            moved = float(size) * (1 + _gamma(len(radii))) + TINY_ROOT
            radii = radii * ((1 + moved) * (1 + 16 * U))
        if not ((radii < LONGEST) & (np.abs(center) < LONGEST)).all():
            return None
        return Ball(center, radii, ball.bound == 0, ball.norm)

    def over(self, generators: Floats, mid: Floats, rad: Floats, gamma: float) -> tuple[Floats, Floats, Floats]:
        """Values (B, n) at a point, and how far forms fall and rise from there, rounded up, of ``G . (x - mid)``.

        For x in the ball with ``|x - mid| <= rad``. ``generators`` are (B or 1, inputs, n), ``mid`` and ``rad`` (B,
        inputs). ``gamma`` is L1's for that many inputs.
        """
        if self.norm == 1:
            step = max(1, CELLS_AT_ONCE // max(1, generators.shape[1] * generators.shape[2]))
            parts = [
                self._over_one(generators[some] if len(generators) > 1 else generators, mid[some], rad[some], gamma)
                for some in (slice(at, at + step) for at in range(0, max(1, len(mid)), step))
            ]
            values, fall, rise = (np.concatenate(part) for part in zip(*parts, strict=True))
            return values, fall, rise
        away = self.center - mid
        scaled = generators * self.radii[:, None]
        reach = np.sqrt(np.einsum("bin,bin->bn", scaled, scaled)) * (1 + 4 * gamma)
        lost = 4 * gamma * _pushed(np.abs(away), np.abs(generators))
        reach = (reach + lost) * (1 + 4 * gamma) + TINY_ROOT
        return _pushed(away, generators), reach, reach

    def _over_one(self, generators: Floats, mid: Floats, rad: Floats, gamma: float) -> tuple[Floats, Floats, Floats]:
        """The same by lemma B3; q is ``mid + nearest``, which is not computed, so that nothing is rounded there.

        Where ``left`` is negative box and ball do not meet, and whatever is said of their points is true.
        """
        away = self.center - mid
        nearest = np.clip(away, -rad, rad)
        outside, spread = (
            (part / self.radii).sum(axis=1) for part in (np.maximum(np.abs(away) - rad, 0), np.abs(away))
        )
        left = 1.0 - outside + 4 * gamma * (1.0 + outside) + 32 * U * spread
        gain = _up(np.abs(generators) * self.radii[:, None])
        lost = 4 * gamma * _pushed(np.abs(nearest), np.abs(generators))
        way = np.sign(generators) * nearest[:, :, None]
        rooms = (rad[:, :, None] + way, rad[:, :, None] - way)  # falling and rising
        of_boxes = left[:, None, None]
        fall, rise = (
            (_worth(gain, np.minimum(_up(room / self.radii[:, None]), of_boxes), of_boxes) + lost) * (1 + 4 * gamma)
            + TINY_ROOT
            for room in rooms
        )
        return _pushed(nearest, generators), fall, rise

    def misses(self, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
        """Whether it certainly has no point in the boxes (B, inputs). What overflows is more than 1, too."""
        with np.errstate(all="ignore"):
            gaps = np.maximum(np.maximum(lower - self.center, self.center - upper), 0.0) / self.radii
            return np.asarray((gaps**self.norm).sum(axis=1) * (1 - 4 * _gamma(len(self.radii))) > 1.0)

    def in_symbols(self, mid: Floats, rad: Floats) -> Ball:
        """The same of e for ``x = mid + rad e`` (inputs,), each number up to a relative 4 U.

        Where ``rad`` is 0 the ball of e has any radius, and what the input spends is forgotten.
        """
        moves = rad > 0
        width = np.where(moves, rad, 1.0)
        center, radii = (self.center - mid) / width, self.radii / width
        return Ball(np.where(moves, center, 0.0), np.where(moves, radii, 1.0), norm=self.norm)


def _worth(gain: Floats, most: Floats, left: Floats) -> Floats:
    """``t left + sum of max(gain - t, 0) most`` over the inputs, up to rounding, for about the best t: (B, n).

    Whatever t is, this is a bound. ``gain`` is (B or 1, inputs, n), ``most`` (B, inputs, n), ``left`` (B, 1, 1).
    """
    order = np.argsort(-gain, axis=1)
    falling = np.take_along_axis(gain, order, axis=1)
    spent = np.cumsum(np.take_along_axis(most, order, axis=1), axis=1)
    full = (spent < left).sum(axis=1, keepdims=True)  # how many spend all they can
    t = np.take_along_axis(np.concatenate([falling, np.zeros_like(falling[:, :1])], axis=1), full, axis=1)
    total: Floats = (t * left + (np.maximum(gain - t, 0.0) * most).sum(axis=1, keepdims=True))[:, 0]
    return total


def _up(values: Floats) -> Floats:
    """A little more than these products and quotients of numbers that are off by a relative 4 U each."""
    return values * (1 + 16 * U) + 5e-324


def _pushed(values: Floats, generators: Floats) -> Floats:
    """Products (B, n) of rows (B, inputs) and matrices (B or 1, inputs, n)."""
    if len(generators) == 1:
        return np.asarray(values @ generators[0])
    return np.asarray(np.matmul(values[:, None, :], generators)[:, 0])


def _gamma(inputs: int) -> float:
    return float(2 * inputs + 64) * U
