"""Exact bounds of a rate from failures among independent trials.

Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

A floating-point search proposes a bound; it is moved outward until ``binomial_tail`` proves that it covers. Bounds are
decimals of about ten digits, exactly what is printed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from verifier.statistics.binomial_tail import tail_is_at_most

DIGITS = 10  # significant digits of a bound, and of 1 minus it
WIDEST_LOGIT = 700.0


@dataclass(frozen=True)
class Interval:
    """``lower <= rate <= upper``, both exact decimals."""

    lower: Fraction
    upper: Fraction


def upper_bound(failures: int, trials: int, level: Fraction) -> Fraction:
    """A number that is below the rate with probability at most ``level``, whatever the rate is.

    It exceeds the Clopper-Pearson limit by less than 1e-8 of it (of 1 minus it, near 1). ``0 < level < 1``.
    """
    _check(failures, trials, level)
    if failures == trials:
        return Fraction(1)
    return _outward(trials, failures, level, mirrored=False)


def lower_bound(failures: int, trials: int, level: Fraction) -> Fraction:
    """A number that is above the rate with probability at most ``level``; see ``upper_bound``."""
    _check(failures, trials, level)
    if failures == 0:
        return Fraction(0)
    return _outward(trials, trials - failures, level, mirrored=True)


def interval(failures: int, trials: int, level: Fraction) -> Interval:
    """Both bounds, each at half the level."""
    return Interval(lower_bound(failures, trials, level / 2), upper_bound(failures, trials, level / 2))


def _check(failures: int, trials: int, level: Fraction) -> None:
    if not 0 <= failures <= trials or trials < 1:
        raise ValueError(f"{failures} failures in {trials} trials")
    if not 0 < level < 1:
        raise ValueError(f"the level has to be between 0 and 1, not {level}")


def _outward(trials: int, failures: int, level: Fraction, mirrored: bool) -> Fraction:
    """The bound t where the tail at rate t (mirrored: 1 - t) is proved to be at most ``level``."""
    t = _root(trials, failures, level, mirrored)
    margin = 1e-10
    while margin < 1:
        step = margin * min(t, 1 - t)
        bound = _decimal(t - step if mirrored else t + step, up=not mirrored)
        rate = 1 - bound if mirrored else bound
        if 0 < rate < 1 and tail_is_at_most(trials, failures, rate, level):
            return bound
        margin *= 4
    return Fraction(0 if mirrored else 1)


def _decimal(value: float, up: bool) -> Fraction:
    """The next decimal above (or below) of so many digits that neither it nor 1 minus it loses accuracy."""
    small = min(value, 1 - value)
    places = DIGITS - 1 - math.floor(math.log10(small)) if small > 0 else 320
    scaled = Fraction(value) * 10**places
    return Fraction(math.ceil(scaled) if up else math.floor(scaled), 10**places)


def decimal_text(bound: Fraction) -> str:
    """The decimal in plain digits, exactly; the denominator has to divide a power of ten."""
    places = 0
    while bound * 10**places != int(bound * 10**places):
        places += 1
        if places > 400:
            raise ValueError(f"{bound} is no short decimal")
    return format(Decimal(f"{int(bound * 10**places)}E-{places}"), "f")


def _root(trials: int, failures: int, level: Fraction, mirrored: bool) -> float:
    """Where the tail crosses ``level``, nearly: by bisection of the logit of t."""
    wanted = math.log(level.numerator) - math.log(level.denominator)
    count = np.arange(failures + 1, dtype=float)  # of failures fewer than ``failures``
    ratios = np.log(failures - count[:-1]) - np.log(trials - failures + 1 + count[:-1])
    terms = np.concatenate(([0.0], np.cumsum(ratios)))
    constant = math.lgamma(trials + 1) - math.lgamma(failures + 1) - math.lgamma(trials - failures + 1)
    low, high = -WIDEST_LOGIT, WIDEST_LOGIT  # the tail falls in the rate
    middle = 0.0
    for _ in range(64):
        middle = (low + high) / 2
        log_rate, log_rest = -np.logaddexp(0, -middle), -np.logaddexp(0, middle)
        exponents = terms - middle * count
        largest = exponents.max()
        tail = constant + failures * log_rate + (trials - failures) * log_rest
        tail += largest + math.log(np.exp(exponents - largest).sum())
        low, high = (middle, high) if tail > wanted else (low, middle)
    return 1 / (1 + math.exp(middle if mirrored else -middle))
