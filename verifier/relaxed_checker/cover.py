"""D3: a cover of a box of states by cells on which a relaxed checker that is a network cannot exceed a level.

On a box a network with s(a) its first output and L at least the sum of the sizes of its derivatives obeys
|s(a) - s(c)| <= L |a - c| in the largest norm. So s <= s(c) + L r on a cell of centre c whose longest side is 2 r.
Cells where that exceeds the level are halved. L has a certificate of its own; the rest is exact rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

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

    Cells are halved along their longest side, the first of several. Raises ``OpenCell`` at the first centre whose score
    exceeds the level, or when more than ``most`` cells have been looked at.
    """
    cells = [(lower, upper)]
    looked, done, smallest, largest = 0, 0, Fraction(1), None
    whole = max((u - l for l, u in zip(lower, upper, strict=True)), default=Fraction(0)) or Fraction(1)
    while cells:
        low, high = cells.pop()
        centre = tuple((l + u) / 2 for l, u in zip(low, high))
        found = score(centre)
        looked += 1
        if found > level or looked > most:
            raise OpenCell(centre, found, found > level)
        largest = found if largest is None else max(largest, found)
        widths = [u - l for l, u in zip(low, high)]
        longest = max(widths)
        if found + steepness * longest / 2 <= level:
            done, smallest = done + 1, min(smallest, longest / whole)
            continue
        k = widths.index(longest)
        middle = (*low[:k], centre[k], *low[k + 1 :]), (*high[:k], centre[k], *high[k + 1 :])
        cells += [(low, middle[1]), (middle[0], high)]
    assert largest is not None
    return Covered(done, smallest, largest)
