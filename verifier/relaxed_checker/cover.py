"""D3: a cover of a box of states by cells on which a relaxed checker that is a network cannot exceed a level.

On a box a network with s(a) its first output and L at least the sum of the sizes of its derivatives obeys
|s(a) - s(c)| <= L |a - c| in the largest norm. So s <= s(c) + L r on a cell of centre c whose longest side is 2 r.
Cells where that exceeds the level are halved. L has a certificate of its own; the rest is exact rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

Point = tuple[Fraction, ...]
Score = Callable[[Sequence[Fraction]], Fraction]


class OpenCell(Exception):
    """A cell on which the level is not shown; ``attained`` says that the score at ``centre`` exceeds it."""

    def __init__(self, centre: Point, score: Fraction, attained: bool) -> None:
        super().__init__(f"score {float(score):g} at {tuple(map(float, centre))}")
        self.centre, self.score, self.attained = centre, score, attained


@dataclass(frozen=True)
class Covered:
    """How many cells it took, the width of the smallest relative to the box, and the largest score at a centre."""

    cells: int
    smallest: Fraction
    largest: Fraction


def cover(score: Score, lower: Point, upper: Point, steepness: Fraction, level: Fraction, most: int) -> Covered:
    """Proves score <= level on the box, given that ``steepness`` bounds the sum of the sizes of derivatives on it.

    The cell whose bound is largest is halved next, along its longest side, the first of several. Raises ``OpenCell`` at
    the first centre whose score exceeds the level, or when more than ``most`` cells have been looked at.
    """
    whole = max(u - l for l, u in zip(lower, upper, strict=True)) or Fraction(1)
    looked, done, smallest, largest = 0, 0, Fraction(1), None
    open_cells: list[tuple[Fraction, int, Point, Point]] = []
    new = [(lower, upper)]
    while new:
        for low, high in new:
            centre = _middle(low, high)
            found, longest = score(centre), max(u - l for l, u in zip(low, high))
            looked += 1
            if found > level or looked > most:
                raise OpenCell(centre, found, found > level)
            largest = found if largest is None else max(largest, found)
            bound = found + steepness * longest / 2
            if bound <= level:
                done, smallest = done + 1, min(smallest, longest / whole)
            else:
                heappush(open_cells, (-bound, looked, low, high))
        new = _halves(*heappop(open_cells)[2:]) if open_cells else []
    assert largest is not None
    return Covered(done, smallest, largest)


def _middle(low: Point, high: Point) -> Point:
    return tuple((l + u) / 2 for l, u in zip(low, high))


def _halves(low: Point, high: Point) -> list[tuple[Point, Point]]:
    widths = [u - l for l, u in zip(low, high)]
    k = widths.index(max(widths))
    middle = _middle(low, high)[k]
    return [(low, (*high[:k], middle, *high[k + 1 :])), ((*low[:k], middle, *low[k + 1 :]), high)]
