"""Time-uniform bounds of the mean of numbers in [0, 1] by betting against it (Waudby-Smith and Ramdas 2024,
doi:10.1093/jrsssb/qkad009).

Against a mean m a gambler with capital 1 stakes lambda_t (m - X_t) in round t, with lambda_t chosen from what came
before. If m is the conditional mean in every round, the capital is a nonnegative martingale, and by Ville's inequality
it ever reaches 1/delta with probability at most delta. The means whose capital has reached it are excluded, at any
stopping time. With lambda_t = min(plug-in, c / (1 - m)) the capital does not fall in m, so what is excluded above is
an interval, and one evaluation at its end is a proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verifier.statistics.clopper_pearson import Interval

GRID = 1 << 16  # plug-in bets are multiples of 1 / GRID
BITS = 160
PLACES = 10  # decimal places of a bound


@dataclass(frozen=True)
class Bets:
    """How bets are made: fixed before the first value.

    ``truncation`` is c. With a ``horizon`` the bets are tuned to that many rounds; the bound stays valid at any time.
    """

    truncation: Fraction = Fraction(3, 4)
    horizon: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.truncation < 1 or (self.horizon is not None and self.horizon < 1):
            raise ValueError(f"no way to bet: truncation {self.truncation}, horizon {self.horizon}")


PLUG_IN = Bets()


def plug_in_bets(values: Sequence[Fraction], level: Fraction, horizon: int | None = None) -> list[Fraction]:
    """The predictable plug-in bets lambda_1 .. lambda_n, before truncation.

    sqrt(2 log(1 / level) / (variance * rounds)) with the regularised variance of the values before t, and with
    t log(t + 1) or the horizon for the rounds; rounded down to the grid. Any rounding is fair, as nothing but earlier
    values goes into a bet.
    """
    price = 2 * max(0.0, math.log(level.denominator) - math.log(level.numerator))
    bets = []
    total, spread = 0.5, 0.25
    for t, value in enumerate(values, 1):
        variance = spread / t
        rounds = t * math.log(t + 1) if horizon is None else horizon
        bets.append(Fraction(math.floor(math.sqrt(price / (variance * rounds)) * GRID), GRID))
        x = float(value)
        total += x
        spread += (x - total / (t + 1)) ** 2
    return bets


def reaches(
    values: Sequence[Fraction], bets: Sequence[Fraction], mean: Fraction, level: Fraction, truncation: Fraction
) -> bool:
    """True only if the capital against ``mean``, betting that values are smaller, was at least 1 / level at some time.

    Every product is rounded down.
    """
    limit = truncation / (1 - mean)
    mantissa, exponent = 1 << BITS, -BITS
    for value, plug_in in zip(values, bets, strict=True):
        factor = 1 + min(plug_in, limit) * (mean - value)
        mantissa *= (factor.numerator << BITS) // factor.denominator
        exponent -= BITS
        extra = mantissa.bit_length() - BITS
        if extra > 0:
            mantissa, exponent = mantissa >> extra, exponent + extra
        if _at_least(mantissa, exponent, level):
            return True
    return False


def upper_bound(values: Sequence[Fraction], level: Fraction, how: Bets = PLUG_IN) -> Fraction:
    """A number that is below the mean with probability at most ``level``, at whatever time the values end.

    ``values`` in [0, 1], in the order in which they came. The bound is the least over all times so far, within 1e-9.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level has to be between 0 and 1, not {level}")
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("values have to be between 0 and 1")
    bets = plug_in_bets(values, level, how.horizon)
    guess = _search(values, bets, level, how.truncation)
    margin = 1
    while guess < 1:
        bound = Fraction(math.ceil(Fraction(guess) * 10**PLACES) + margin, 10**PLACES)
        if bound >= 1:
            break
        if reaches(values, bets, bound, level, how.truncation):
            return bound
        margin *= 4
    return Fraction(1)


def lower_bound(values: Sequence[Fraction], level: Fraction, how: Bets = PLUG_IN) -> Fraction:
    """A number that is above the mean with probability at most ``level``: the bound of 1 minus the values, mirrored."""
    return 1 - upper_bound([1 - value for value in values], level, how)


def interval(values: Sequence[Fraction], level: Fraction, how: Bets = PLUG_IN) -> Interval:
    """The hedged capital process with equal shares: both bounds, each at half the level."""
    return Interval(lower_bound(values, level / 2, how), upper_bound(values, level / 2, how))


def _search(values: Sequence[Fraction], bets: Sequence[Fraction], level: Fraction, truncation: Fraction) -> float:
    """The least mean whose capital reaches 1 / level, nearly; 1 if there is none."""
    x, stakes = np.array(values, dtype=float), np.array(bets, dtype=float)
    goal = math.log(level.denominator) - math.log(level.numerator)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        gains = np.log1p(np.minimum(stakes, float(truncation) / (1 - middle)) * (middle - x))
        low, high = (low, middle) if np.cumsum(gains).max(initial=0.0) >= goal else (middle, high)
    return high


def _at_least(mantissa: int, exponent: int, level: Fraction) -> bool:
    """Whether mantissa * 2**exponent >= 1 / level."""
    left, right = mantissa * level.numerator, level.denominator
    return left << exponent >= right if exponent >= 0 else left >= right << -exponent
