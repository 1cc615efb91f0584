"""The two lines between which a ReLU or a sign lies, in rational arithmetic: offsets are exact for rounded slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.checker.network import Node, Sign
from verifier.checker.rational import Exact

BITS = 60
SHORTEST = Fraction(1, 10**30)  # end of a range of a sign below which its line is flat
LONGER = Fraction(2001, 1000)  # times the other end of a range of a sign: then its line is sloped


@dataclass(frozen=True)
class ExactLines:
    """``below z + base <= value <= slope z + offset`` elementwise; a ReLU's ``base`` is None, for 0.

    ``shift`` is added to the coefficient of z (lemma R1).
    """

    below: Exact
    slope: Exact
    offset: Exact
    shift: Exact | None = None
    base: Exact | None = None


def drawn(node: Node, low: Sequence[Fraction], up: Sequence[Fraction]) -> ExactLines:
    """The default lines of a ReLU or a sign whose argument has these bounds."""
    return lines_of_sign(low, up) if isinstance(node, Sign) else lines_on(low, up)


def lines_of_sign(low: Sequence[Fraction], up: Sequence[Fraction]) -> ExactLines:
    """The default lines of signs: from -1 up to 1 over a much longer end of a range, else constant."""
    lines = list(zip(*map(_line_of_sign, low, up), strict=True))
    below, base, slope, offset = (Exact.of(part) for part in lines)
    return ExactLines(below, slope, offset, None, base)


def lines_on(low: Sequence[Fraction], up: Sequence[Fraction]) -> ExactLines:
    """The default lines of ReLUs whose arguments have these bounds."""
    below, slope, offset = (Exact.of(part) for part in zip(*map(_line, low, up), strict=True))
    return ExactLines(below, slope, offset)


def round_down(value: Fraction) -> Fraction:
    """The largest number of at most 60 significant bits that does not exceed the value."""
    excess = abs(value.numerator).bit_length() - value.denominator.bit_length() - BITS + 1
    unit = Fraction(2) ** excess
    return value // unit * unit


def _line_of_sign(l: Fraction, u: Fraction) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Lower slope and offset, upper slope and offset of the sign on [l, u]."""
    below = slope = Fraction(0)
    if u > SHORTEST and l <= 0 and u > -l * LONGER:  # from -1, or from the 0 that the sign has at l = 0
        below = round_down((2 if l < 0 else 1) / u)
    if -l > SHORTEST and u >= 0 and -l > u * LONGER:
        slope = round_down((2 if u > 0 else 1) / -l)
    return below, Fraction((l > 0) - (l < 0)), slope, Fraction((u > 0) - (u < 0))


def _line(l: Fraction, u: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Lower slope, upper slope and upper offset of a ReLU on [l, u]."""
    if l >= 0 or u <= 0:
        active = Fraction(int(l >= 0))
        return active, active, Fraction(0)
    slope = round_down(u / (u - l))
    return Fraction(int(u > -l)), slope, max(-slope * l, (1 - slope) * u)
