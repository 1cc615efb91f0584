"""The standard normal distribution function, bounded from above in decimals that are rounded up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from verifier.checker.statistics_bounds import DOWN, UP

DENSITY_AT_ZERO = Decimal("0.39894228040143267793994605993438186847585863116494")  # 1 / sqrt(2 pi), rounded up
LARGEST = 14  # Phi(14) is within 1e-44 of 1, which no sample reaches
NEGLIGIBLE = Decimal("1e-55")


def normal_cdf_up(z: Fraction) -> Fraction:
    """At least Phi(z), and by less than 1e-40 more; for 0 <= z. Beyond 14 it is 1.

    Phi(z) = 1/2 + phi(z) (z + z^3 / 3 + z^5 / (3 5) + ...), all terms positive (Abramowitz and Stegun 26.2.11). The
    ratios of terms, z^2 / (2k + 3), fall in k: once one is at most 1/2, all that is left is at most the last term. The
    exponential of the decimal module is the nearest number of 50 digits; the next one is not below it.
    """
    if z < 0:
        raise ValueError("only the upper half is bounded")
    if z > LARGEST:
        return Fraction(1)
    numerator, denominator = Decimal(z.numerator), Decimal(z.denominator)
    high, low = UP.divide(numerator, denominator), DOWN.divide(numerator, denominator)
    square, term, total, odd = UP.multiply(high, high), high, high, 1
    while UP.multiply(square, 2) > odd + 2 or term > NEGLIGIBLE:
        odd += 2
        term = UP.divide(UP.multiply(term, square), odd)
        total = UP.add(total, term)
    total = UP.add(total, term)
    falling = UP.next_plus(UP.exp(UP.minus(DOWN.divide(DOWN.multiply(low, low), 2))))
    mass = UP.multiply(UP.multiply(DENSITY_AT_ZERO, falling), total)
    return min(Fraction(1), Fraction(UP.add(mass, Decimal("0.5"))))
