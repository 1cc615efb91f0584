"""The space of a network's outputs cut into cells: safe by an answer, or to be shown to hold no output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from relaxations.smt.axioms import Axioms, Known
from relaxations.smt.cover import BY_RANGE, Cell, Cover

End = Fraction | None
Region = tuple[tuple[End, ...], tuple[End, ...]]
Word = int | str | list[object]
GRID = 1 << 24  # cuts lie at multiples of its inverse, inside what is safe: they print as short decimals
MOST_CELLS = 300


@dataclass(frozen=True)
class Partition:
    """``words`` in the order of the statement: cuts, numbers of answers (-1: the range), and ``empty``."""

    words: tuple[Word, ...]
    empty: tuple[Region, ...]


def words_of(cover: Cover) -> list[Word]:
    """A cover in the order of the statement: a cut, then what is below it, then what is above."""
    if isinstance(cover, Cell):
        return [cover.answer]
    return [[cover.coordinate, str(cover.at)], *words_of(cover.below), *words_of(cover.above)]


def partition(axioms: Axioms, known: Sequence[Known], strict: bool) -> Partition | None:
    """All space, cut along the sides of what answers make safe; None beyond a few hundred cells."""
    safe = [(i, *box) for i, one in enumerate(known) if (box := _safe_box(axioms, one, strict)) is not None]
    words: list[Word] = []
    empty: list[Region] = []
    by_range = axioms.lower is not None and (axioms.lower > 0 or (axioms.lower == 0 and not strict))
    stack: list[Region] = [((None,) * axioms.dimension, (None,) * axioms.dimension)]
    while stack:
        if len(words) > MOST_CELLS:
            return None
        low, up = stack.pop()
        inside = [i for i, l, u in safe if _within(low, up, l, u)]
        if by_range or inside:
            words.append(BY_RANGE if by_range else inside[0])
            continue
        cut = next((cut for _, l, u in safe if (cut := _cut(low, up, l, u)) is not None), None)
        if cut is None:
            words.append("empty")
            empty.append((low, up))
            continue
        k, at = cut
        words.append([k, str(at)])
        stack.append(((*low[:k], at, *low[k + 1 :]), up))
        stack.append((low, (*up[:k], at, *up[k + 1 :])))
    return Partition(tuple(words), tuple(empty))


def _safe_box(axioms: Axioms, one: Known, strict: bool) -> Region | None:
    """Points at which no function with this answer fails; None if there is no box of them."""
    if one.value < 0 or (strict and one.value == 0):
        return None
    low: list[End] = []
    up: list[End] = []
    reach: Fraction | None = Fraction(0)
    if axioms.lipschitz is not None:
        reach = None if axioms.lipschitz == 0 else one.value / axioms.lipschitz
    if reach is not None:
        share = reach / (axioms.dimension if axioms.norm == "1" else 1)
        reach = share * (1 - Fraction(1, GRID)) if strict else share
    for k, a in enumerate(one.point):
        down = None if reach is None else Fraction(-((reach - a) * GRID // 1), GRID)
        above = None if reach is None else Fraction((a + reach) * GRID // 1, GRID)
        low.append(None if k in axioms.decreasing else down)
        up.append(None if k in axioms.increasing else above)
    if any(l is not None and u is not None and l > u for l, u in zip(low, up)):
        return None
    return tuple(low), tuple(up)


def _within(low: Sequence[End], up: Sequence[End], l: Sequence[End], u: Sequence[End]) -> bool:
    below = all(b is None or (a is not None and a >= b) for a, b in zip(low, l))
    return below and all(b is None or (a is not None and a <= b) for a, b in zip(up, u))


def _cut(low: Sequence[End], up: Sequence[End], l: Sequence[End], u: Sequence[End]) -> tuple[int, Fraction] | None:
    """A side of the safe box that lies strictly inside the region, if the two meet in more than a border."""
    for a, b, c, d in zip(low, up, l, u):
        if (c is not None and b is not None and c >= b) or (d is not None and a is not None and d <= a):
            return None
    for k, (a, b, c, d) in enumerate(zip(low, up, l, u)):
        for side in (c, d):
            if side is not None and (a is None or a < side) and (b is None or side < b):
                return k, side
    return None
