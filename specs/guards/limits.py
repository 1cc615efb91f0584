"""Limits in floating point that only members of an exact set pass.

A bound on one element is rounded toward the inside of the set, and a comparison rounds nothing: the floats that pass
are exactly those in the set. Sums are computed with rounding, in an order that the runtime chooses, with fused
multiply-adds or without, with subnormal results or with zeros in their place. Their limits are lowered by all that
this can amount to: a sum of n products is off by at most ``gamma_n sum |a_i x_i|`` with ``gamma_n = n u / (1 - n u)``
(Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from specs.language.expressions.dnf import Atom
from specs.problem import Ball

Side = Fraction | None
_BITS = 200


class EmptyGuard(Exception):
    """No float would pass, or rounding could not be paid for; the message says why."""


@dataclass(frozen=True)
class Arithmetic:
    """A floating-point format: ``unit`` is the largest relative error of an operation, ``tiny`` the smallest normal."""

    dtype: np.dtype

    @property
    def unit(self) -> Fraction:
        return Fraction(float(np.finfo(self.dtype).eps)) / 2

    @property
    def tiny(self) -> Fraction:
        return Fraction(float(np.finfo(self.dtype).tiny))

    @property
    def largest(self) -> Fraction:
        return Fraction(float(np.finfo(self.dtype).max))

    def gamma(self, operations: int) -> Fraction:
        product = operations * self.unit
        if product >= Fraction(1, 2):
            raise EmptyGuard(f"sums of {operations} terms are too long for {self.dtype}")
        return product / (1 - product)

    def nearest(self, value: Fraction) -> Fraction:
        """The nearest number of the format, but for double rounding, which what follows takes as it finds it.

        Zero stands for subnormal numbers, since some runtimes take them for zeros.
        """
        if abs(value) > self.largest:
            raise EmptyGuard(f"a coefficient is larger than any {self.dtype} number")
        if abs(value) < self.tiny:
            return Fraction(0)
        return Fraction(float(self.dtype.type(float(value))))

    def below(self, value: Fraction, strictly: bool = False) -> float:
        """The largest number of the format that is at most (less than) ``value``."""
        if abs(value) > self.largest:
            raise EmptyGuard(f"a bound is not a number of {self.dtype}")
        found = self.dtype.type(float(value))  # the next one below, the next above, or it
        if Fraction(float(found)) > value or (strictly and Fraction(float(found)) == value):
            found = np.nextafter(found, self.dtype.type(-np.inf))
        return float(found)

    def above(self, value: Fraction, strictly: bool = False) -> float:
        """The smallest number of the format that is at least (more than) ``value``."""
        return -self.below(-value, strictly) + 0.0  # zero has one sign


@dataclass(frozen=True)
class SumLimit:
    """``sum coefficients[k] x[places[k]] <= limit``, in the format's arithmetic."""

    places: tuple[int, ...]
    coefficients: tuple[float, ...]
    limit: float


@dataclass(frozen=True)
class BallLimit:
    """``sum weights |x - center|^norm <= limit``, in the format's arithmetic; no ``weights`` stand for ones."""

    center: tuple[float, ...]
    weights: tuple[float, ...]
    limit: float
    norm: int


@dataclass(frozen=True)
class Limits:
    """An input passes if it passes all. ``lower`` and ``upper`` are finite: no infinity and no NaN passes.

    ``orders`` are pairs (i, j, strict): ``x[i] <= x[j]``, or ``<``, which nothing rounds. ``is_exact``: the floats that
    pass are all those in the set.
    """

    arithmetic: Arithmetic
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    orders: tuple[tuple[int, int, bool], ...] = ()
    sums: tuple[SumLimit, ...] = ()
    ball: BallLimit | None = None

    @property
    def is_exact(self) -> bool:
        return not self.sums and self.ball is None


def limits_of(
    lower: Sequence[Side], upper: Sequence[Side], atoms: Sequence[Atom], ball: Ball | None, dtype: np.dtype
) -> Limits:
    """Limits for the box, the conjunction of ``atoms``, which are over inputs, and the ball.

    Raises ``EmptyGuard`` where nothing would pass, or where a sum has no bound over the box.
    """
    return _Builder(list(lower), list(upper), Arithmetic(dtype)).limits(atoms, ball)


