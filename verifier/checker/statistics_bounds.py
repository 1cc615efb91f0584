"""Whether a stated bound covers: binomial tails and betting capital in decimal arithmetic, rounded against the claim.

Logarithms and exponentials of the decimal module are correctly rounded; with 60 digits all errors of a few such
operations on numbers below 1e9 are far below SLACK, which is charged once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

from verifier.checker.errors import CheckError

MOST_TRIALS = 10**7
SLACK = Decimal("1e-25")  # of a logarithm
EXACT_FACTORIAL = 1000
HALF_LOG_TWO_PI = Decimal("0.9189385332046727417803297364056176398613974736377834128")
NEAR = Context(prec=60, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)
UP = Context(prec=50, rounding=ROUND_CEILING, Emax=MAX_EMAX, Emin=MIN_EMIN)
DOWN = Context(prec=50, rounding=ROUND_FLOOR, Emax=MAX_EMAX, Emin=MIN_EMIN)
GRID = 1 << 16
BISECTIONS = 80
LEAST_LOGARITHM = -10_000


def tail_is_small(trials: int, failures: int, rate: Fraction, level: Fraction) -> bool:
    """True only if P[Bin(trials, rate) <= failures] <= level, for 0 < level < 1."""
    if not 0 <= failures <= trials or not 1 <= trials <= MOST_TRIALS:
        raise CheckError(f"{failures} failures in {trials} trials")
    if rate <= 0 or failures == trials:
        return False
    if rate >= 1:
        return True
    logarithm = NEAR.subtract(_log_factorial(trials), _log_factorial(failures))
    logarithm = NEAR.subtract(logarithm, _log_factorial(trials - failures))
    logarithm = NEAR.add(logarithm, NEAR.multiply(failures, _log(rate)))
    logarithm = NEAR.add(logarithm, NEAR.multiply(trials - failures, _log(1 - rate)))
    logarithm = NEAR.add(logarithm, NEAR.ln(_sum_up(trials, failures, rate)))
    return NEAR.add(logarithm, SLACK) <= _log(level)


@lru_cache(maxsize=1024)
def least_rate(trials: int, failures: int, level: Fraction) -> Fraction:
    """A little above the least rate whose tail is small: the upper bound of Clopper and Pearson."""
    if failures == trials:
        return Fraction(1)
    low, high = Fraction(0), Fraction(1)  # dyadic all along, so that sums over cells stay short
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if tail_is_small(trials, failures, middle, level) else (middle, high)
    return high


def _sum_up(trials: int, failures: int, rate: Fraction) -> Decimal:
    """At least the sum of all terms of the tail over the largest index's term, from there down."""
    odds = UP.divide(Decimal((1 - rate).numerator), Decimal(rate.numerator))
    term = total = Decimal(1)
    for left in range(failures, 0, -1):
        ratio = UP.divide(UP.multiply(odds, left), trials - left + 1)
        term = UP.multiply(term, ratio)
        total = UP.add(total, term)
        if ratio < 1:
            rest = UP.divide(UP.multiply(term, ratio), DOWN.subtract(Decimal(1), ratio))
            if rest < Decimal("1e-30"):
                return UP.add(total, rest)
    return total


def _log(value: Fraction) -> Decimal:
    return NEAR.ln(NEAR.divide(Decimal(value.numerator), Decimal(value.denominator)))


@lru_cache(maxsize=64)
def _log_factorial(m: int) -> Decimal:
    """ln m!; from Stirling's series for large m, whose error is below its first omitted term, 1 / (1188 m^9)."""
    if m <= EXACT_FACTORIAL:
        return NEAR.ln(Decimal(math.factorial(m)))
    x = Decimal(m)
    value = NEAR.subtract(NEAR.multiply(NEAR.add(x, Decimal("0.5")), NEAR.ln(x)), x)
    value = NEAR.add(value, HALF_LOG_TWO_PI)
    for sign, denominator, exponent in ((1, 12, 1), (-1, 360, 3), (1, 1260, 5), (-1, 1680, 7)):
        value = NEAR.add(value, NEAR.divide(Decimal(sign), NEAR.multiply(denominator, NEAR.power(x, exponent))))
    return value


def bets(values: Sequence[Fraction], level: Fraction, horizon: int | None) -> list[Fraction]:
    """The predictable plug-in bets: each from the values before it, as docs/statistics.md defines them."""
    price = 2 * max(0.0, math.log(level.denominator) - math.log(level.numerator))
    found, total, spread = [], 0.5, 0.25
    for t in range(1, len(values) + 1):
        rounds = float(horizon) if horizon is not None else t * math.log(t + 1)
        found.append(Fraction(math.floor(math.sqrt(price / (spread / t * rounds)) * GRID), GRID))
        x = float(values[t - 1])
        total += x
        spread += (x - total / (t + 1)) ** 2
    return found


def capital_reaches(
    values: Sequence[Fraction], mean: Fraction, level: Fraction, truncation: Fraction, horizon: int | None
) -> bool:
    """True only if the capital of betting that values are below ``mean`` reached 1 / level at some time.

    The capital does not fall in the mean (docs/statistics.md), so all larger means are excluded with it.
    """
    if not 0 <= mean < 1:
        return mean >= 1
    most = truncation / (1 - mean)
    goal = UP.divide(Decimal(level.denominator), Decimal(level.numerator))
    capital = Decimal(1)
    for value, plug_in in zip(values, bets(values, level, horizon), strict=True):
        stake = min(plug_in, most)
        gain = 1 + stake * (mean - value)
        capital = DOWN.multiply(capital, DOWN.divide(Decimal(gain.numerator), Decimal(gain.denominator)))
        if capital >= goal:
            return True
    return False


def renyi_rate(bound: Fraction, divergence: Fraction, order: Fraction) -> Fraction:
    """A little below the rate q of Q for which (exp(divergence) q) ** ((order - 1) / order) is ``bound``.

    The power of the bound is at most 1000, so that the rounding of its logarithm stays far below SLACK; rates below
    exp(-10000) are called 0.
    """
    power = order / (order - 1)
    logarithm = NEAR.multiply(_log(bound), NEAR.divide(Decimal(power.numerator), Decimal(power.denominator)))
    logarithm = NEAR.subtract(logarithm, NEAR.divide(Decimal(divergence.numerator), Decimal(divergence.denominator)))
    if logarithm < LEAST_LOGARITHM:
        return Fraction(0)
    return Fraction(NEAR.exp(NEAR.subtract(logarithm, SLACK)))


def shown(value: Fraction, towards: Context) -> str:
    """Six digits of a bound, rounded so that the words claim no more than the number."""
    short = Context(prec=6, rounding=towards.rounding, Emax=MAX_EMAX, Emin=MIN_EMIN)
    return str(short.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(short))
