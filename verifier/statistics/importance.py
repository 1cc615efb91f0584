"""Bounds under a law P from draws of another law Q."""

from __future__ import annotations

import math
from fractions import Fraction

from verifier.statistics.binomial_tail import power
from verifier.statistics.clopper_pearson import DIGITS

TERMS = 40
LARGEST_ORDER = 64


def domination(rate: Fraction, kappa: Fraction) -> Fraction:
    """P[E] <= kappa Q[E] where dP/dQ <= kappa; ``rate`` bounds Q[E]."""
    if kappa < 1:
        raise ValueError(f"no law is dominated with kappa {kappa} < 1")
    return min(Fraction(1), kappa * rate)


def renyi(rate: Fraction, divergence: Fraction, order: Fraction) -> Fraction:
    """P[E] <= (exp(D) Q[E])^((a - 1) / a) for the Renyi divergence D = D_a(P || Q) of order a > 1, rounded up.

    ``rate`` bounds Q[E] and ``divergence`` bounds D >= 0. Source: van Erven and Harremoes 2014,
    doi:10.1109/TIT.2014.2320500 (data processing on the event). The order is a quotient of integers up to 64.
    """
    if not order > 1 or order.numerator > LARGEST_ORDER or divergence < 0:
        raise ValueError(f"no bound of order {order} and divergence {divergence}")
    inside = exp_up(divergence) * rate
    if inside == 0 or inside >= 1:
        return Fraction(1 if inside else 0)
    guess = math.exp((math.log(inside.numerator) - math.log(inside.denominator)) * float((order - 1) / order))
    places = DIGITS - math.floor(math.log10(guess))
    step = Fraction(1, 10**places)
    bound = Fraction(math.ceil(Fraction(guess) / step)) * step
    whole, part = order.numerator, order.numerator - order.denominator
    while bound < 1 and bound**whole < inside**part:
        bound += step
    return min(bound, Fraction(1))


def exp_up(exponent: Fraction) -> Fraction:
    """A little above exp(exponent), for 0 <= exponent <= 1000: Taylor's sum with its rest, of an argument below 1/2."""
    if not 0 <= exponent <= 1000:
        raise ValueError(f"exp of {exponent}")
    halvings = max(0, (2 * exponent.numerator // exponent.denominator).bit_length())
    small = exponent / 2**halvings
    total = term = Fraction(1)
    for k in range(1, TERMS):
        term = term * small / k
        total += term
    total += 2 * term  # the rest is at most a geometric series of ratio 1/2
    mantissa, scale = power(total, 1 << halvings)
    return Fraction(mantissa) * Fraction(2) ** scale
