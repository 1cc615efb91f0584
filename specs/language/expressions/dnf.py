"""Disjunctive normal form of linear constraints, bounded in size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import chain, product
from math import prod
from typing import NamedTuple

from specs.problem import Ball, Terms

MAX_DISJUNCTS = 100_000
MAX_ATOMS = 1_000_000

Places = Mapping[int, int] | Sequence[int]


class Atom(NamedTuple):
    """``sum x + sum y + constant <= 0`` (``< 0`` when ``strict``); ``token`` says where it stands in its file.

    With a ``ball``, which no sum is, it says that the inputs lie in it.
    """

    x: Terms
    y: Terms
    constant: Fraction
    strict: bool
    token: int
    ball: Ball | None = None

    def mirrored(self) -> Atom:
        """The atom ``>= 0`` (``> 0``) of the same expression."""
        x, y = (tuple((index, -value) for index, value in terms) for terms in (self.x, self.y))
        return self._replace(x=x, y=y, constant=-self.constant)

    def moved(self, x: Places | None = None, y: Places | None = None) -> Atom:
        """The atom over other variables: ``x`` and ``y`` give each one's new index, None leaves them as they are."""
        return self._replace(x=_moved(self.x, x), y=_moved(self.y, y))


def _moved(terms: Terms, places: Places | None) -> Terms:
    if places is None:
        return terms
    return tuple(sorted((places[index], value) for index, value in terms))


Dnf = tuple[tuple[Atom, ...], ...]
"""An or of ands of atoms."""

TRUE: Dnf = ((),)
FALSE: Dnf = ()


def disjoin(formulas: Sequence[Dnf]) -> Dnf:
    """The or of ``formulas``. Raises ``OverflowError`` beyond 100,000 alternatives."""
    _check_size(sum(map(len, formulas)), 0)
    return tuple(chain.from_iterable(formulas))


def conjoin(formulas: Sequence[Dnf]) -> Dnf:
    """The and of ``formulas``, multiplied out. ``OverflowError`` beyond 100,000 alternatives or 1,000,000 atoms."""
    alternatives = prod(map(len, formulas))
    atoms = sum(sum(map(len, formula)) * (alternatives // len(formula)) for formula in formulas if formula)
    _check_size(alternatives, atoms)
    return tuple(tuple(chain.from_iterable(cubes)) for cubes in product(*formulas))


def _check_size(alternatives: int, atoms: int) -> None:
    if alternatives > MAX_DISJUNCTS:
        raise OverflowError(
            f"multiplies out to {alternatives:,} alternatives; at most {MAX_DISJUNCTS:,} are read. Split the query"
        )
    if atoms > MAX_ATOMS:
        raise OverflowError(f"multiplies out to {atoms:,} constraints; at most {MAX_ATOMS:,} are read. Split the query")
