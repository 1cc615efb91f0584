"""Looking for a cover of a box by parts of it: a tree of cuts, each cell in one part, or a point that no part has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.checker.combined import holds_cell
from verifier.checker.vnnlib import QueryCase

Vector = tuple[Fraction, ...]
Word = int | list[int | str]
MOST_CELLS = 100_000
DEEPEST = 2000
PLACES = (Fraction(1, 2), Fraction(1, 3), Fraction(3, 5), Fraction(4, 7), Fraction(5, 11), Fraction(6, 13))


class Gap(Exception):
    """``point`` lies in the box and in none of its parts."""

    def __init__(self, point: Vector) -> None:
        super().__init__("there is a gap")
        self.point = point


class Undecided(Exception):
    """Neither a cover nor a gap was found within the limits."""


@dataclass(frozen=True)
class Part:
    """What member ``member`` is about: a box, or what a ball has of it."""

    member: int
    case: QueryCase

    def overlap(self, low: Vector, up: Vector) -> float:
        """Which share of the cell lies in its box, about; 0 where they have at most a face in common."""
        share = 1.0
        for l, u, a, b in zip(low, up, self.case.lower, self.case.upper):
            if l == u:
                if not a <= l <= b:
                    return 0.0
                continue
            common = min(u, b) - max(l, a)
            if common <= 0:
                return 0.0
            share *= float(common / (u - l))
        return max(share, 5e-324)

    def cut(self, low: Vector, up: Vector) -> tuple[int, Fraction] | None:
        """The face of its box in the cell that cuts off most of it."""
        best, place = Fraction(0), None
        for k, (l, u, a, b) in enumerate(zip(low, up, self.case.lower, self.case.upper)):
            for at, off in ((a, a - l), (b, u - b)):
                if l < at < u and off / (u - l) > best:
                    best, place = off / (u - l), (k, at)
        return place


def cover(low: Vector, up: Vector, parts: Sequence[Part]) -> list[Word]:
    """The tree in preorder: the member of a cell, or a cut ``[input, place]``, the part below it first.

    Raises ``Gap``, or ``Undecided`` beyond 100,000 cells.
    """
    words: list[Word] = []
    cells = 0
    stack = [(low, up, list(parts), 0)]
    while stack:
        low, up, known, depth = stack.pop()
        holder = next((part for part in known if holds_cell(part.case, low, up)), None)
        if holder is not None:
            words.append(holder.member)
            continue
        cells += 1
        if cells > MOST_CELLS or depth > DEEPEST:
            raise Undecided(f"no cover of up to {MOST_CELLS:,} cells was found")
        shares = [(part.overlap(low, up), part) for part in known]
        near = [part for share, part in sorted(shares, key=lambda pair: -pair[0]) if share > 0]
        found = next((cut for cut in (part.cut(low, up) for part in near) if cut is not None), None)
        if found is None:
            found = _halved(low, up, parts, near)
        k, at = found
        words.append([k, str(at)])
        stack.append(((*low[:k], at, *low[k + 1 :]), up, near, depth + 1))
        stack.append((low, (*up[:k], at, *up[k + 1 :]), near, depth + 1))
    return words


def _halved(low: Vector, up: Vector, parts: Sequence[Part], near: Sequence[Part]) -> tuple[int, Fraction]:
    """A cut of a cell that lies in boxes, but in no ball as a whole; raises ``Gap`` where some point is in none."""
    for share in PLACES:
        point = tuple(l + share * (u - l) for l, u in zip(low, up))
        if not any(part.case.contains(point) for part in parts):
            raise Gap(point)
    if not near:
        raise Undecided("what is left between the parts is thinner than they are")
    k = max(range(len(low)), key=lambda i: up[i] - low[i])
    if low[k] == up[k]:
        raise Undecided("a single point is left")
    return k, (low[k] + up[k]) / 2
