"""Proving that a binomial tail is small: every rounding goes up, in integers, so that what is accepted is true."""

from __future__ import annotations

from fractions import Fraction

BITS = 128  # of a mantissa; relative rounding errors are below 2**-120 per step
LARGEST_COUNT = 10**7  # trials; beyond it the loops below take minutes

Scaled = tuple[int, int]  # mantissa and exponent of two


def tail_is_at_most(trials: int, failures: int, rate: Fraction, level: Fraction) -> bool:
    """True only if P[Bin(trials, rate) <= failures] <= level.

    The proof is an upper bound that exceeds the tail by a factor below 1 + 2**-60, so True is also what is found
    whenever the tail is below ``level`` by more than that. ``0 <= rate <= 1``; takes O(failures) integer operations.
    """
    if not 0 <= failures <= trials <= LARGEST_COUNT or not 0 <= rate <= 1:
        raise ValueError(f"no binomial tail: {failures} of {trials} at rate {rate}")
    if failures == trials or rate == 0:
        return level >= 1
    if rate == 1:
        return level >= 0
    mantissa, exponent = _times(_largest_term(trials, failures, rate), _relative_sum(trials, failures, rate))
    return _is_at_most(mantissa, exponent, level)


def _largest_term(trials: int, failures: int, rate: Fraction) -> Scaled:
    """An upper bound of P[Bin = failures]."""
    hits = power(rate, failures)
    misses = power(1 - rate, trials - failures)
    return _times(_times(_choose(trials, failures), hits), misses)


def _relative_sum(trials: int, failures: int, rate: Fraction) -> Scaled:
    """An upper bound of P[Bin <= failures] / P[Bin = failures], from the largest term down.

    The ratio of a term to the one above it falls with the number of failures. Once it is below 1, what is left is at
    most a geometric series, which ends the sum early.
    """
    odds_up, odds_down = (1 - rate).numerator, rate.numerator  # both over the same denominator
    one = 1 << BITS
    term = total = one
    for left in range(failures, 0, -1):
        up, down = left * odds_up, (trials - left + 1) * odds_down
        term = -(-term * up // down)
        total += term
        if up < down and term * up < (down - up) << (BITS - 62):
            total += -(-term * up // (down - up))
            break
    return total, -BITS


def power(base: Fraction, exponent: int) -> Scaled:
    """An upper bound of ``base ** exponent``, for a base of at least 0."""
    if base == 0:
        return (0 if exponent else 1), 0
    shift = BITS + base.denominator.bit_length() - base.numerator.bit_length()
    shift = max(shift, 0)
    square = _normal(-((-base.numerator << shift) // base.denominator), -shift)
    result: Scaled = (1, 0)
    while exponent:
        if exponent & 1:
            result = _times(result, square)
        square = _times(square, square)
        exponent >>= 1
    return result


def _choose(trials: int, failures: int) -> Scaled:
    """An upper bound of the binomial coefficient."""
    least = min(failures, trials - failures)
    mantissa, exponent = 1 << BITS, -BITS
    for i in range(1, least + 1):
        mantissa = -(-mantissa * (trials - least + i) // i)
        if mantissa.bit_length() > 2 * BITS:
            mantissa, exponent = _normal(mantissa, exponent)
    return mantissa, exponent


def _times(a: Scaled, b: Scaled) -> Scaled:
    return _normal(a[0] * b[0], a[1] + b[1])


def _normal(mantissa: int, exponent: int) -> Scaled:
    """The same number, or one a little above it, with a mantissa of at most BITS + 1 bits."""
    extra = mantissa.bit_length() - BITS
    if extra <= 0:
        return mantissa, exponent
    return -(-mantissa >> extra), exponent + extra


def _is_at_most(mantissa: int, exponent: int, level: Fraction) -> bool:
    left, right = mantissa * level.denominator, level.numerator
    return left << exponent <= right if exponent >= 0 else left <= right << -exponent
