"""A parameter of a requirement that is to be found: the best value for which the requirement holds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Effect = Literal["easier", "harder", "unknown"]
"""What a larger value makes of a requirement: where it holds for one value it does for all larger (smaller) ones."""


def grid_step(resolution: Fraction) -> Fraction:
    """A power of ten, an eighth of the resolution at most: its multiples print exactly."""
    step = Fraction(1)
    while step * 8 > resolution:
        step /= 10
    return step


@dataclass(frozen=True)
class Solved:
    """The largest (or smallest) value in [``lower``, ``upper``] is wanted; without ``upper`` it is looked for, too.

    The requirement that this belongs to is compiled for ``value``, which is ``given`` where the user chose it; then
    nothing is left to be found. ``effect`` follows from the compiled conditions. ``rate`` is by how much every
    comparison of the assertion changes where the value grows by 1, 0 where they differ or other conditions change.
    """

    name: str
    maximize: bool
    lower: Fraction
    upper: Fraction | None
    resolution: Fraction
    value: Fraction
    given: bool = False
    effect: Effect = "unknown"
    rate: Fraction = Fraction(0)

    @property
    def step(self) -> Fraction:
        """Values that are tried are multiples of it, or ends of the range."""
        return grid_step(self.resolution)

    @property
    def is_monotone(self) -> bool:
        """Whether all values on the far side of one that is refuted are, too: that the search relies on a known order.

        Values further in the direction that is wanted are the harder ones.
        """
        return self.effect == ("harder" if self.maximize else "easier")
