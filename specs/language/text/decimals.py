"""Decimal literals as exact rationals, and back."""

from __future__ import annotations

import re
from fractions import Fraction

_DECIMAL = re.compile(r"([-+]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([-+]?\d+))?")
_MAX_DIGITS = 2000
_MAX_EXPONENT = 2000


def parse_decimal(text: str) -> Fraction | None:
    """The exact value of a decimal literal (``0.1`` is 1/10), or ``None`` when ``text`` is not one.

    Accepts an optional sign, digits with an optional point and an optional exponent. Raises ``OverflowError`` for
    literals of more than 2,000 digits or with an exponent beyond +-2,000: exact arithmetic on them would not end.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None or not text.isascii():
        return None
    sign, whole, after_whole, bare_fraction, exponent = match.groups()
    decimals = after_whole if whole is not None else bare_fraction
    digits = (whole or "") + decimals
    if len(digits) > _MAX_DIGITS or (
        exponent is not None and (len(exponent) > 5 or abs(int(exponent)) > _MAX_EXPONENT)
    ):
        raise OverflowError(f"number {text[:40]!r} has more digits or a larger exponent than {_MAX_DIGITS}")
    numerator = -int(digits) if sign == "-" else int(digits)
    shift = int(exponent or 0) - len(decimals)
    if shift >= 0:
        return Fraction(numerator * 10**shift)
    return Fraction(numerator, 10**-shift)


def format_decimal(value: Fraction) -> str | None:
    """The finite decimal expansion of ``value`` (always with a point), or ``None`` when it has none."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives, 1)
    scaled = abs(value.numerator) * 10**places // value.denominator
    digits = str(scaled).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def exact(value: Fraction) -> str:
    """``value`` without rounding: short where 12 digits are all of it, else a decimal, else a quotient."""
    shown = show(value)
    if Fraction(shown) == value:
        return shown
    short = value.denominator.bit_length() <= 1100  # as that of every float; Python refuses to write endless ones
    return (format_decimal(value) if short else None) or str(value)


def show(value: Fraction) -> str:
    """``value`` for people: up to 12 significant digits."""
    try:
        return f"{float(value):.12g}"
    except OverflowError:
        return str(value)
