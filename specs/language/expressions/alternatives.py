"""Alternatives of an unsafe set, each turned into a case of the normal form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import prod

from specs.joint import PartOfBall
from specs.language.expressions.dnf import MAX_DISJUNCTS, Atom, Dnf
from specs.language.text.decimals import show
from specs.problem import Ball, Box, Case, Row

_MAX_BOUNDS = 50_000_000


class NoPoint(Exception):
    """Every alternative contradicts itself; ``token`` is the constraint that says so, -1 when unknown."""

    def __init__(self, message: str, token: int = -1) -> None:
        super().__init__(message)
        self.message, self.token = message, token


class TwoBalls(NoPoint):
    """An alternative lies in two balls at once; ``token`` is the second one."""


class Unbounded(Exception):
    """Some input is not bounded on both sides; the text names all of them."""


def cases_of(
    assertions: Sequence[Dnf], n_inputs: int, name: Callable[[int], str], ball: Ball | PartOfBall | None = None
) -> tuple[Case, ...]:
    """The cases that hold exactly where some of ``assertions`` is false: together these describe the unsafe points.

    One case per alternative of their conjunction: its bounds on single inputs are the box, and at least one of the
    other constraints has to be false there. ``e <= 0`` becomes the strict row ``e > 0``, ``e < 0`` the row ``e >= 0``.
    ``ball`` is part of the unsafe set, so every case has it; of a part of the inputs where each case fixes the others.
    Alternatives may have balls of their own instead.
    Alternatives that contradict themselves are dropped; so are constraints that are true whatever the variables are.

    ``name(i)`` is what messages call input ``i``. Raises ``NoPoint`` when no alternative is left, ``Unbounded``,
    ``PartialBall``, ``TwoBalls``, and ``OverflowError`` when there are more than 100,000 alternatives.
    """
    shared = _Region(name, [None] * n_inputs, [None] * n_inputs, ball)
    shared.restrict(tuple(atom for assertion in assertions if len(assertion) == 1 for atom in assertion[0]))
    choices = [assertion for assertion in assertions if len(assertion) != 1]
    alternatives = prod(map(len, choices))
    if alternatives > MAX_DISJUNCTS or alternatives * n_inputs > _MAX_BOUNDS:
        raise OverflowError(
            f"multiplies out to {alternatives:,} alternatives over {n_inputs:,} inputs, more than is read. Split it"
        )
    cases, empty = [], []
    for cubes in product(*choices):
        try:
            cases.append(shared.restricted([atom for cube in cubes for atom in cube]).case())
        except TwoBalls:
            raise
        except NoPoint as error:
            empty.append(error)
    if not cases:
        raise empty[0] if empty else NoPoint("an assertion is plainly false")
    return tuple(cases)


@dataclass
class _Region:
    """Unsafe points under the atoms so far: bounds on single inputs, and the rows that negate everything else."""

    name: Callable[[int], str]
    lower: list[Fraction | None]
    upper: list[Fraction | None]
    ball: Ball | PartOfBall | None
    rows: tuple[Row, ...] = ()
    bounds: tuple[Atom, ...] = ()
    strict_bounds: tuple[Atom, ...] = ()
    false: Atom | None = None
    box: Box | None = None

    def restricted(self, atoms: list[Atom]) -> _Region:
        """A copy under further ``atoms``; it shares the box when these do not bound inputs."""
        if isinstance(self.ball, PartOfBall) or any(_is_bound(atom) or atom.ball for atom in atoms):
            region = replace(self, lower=self.lower.copy(), upper=self.upper.copy(), box=None)
        else:
            region = replace(self, box=self.closed_box())
        region.restrict(tuple(atoms))
        return region

    def restrict(self, atoms: tuple[Atom, ...]) -> None:
        bounds, rows = [], []
        for atom in atoms:
            if atom.ball is not None:
                self._meet(atom.ball, atom.token)
                continue
            is_bound = len(atom.x) == 1 and not atom.y
            if is_bound:
                self._bound(atom)
                bounds.append(atom)
            if (atom.x or atom.y) and (atom.strict or not is_bound):
                # A strict bound keeps its row besides the closed box: its boundary is not part of the unsafe set.
                rows.append(Row(atom.x, atom.y, atom.constant, strict=not atom.strict))
            elif not is_bound and (atom.constant > 0 or (atom.strict and atom.constant == 0)):
                self.false = atom
        self.rows += tuple(rows)
        self.bounds += tuple(bounds)
        self.strict_bounds += tuple(atom for atom in bounds if atom.strict)

    def _meet(self, ball: Ball, token: int) -> None:
        if self.ball not in (None, ball):
            raise TwoBalls("an alternative with two balls: one is supported", token)
        self.ball = ball

    def _bound(self, atom: Atom) -> None:
        """Intersect the box with ``coefficient * x + constant <= 0``."""
        ((index, coefficient),) = atom.x
        if coefficient > 0:
            value = -atom.constant if coefficient == 1 else -atom.constant / coefficient
            upper = self.upper[index]
            self.upper[index] = value if upper is None or value < upper else upper
        else:
            value = atom.constant if coefficient == -1 else -atom.constant / coefficient
            lower = self.lower[index]
            self.lower[index] = value if lower is None or value > lower else lower

    def case(self) -> Case:
        """The case of this region. Raises ``NoPoint`` when no point satisfies it."""
        if self.false is not None:
            raise NoPoint("a constraint without variables is false", self.false.token)
        box = self.closed_box()
        for atom in self.strict_bounds:
            ((index, coefficient),) = atom.x
            if box.lower[index] == box.upper[index] == -atom.constant / coefficient:
                raise NoPoint(f"{self.name(index)} = {show(box.lower[index])} is excluded by this bound", atom.token)
        return Case(box, tuple(dict.fromkeys(self.rows)), self._ball(box))

    def closed_box(self) -> Box:
        if self.box is None:
            lower = tuple(bound for bound in self.lower if bound is not None)
            upper = tuple(bound for bound in self.upper if bound is not None)
            if not len(lower) == len(upper) == len(self.lower):
                raise self._unbounded()
            try:
                box = Box(lower, upper)
            except ValueError:
                raise self._empty(lower, upper) from None
            ball = self._ball(box)
            if ball is not None and not ball.meets(box):
                raise NoPoint("the ball has no point within these bounds")
            self.box = box
        return self.box

    def _ball(self, box: Box) -> Ball | None:
        return self.ball.within(box) if isinstance(self.ball, PartOfBall) else self.ball

    def _unbounded(self) -> Unbounded:
        faults = []
        for side, bounds in (("lower", self.lower), ("upper", self.upper)):
            names = [self.name(i) for i, bound in enumerate(bounds) if bound is None]
            if names:
                listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
                faults.append(f"no {side} bound on {listed}")
        return Unbounded(f"{'; '.join(faults)}. Bound every input on both sides, in every alternative")

    def _empty(self, lower: tuple[Fraction, ...], upper: tuple[Fraction, ...]) -> NoPoint:
        index = next(i for i, (lo, up) in enumerate(zip(lower, upper)) if lo > up)
        last = max(atom.token for atom in self.bounds if atom.x[0][0] == index)
        return NoPoint(
            f"{self.name(index)} is at least {show(lower[index])} and at most {show(upper[index])} by its bounds", last
        )


def _is_bound(atom: Atom) -> bool:
    return len(atom.x) == 1 and not atom.y
