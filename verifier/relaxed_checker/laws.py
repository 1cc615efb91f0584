"""How well a proposal covers nature's law, where both are explicit: suprema of densities and Renyi divergences.

All numbers are exact or rounded up, so that a bound that rests on them is not too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from itertools import pairwise, product

from verifier.statistics.importance import exp_up
from verifier.statistics.sampling import Box, Mixture

DIGITS, SLACK = 40, Decimal("1e-30")
NEAR = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
PLACES = 18


@dataclass(frozen=True)
class Normal:
    """Independent normal coordinates with these means and standard deviations."""

    means: tuple[Fraction, ...]
    deviations: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if len(self.means) != len(self.deviations) or not all(d > 0 for d in self.deviations):
            raise ValueError("a normal law has a positive deviation for each mean")


def domination_of_normals(nature: Normal, proposal: Normal) -> Fraction | None:
    """sup dP/dQ, rounded up; None where it is infinite.

    Per coordinate, with s the deviations of P and Q: (s_Q / s_P) exp((m_P - m_Q)^2 / (2 (s_Q^2 - s_P^2))) if s_Q > s_P,
    1 if the two are equal, and infinite otherwise.
    """
    ratio, exponent = Fraction(1), Fraction(0)
    for m, s, n, t in _coordinates(nature, proposal):
        if t < s or (t == s and m != n):
            return None
        if t > s:
            ratio *= t / s
            exponent += (m - n) ** 2 / (2 * (t**2 - s**2))
    return _up(ratio * exp_up(exponent))


def divergence_of_normals(nature: Normal, proposal: Normal, order: Fraction) -> Fraction | None:
    """D_order(P || Q) of order a > 1, rounded up; None where it is infinite.

    Per coordinate a (m_P - m_Q)^2 / (2 v) + ln(s_Q / s_P) + ln(s_Q^2 / v) / (2 (a - 1)) with
    v = a s_Q^2 - (a - 1) s_P^2 if v > 0 (Gil, Alajaji and Linder 2013, doi:10.1016/j.ins.2013.06.018), and infinite
    otherwise.
    """
    if order <= 1:
        raise ValueError(f"an order above 1 is needed, not {order}")
    total = Fraction(0)
    for m, s, n, t in _coordinates(nature, proposal):
        v = order * t**2 - (order - 1) * s**2
        if v <= 0:
            return None
        total += order * (m - n) ** 2 / (2 * v) + _log_up(t / s) + _log_up(t**2 / v) / (2 * (order - 1))
    return _up(max(total, Fraction(0)))


def domination_of_boxes(nature: Mixture | Box, proposal: Mixture | Box) -> Fraction | None:
    """sup dP/dQ of mixtures of uniform laws on boxes with inner points, exactly; None where it is infinite.

    Densities are constant on the cells of the grid that all sides make; the number of cells grows with the power of
    the number of coordinates.
    """
    p, q = (_parts(law) for law in (nature, proposal))
    boxes = [box for _, box in (*p, *q)]
    sides = []
    for axis in range(len(boxes[0].lower)):
        ends = sorted({Fraction(v) for box in boxes for v in (box.lower[axis], box.upper[axis])})
        sides.append([(a + b) / 2 for a, b in pairwise(ends)])
    worst = Fraction(0)
    for middle in product(*sides):
        above, below = _density(p, middle), _density(q, middle)
        if above > 0:
            if below == 0:
                return None
            worst = max(worst, above / below)
    return worst


def _parts(law: Mixture | Box) -> list[tuple[Fraction, Box]]:
    parts = [(Fraction(1), law)] if isinstance(law, Box) else list(zip(law.weights, law.parts, strict=True))
    if any(l >= u for _, box in parts for l, u in zip(box.lower, box.upper)):
        raise ValueError("a box without inner points has no density")
    return parts


def _density(parts: Sequence[tuple[Fraction, Box]], point: Sequence[Fraction]) -> Fraction:
    total = Fraction(0)
    for weight, box in parts:
        if all(l <= v <= u for l, v, u in zip(box.lower, point, box.upper)):
            total += weight / math.prod(Fraction(u) - Fraction(l) for l, u in zip(box.lower, box.upper))
    return total


def _coordinates(p: Normal, q: Normal) -> list[tuple[Fraction, Fraction, Fraction, Fraction]]:
    return list(zip(p.means, p.deviations, q.means, q.deviations, strict=True))


def _log_up(value: Fraction) -> Fraction:
    """A little above ln(value): the quotient and the logarithm are rounded to 40 digits, which SLACK covers for
    arguments between 1e-9 and 1e9."""
    if not Fraction(1, 10**9) <= value <= 10**9:
        raise ValueError("deviations differ by more than a factor of 1e9")
    quotient = NEAR.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(NEAR.add(NEAR.ln(quotient), SLACK))


def _up(value: Fraction) -> Fraction:
    """The next decimal of eighteen places that is not below the value."""
    return Fraction(-(-value * 10**PLACES // 1), 10**PLACES)
