"""The Lasserre hierarchy: programs of growing order for least values, and for refuting sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import floor, prod

from relaxations.sos.basis import monomials
from relaxations.sos.program import Equation, Factors, Program, Scaling, Square
from relaxations.sos.sparsity import Clique, cliques, containing
from specs.polynomial import ONE, Polynomial
from specs.polynomial_problem import PolynomialCase

ROOM = 1e-4
"""The most that a refutation asks for as the least eigenvalue of its Gram matrix, objectives of size 1: far above what
a solver gets wrong, and small enough for multipliers to stay of moderate size."""


@dataclass(frozen=True)
class Bounded:
    """Minimise the largest of ``objectives`` over the points of a box with ``weak`` >= 0 and ``zero`` = 0."""

    objectives: tuple[Polynomial, ...]
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    weak: tuple[Polynomial, ...] = ()
    zero: tuple[Polynomial, ...] = ()

    @property
    def scaling(self) -> Scaling:
        return Scaling.to_unit(self.lower, self.upper)

    @property
    def least_order(self) -> int:
        """The first order at which everything fits into the moments."""
        degrees = [p.degree for p in (*self.objectives, *self.weak, *self.zero)]
        return max(1, -(-max(degrees, default=0) // 2))

    def cliques(self) -> tuple[Clique, ...]:
        """Groups of variables by correlative sparsity."""
        return cliques(len(self.lower), self.objectives, (*self.weak, *self.zero))

    def program(self, order: int, groups: Sequence[Clique] | None = None, scaling: Scaling | None = None) -> Program:
        """Order ``order`` of the hierarchy over the given cliques (one of all variables when None).

        Every clique has its box's sides, multiplied for each variable: ``1 - t_k^2 >= 0`` in the coordinates used
        when there is no ``scaling``, so that all moments are then at most 1 in size.
        """
        scaling = scaling or self.scaling
        free = set(scaling.free)
        groups = [tuple(sorted(free & set(group))) for group in groups] if groups is not None else [scaling.free]
        one = Polynomial.constant(1)
        squares = [Square((), one, monomials(group, order)) for group in groups]
        for k in scaling.free:
            side = sides_of(k, self.lower[k], self.upper[k], scaling)
            squares += [
                Square((("lower", k), ("upper", k)), side, monomials(group, order - 1))
                for group in containing(groups, [k])
            ]
        for number, p in enumerate(self.weak):
            condition, half = scaling.of(p), (2 * order - p.degree) // 2
            for group in containing(groups, condition.variables):
                squares.append(Square((("weak", number),), condition, monomials(group, half)))
        equations = list(self._equations(order, groups, scaling))
        objectives = tuple(scaling.of(p) for p in self.objectives)
        return Program(objectives, one, tuple(s for s in squares if s.basis), tuple(equations))

    def _equations(self, order: int, groups: Sequence[Clique], scaling: Scaling) -> Iterable[Equation]:
        for number, p in enumerate(self.zero):
            condition = scaling.of(p)
            for group in containing(groups, condition.variables):
                yield Equation(number, condition, monomials(group, 2 * order - p.degree))


@dataclass(frozen=True)
class Refuted:
    """To be shown empty: the points of a box in a case, by ``-M = squares`` for a product M of strict conditions.

    ``powers`` are the exponents of the strict conditions in M (all 0: M = 1). Where M vanishes at the origin to order
    m, every basis leaves out the monomials that would vanish to a lower order: no proof could use them, and without
    them the Gram matrices can be positive definite.
    """

    case: PolynomialCase
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    powers: tuple[int, ...]
    scaling: Scaling

    @property
    def degree(self) -> int:
        """The least even degree into which every condition and M fit."""
        degrees = [p.degree for p in self.case.all] + [
            sum(k * p.degree for k, p in zip(self.powers, self.case.strict, strict=True))
        ]
        return max(2, -(-max(degrees, default=0) // 2) * 2)

    @property
    def vanishing(self) -> int:
        """To which order M vanishes at t = 0."""
        return sum(k * self.scaling.of(p).lowest_degree for k, p in zip(self.powers, self.case.strict) if k)

    def positive(self) -> Polynomial:
        """M in t."""
        factors = [self.scaling.of(p) ** k for k, p in zip(self.powers, self.case.strict, strict=True)]
        return prod(factors, start=Polynomial.constant(1))

    @property
    def weight(self) -> Fraction:
        """What M is multiplied by, so that its largest coefficient is about 1."""
        largest = max((abs(c) for c in self.positive().terms.values()), default=Fraction(1))
        return Fraction(1, max(1, floor(largest)))

    @property
    def factors(self) -> tuple[int, ...]:
        """The strict conditions in M, repeated as often as they occur."""
        return tuple(number for number, k in enumerate(self.powers) for _ in range(k))

    def program(self, degree: int) -> Program | None:
        """Every product of at most two different conditions that fits into ``degree``; None if M does not fit."""
        everything = self.scaling.free
        positive = self.positive()
        vanishing = self.vanishing
        if positive.degree > degree:
            return None
        squares = []
        for factors, condition in self._conditions():
            least = max(0, -(-(vanishing - condition.lowest_degree) // 2))
            basis = monomials(everything, (degree - condition.degree) // 2, least)
            if factors == tuple(("strict", k) for k in self.factors) and factors:
                basis = tuple(m for m in basis if m != ONE)  # a multiple of M would only rescale the identity
            if basis:
                squares.append(Square(factors, condition, basis))
        if not squares or squares[0].factors:
            return None
        equations = []
        for number, p in enumerate(self.case.zero):
            condition = self.scaling.of(p)
            basis = monomials(everything, degree - p.degree, max(0, vanishing - condition.lowest_degree))
            if basis:
                equations.append(Equation(number, condition, basis))
        normaliser = Polynomial.of({tuple((v, 2 * k) for v, k in m): Fraction(1) for m in squares[0].basis})
        objective = positive.scaled(-self.weight)
        return Program((objective,), normaliser, tuple(squares), tuple(equations), cap=ROOM)

    def _conditions(self) -> Iterable[tuple[Factors, Polynomial]]:
        one = Polynomial.constant(1)
        yield (), one
        stated = [("strict", k, self.scaling.of(p)) for k, p in enumerate(self.case.strict)]
        stated += [("weak", k, self.scaling.of(p)) for k, p in enumerate(self.case.weak)]
        for kind, number, p in stated:
            yield ((kind, number),), p
        for (i, a), (j, b) in product(enumerate(stated), repeat=2):
            if i < j:
                yield ((a[0], a[1]), (b[0], b[1])), a[2] * b[2]
        for k in self.scaling.free:
            yield (("lower", k), ("upper", k)), sides_of(k, self.lower[k], self.upper[k], self.scaling)


def sides_of(variable: int, lower: Fraction, upper: Fraction, scaling: Scaling) -> Polynomial:
    """``(x - lower) (upper - x)`` in t."""
    line = Polynomial.affine({variable: scaling.scale[variable]}, scaling.centre[variable])
    return (line - Polynomial.constant(lower)) * (Polynomial.constant(upper) - line)
