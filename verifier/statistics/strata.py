"""The ledger of cells: proofs and samples in one bound of Pr[failure] (Hubinger 2019; stratified sampling)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from verifier.statistics.clopper_pearson import upper_bound


@dataclass(frozen=True)
class Cell:
    """A part of the input set with its exact probability ``mass``.

    ``certified``: no input of it fails, by ``evidence`` (a hash). ``sampled``: ``queries`` draws, bounded at ``share``
    of the error budget. ``open`` (refuted ones as well): may fail everywhere. ``lower``/``upper`` are its box.
    """

    mass: Fraction
    status: Literal["certified", "sampled", "open"]
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    queries: int = 0
    share: Fraction = Fraction(0)
    evidence: str = ""


def total_bound(cells: Sequence[Cell], failures: Sequence[int], level: Fraction) -> Fraction:
    """Pr[failure] <= sum of mass times the cell's bound, jointly at ``level`` (union bound over the shares).

    ``failures`` has a count for each cell, which only counts for sampled ones. Mass that no cell has is open.
    """
    if sum(cell.share for cell in cells) > 1:
        raise ValueError("the cells' shares of the error budget exceed 1")
    if any(cell.mass < 0 for cell in cells):
        raise ValueError("a cell has a negative mass")
    if sum(cell.mass for cell in cells) > 1:
        raise ValueError("the cells' masses exceed 1")
    known = sum((cell.mass for cell in cells), Fraction(0))
    total = max(Fraction(0), 1 - known)
    for cell, count in zip(cells, failures, strict=True):
        if cell.status == "open":
            total += cell.mass
        elif cell.status == "sampled":
            total += cell.mass * upper_bound(count, cell.queries, level * cell.share)
    return min(total, Fraction(1))


def allocate(masses: Sequence[Fraction], queries: int) -> list[int]:
    """Queries for each cell, about as the root of its mass: the least total bound if nothing fails. At least 1 each."""
    if queries < len(masses):
        raise ValueError(f"{queries} queries for {len(masses)} cells")
    roots = [math.sqrt(mass) for mass in masses]
    spare = queries - len(masses)
    given = [1 + math.floor(spare * root / sum(roots)) for root in roots]
    for k in sorted(range(len(masses)), key=lambda k: -roots[k])[: queries - sum(given)]:
        given[k] += 1
    return given
