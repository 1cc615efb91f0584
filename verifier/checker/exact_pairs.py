"""Differences of pairs of neurons in rational arithmetic: lemmas D1 and D2 of ``pairs`` again, with nothing rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from verifier.checker.exact_lines import ExactLines, lines_on
from verifier.checker.rational import Exact

Range = tuple[list[Fraction], list[Fraction]]
Line = tuple[Fraction, Fraction]  # slope and offset


@dataclass(frozen=True)
class ExactPairLines:
    """``below d - base <= e <= above d + offset`` elementwise where ``used`` (1, else 0)."""

    used: Exact
    below: Exact
    base: Exact
    above: Exact
    offset: Exact


def unsure(a: Range, b: Range) -> list[int]:
    """Neurons of which one is unstable."""
    return [i for i, (l, u, m, v) in enumerate(zip(*a, *b, strict=True)) if l < 0 < u or m < 0 < v]


def tighten(a: Range, b: Range, d: Range, where: Sequence[int]) -> None:
    """Intersect the ranges of a and b with what the other's and that of ``d = a - b`` say, in place."""
    for i in where:
        l, u, m, v = a[0][i], a[1][i], b[0][i], b[1][i]
        a[0][i], a[1][i] = max(l, m + d[0][i]), min(u, v + d[1][i])
        b[0][i], b[1][i] = max(m, l - d[1][i]), min(v, u - d[0][i])


def pair_lines(d: Range, a: ExactLines, b: ExactLines, where: Sequence[int]) -> ExactPairLines:
    """Lines by D1; of the two on each side the one that is better in the middle of the range of d."""
    over, under = lines_on(*d), lines_on([-u for u in d[1]], [-l for l in d[0]])
    above, below = [], []
    for l, u, choice in zip(*d, zip(_upper(over), _upper(a), _upper(under), _upper(b), strict=True), strict=True):
        middle = (l + u) / 2
        above.append(min(choice[:2], key=lambda line: _at(line, middle)))
        below.append(min(choice[2:], key=lambda line: _at(line, -middle)))
    used = np.zeros(len(above), dtype=object)
    used[list(where)] = 1
    return ExactPairLines(Exact(used), *_parts(below), *_parts(above))


def _upper(lines: ExactLines) -> Iterator[Line]:
    return zip(lines.slope.fractions(), lines.offset.fractions(), strict=True)


def _at(line: Line, z: Fraction) -> Fraction:
    return line[0] * z + line[1]


def _parts(lines: Sequence[Line]) -> tuple[Exact, Exact]:
    slopes, offsets = zip(*lines, strict=True)
    return Exact.of(slopes), Exact.of(offsets)


def through(pair: ExactPairLines, first: Exact, second: Exact) -> tuple[Exact, Exact, Exact, Exact]:
    """Rows (N, n) with coefficients on the ReLUs of a and of b: what is left on each, those of d, and a constant."""
    common = lcm(first.denominator, second.denominator)
    one = first.numerators * (common // first.denominator)
    other = -second.numerators * (common // second.denominator)
    nearest = np.minimum(np.maximum(one, np.minimum(other, 0)), np.maximum(other, 0))
    kappa = Exact(nearest, common) * pair.used
    positive, negative = kappa.positive(), -(-kappa).positive()
    on_d = positive * pair.below + negative * pair.above
    return first + -kappa, second + kappa, on_d, negative @ pair.offset + -(positive @ pair.base)