@dataclass
class _Builder:
    lower: list[Side]
    upper: list[Side]
    arithmetic: Arithmetic

    def limits(self, atoms: Sequence[Atom], ball: Ball | None) -> Limits:
        open_lower: set[int] = set()
        open_upper: set[int] = set()
        longer = []
        for atom in dict.fromkeys(atoms):
            if len(atom.x) == 1:
                self._bound(atom, open_lower, open_upper)
            else:
                longer.append(atom)
        orders = tuple(order for order in map(_order, longer) if order is not None)
        sums = [atom for atom in longer if _order(atom) is None]
        self._check_equations(sums)
        near = self.arithmetic
        bounds = (
            tuple(near.above(self._within(v, -1), i in open_lower) for i, v in enumerate(self.lower)),
            tuple(near.below(self._within(v, 1), i in open_upper) for i, v in enumerate(self.upper)),
        )
        empty = [i for i, (low, up) in enumerate(zip(*bounds)) if low > up]
        if empty:
            raise EmptyGuard(f"no {near.dtype} number is in the interval of element {empty[0]}")
        return Limits(near, *bounds, orders, tuple(map(self._sum, sums)), None if ball is None else self._ball(ball))

    def _within(self, value: Side, sign: int) -> Fraction:
        """A bound that finite floats have anyway, in place of none and of one beyond it."""
        most = self.arithmetic.largest
        if value is None:
            return sign * most
        return min(value, most) if sign > 0 else max(value, -most)

    def _bound(self, atom: Atom, open_lower: set[int], open_upper: set[int]) -> None:
        """A condition on one element becomes one of its bounds."""
        ((i, factor),) = atom.x
        value = -atom.constant / factor
        side, opened = (self.upper, open_upper) if factor > 0 else (self.lower, open_lower)
        old = side[i]
        if old is None or (value < old if factor > 0 else value > old):
            side[i] = value
            opened.discard(i)
            old = None
        if atom.strict and old in (None, value):
            opened.add(i)

    def _check_equations(self, sums: Sequence[Atom]) -> None:
        known = {(atom.x, atom.constant) for atom in sums}
        for atom in sums:
            mirrored = atom.mirrored()
            if (mirrored.x, mirrored.constant) in known:
                raise EmptyGuard("an equation between inputs cannot be decided with rounding; only x[i] == x[j] can")

    def _sum(self, atom: Atom) -> SumLimit:
        near, size = self.arithmetic, len(atom.x)
        sizes = [self._size(i) for i, _ in atom.x]
        coefficients = [near.nearest(a) for _, a in atom.x]
        total = sum((abs(a) * most for a, most in zip(coefficients, sizes)), Fraction(0))
        self._check_overflow(total)
        error = near.gamma(size) * total + 4 * size * near.tiny
        error += sum((abs(a - own) * most for (_, a), own, most in zip(atom.x, coefficients, sizes)), Fraction(0))
        limit = near.below(-atom.constant - error, atom.strict)
        least = sum((a * self._end(i, a < 0) for (i, _), a in zip(atom.x, coefficients)), Fraction(0))
        if least > Fraction(limit):
            raise EmptyGuard("a linear condition leaves less room than rounding takes")
        return SumLimit(tuple(i for i, _ in atom.x), tuple(float(a) for a in coefficients), limit)

    def _end(self, i: int, above: bool) -> Fraction:
        side = (self.upper if above else self.lower)[i]
        if side is None:
            raise EmptyGuard(f"element {i} has no bounds, so that a sum with it may round to anything: give it a box")
        return side

    def _size(self, i: int) -> Fraction:
        return max(abs(self._end(i, True)), abs(self._end(i, False)))

    def _check_overflow(self, total: Fraction) -> None:
        if 4 * total > self.arithmetic.largest:
            raise EmptyGuard(f"a sum may be larger than any {self.arithmetic.dtype} number")

    def _ball(self, ball: Ball) -> BallLimit:
        """With the norm ``|v| = (sum w |v|^p)^(1/p)``: ``|x - c| <= |x - d| + |d - c|`` for the float center d.

        With Q the sum of ``w |q|^p``, q being the computed differences, ``|x - d| (1 - u) <= Q^(1/p) + tiny |1|``. What
        is computed is at least ``(1 - gamma) Q - lost``, where a rounded weight, a square, a product and a sum round.
        """
        near, size, norm = self.arithmetic, len(ball.center), ball.norm
        first = ball.weights[0]
        weights, bound = [w / first for w in ball.weights], ball.bound / first
        plain = all(w == 1 for w in weights)
        center = [near.nearest(c) for c in ball.center]
        rounded = [near.nearest(w) for w in weights]
        if any(w == 0 for w in rounded):
            raise EmptyGuard("the weights of a ball are too different in size")
        reach = [max(abs(self._end(i, True) - c), abs(self._end(i, False) - c)) for i, c in enumerate(center)]
        self._check_overflow(2 * sum((w * r**norm for w, r in zip(rounded, reach)), Fraction(0)))
        away = sum((w * abs(c - d) ** norm for w, c, d in zip(weights, ball.center, center)), Fraction(0))
        moved, ones = _root_above(away, norm), _root_above(sum(weights, Fraction(0)), norm)
        root = (_root_below(bound, norm) - moved) * (1 - near.unit) - near.tiny * ones
        lost = 2 * size * near.tiny * (2 + max(rounded))
        limit = (1 - near.gamma(size + 4)) * root**norm - lost
        if root < 0 or limit < 0:
            raise EmptyGuard("the ball is smaller than what rounding takes")
        weighted = () if plain else tuple(map(float, rounded))
        return BallLimit(tuple(map(float, center)), weighted, near.below(limit), norm)


def _order(atom: Atom) -> tuple[int, int, bool] | None:
    """The pair that the condition compares, if that is all it does."""
    if len(atom.x) != 2 or atom.constant:
        return None
    (i, a), (j, b) = atom.x
    if a != -b:
        return None
    return (i, j, atom.strict) if a > 0 else (j, i, atom.strict)


def _root_below(value: Fraction, norm: int) -> Fraction:
    """The number itself for the norm 1; for 2 a number of at most its square root, and hardly less."""
    if norm == 1:
        return value
    shift = max(0, _BITS - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    return Fraction(isqrt((value.numerator << 2 * shift) // value.denominator), 1 << shift)


def _root_above(value: Fraction, norm: int) -> Fraction:
    """A number of at least the root, and hardly more."""
    root = _root_below(value, norm)
    shift = max(0, _BITS - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    return root if root**norm == value else root + Fraction(1, 1 << shift)
