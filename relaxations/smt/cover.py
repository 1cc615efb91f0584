"""Covers: a box cut into cells, at each of which one answer, or the range, shows that no function fails that fits.

``covers`` checks one in rationals and uses nothing but the axioms' distance. It is the proof that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from relaxations.smt.axioms import Axioms, Known, Point
from relaxations.smt.limits import Deadline

BY_RANGE = -1  # instead of an answer's number
MOST_SIDES, MOST_HALVINGS = 600, 30  # cuts above a cell


@dataclass(frozen=True)
class Cell:
    """The whole cell is safe by this answer."""

    answer: int


@dataclass(frozen=True)
class Cut:
    """The cell is cut at a coordinate; both parts contain the cut."""

    coordinate: int
    at: Fraction
    below: Cover
    above: Cover


Cover = Cell | Cut


@dataclass(frozen=True)
class Uncovered:
    """A point at which the least function that fits is not acceptable, or None: cells got too small."""

    point: Point | None


def covers(
    axioms: Axioms, known: Sequence[Known], lower: Point, upper: Point, cover: Cover, strict: bool = False
) -> bool:
    """Whether ``g >= 0`` (``> 0`` if ``strict``) follows on the whole box from the axioms and the answers.

    On a cell of answer i, g is at least ``g_i - L rho(x_i, x)``, and ``rho(x_i, .)`` is greatest where every
    coordinate's part is: a corner. Cuts lie in their cells by construction, wherever they are said to be.
    """
    stack = [(lower, upper, cover)]
    while stack:
        low, up, node = stack.pop()
        if isinstance(node, Cell):
            if not _safe(axioms, known, low, up, node.answer, strict):
                return False
            continue
        if not 0 <= node.coordinate < len(low):
            return False
        k, at = node.coordinate, min(max(node.at, low[node.coordinate]), up[node.coordinate])
        stack.append((low, (*up[:k], at, *up[k + 1 :]), node.below))
        stack.append(((*low[:k], at, *low[k + 1 :]), up, node.above))
    return True


def size(cover: Cover) -> int:
    """How many cells."""
    return 1 if isinstance(cover, Cell) else size(cover.below) + size(cover.above)


def find(
    axioms: Axioms,
    known: Sequence[Known],
    lower: Point,
    upper: Point,
    strict: bool = False,
    deadline: Deadline | None = None,
) -> Cover | Uncovered:
    """A cover, or a point that shows that there is none; raises ``OutOfTime``.

    In the greatest-coordinate norm what an answer makes safe is a box, so cutting along the sides of these always ends
    with one or the other (up to the boundary, if ``strict``). In the sum norm cells are halved a few dozen times.
    """
    search = _Finder(axioms, known, strict, deadline or Deadline.never())
    try:
        return search.cover(lower, upper, 0)
    except _Open as found:
        return Uncovered(found.point)


class _Open(Exception):
    def __init__(self, point: Point | None) -> None:
        self.point = point


@dataclass
class _Finder:
    axioms: Axioms
    known: Sequence[Known]
    strict: bool
    deadline: Deadline

    @property
    def deepest(self) -> int:
        """Sides of safe boxes are used up at some point; halving might never end."""
        return MOST_SIDES if self.axioms.norm == "inf" and self.axioms.lipschitz and not self.strict else MOST_HALVINGS

    def cover(self, low: Point, up: Point, depth: int) -> Cover:
        self.deadline.check()
        for i in (*range(len(self.known)), BY_RANGE):
            if _safe(self.axioms, self.known, low, up, i, self.strict):
                return Cell(i)
        middle = tuple((l + u) / 2 for l, u in zip(low, up))
        least = self.axioms.least(self.known, middle)
        if least is None or least < 0 or (self.strict and least == 0):
            raise _Open(middle)
        if depth == self.deepest:
            raise _Open(None)
        k, at = self._cut(low, up, middle)
        below = self.cover(low, (*up[:k], at, *up[k + 1 :]), depth + 1)
        return Cut(k, at, below, self.cover((*low[:k], at, *low[k + 1 :]), up, depth + 1))

    def _cut(self, low: Point, up: Point, middle: Point) -> tuple[int, Fraction]:
        """A side of the box that the answer of the middle makes safe, or else half of the longest side."""
        if self.axioms.norm == "inf" and self.axioms.lipschitz:
            allowed = [self.axioms.allowance(one.point, middle) for one in self.known]
            best = max(range(len(self.known)), key=lambda i: self.known[i].value - (allowed[i] or 0))
            reach = self.known[best].value / self.axioms.lipschitz
            for k, (l, u) in enumerate(zip(low, up)):
                at = self.known[best].point[k]
                for side in (at - reach, at + reach):
                    # A side that monotony makes safe anyway is no limit.
                    free = self.axioms.increasing if side > at else self.axioms.decreasing
                    if l < side < u and k not in free:
                        return k, side
        k = max(range(len(low)), key=lambda k: up[k] - low[k])
        return k, middle[k]


def _safe(axioms: Axioms, known: Sequence[Known], low: Point, up: Point, answer: int, strict: bool) -> bool:
    value = axioms.lower if answer == BY_RANGE else None
    if 0 <= answer < len(known):
        one = known[answer]
        far = tuple(_farthest(axioms, k, c, l, u) for k, (c, l, u) in enumerate(zip(one.point, low, up, strict=True)))
        allowed = axioms.allowance(one.point, far)
        value = None if allowed is None else one.value - allowed
    return value is not None and (value > 0 if strict else value >= 0)


def _farthest(axioms: Axioms, k: int, c: Fraction, l: Fraction, u: Fraction) -> Fraction:
    """The end of [l, u] at which the coordinate's part of ``rho(point, .)`` is greatest."""
    if k in axioms.increasing:
        return l
    if k in axioms.decreasing:
        return u
    return l if abs(c - l) >= abs(c - u) else u
