"""What is known of a function that cannot be computed: Lipschitz, monotone, of some range, and its values so far.

All axioms together say ``g(a) - g(b) <= L rho(a, b)``, with the quasi-metric

    rho(a, b) = max or sum over coordinates of  (a_k - b_k)^+ if g increases in k,  (b_k - a_k)^+ if it decreases,
                                                |a_k - b_k| if neither.

It follows from them: move from a to b first along the coordinates in which this cannot lower g. It also suffices: if
the values known fit it pairwise, ``G(x) = max_i(g_i - L rho(x_i, x))`` has them, meets every axiom, and no function
that does is smaller anywhere (McShane 1934 for metrics). Lipschitz and monotone one by one, instantiated at the known
points alone, are weaker: they lack the point in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Literal

from relaxations.smt.encode import ZERO
from relaxations.smt.formula import All, Formula, Some, at_least, at_most, below_zero

Point = tuple[Fraction, ...]


@dataclass(frozen=True)
class Known:
    """An answer of the function."""

    point: Point
    value: Fraction


@dataclass(frozen=True)
class Linear:
    """``terms + constant``: a number, or a variable, or any combination."""

    terms: tuple[tuple[str, Fraction], ...] = ()
    constant: Fraction = ZERO

    @staticmethod
    def variable(name: str) -> Linear:
        return Linear(((name, Fraction(1)),))

    def plus(self, other: Linear, times: Fraction) -> Linear:
        """``self + times * other``."""
        terms = dict(self.terms)
        for name, c in other.terms:
            terms[name] = terms.get(name, ZERO) + times * c
        return Linear(tuple(terms.items()), self.constant + times * other.constant)


@dataclass(frozen=True)
class Term:
    """``g(point) = value``, known or not."""

    point: tuple[Linear, ...]
    value: Linear

    @staticmethod
    def of(known: Known) -> Term:
        return Term(tuple(Linear((), c) for c in known.point), Linear((), known.value))


@dataclass(frozen=True)
class Axioms:
    """Axioms about ``g`` on a box of ``dimension`` coordinates; any of them may be missing.

    ``lipschitz`` is the constant L in the ``norm``, the greatest or the sum of the coordinates. ``increasing`` and
    ``decreasing`` name coordinates in which g is monotone, all others equal.
    """

    dimension: int
    lipschitz: Fraction | None = None
    norm: Literal["inf", "1"] = "inf"
    increasing: frozenset[int] = frozenset()
    decreasing: frozenset[int] = frozenset()
    lower: Fraction | None = None
    upper: Fraction | None = None

    def distance(self, a: Point, b: Point) -> Fraction | None:
        """``rho(a, b)``; without a Lipschitz constant 0 where ``g(a) <= g(b)`` is known, and None elsewhere."""
        parts = [max(option) for option in self._options([x - y for x, y in zip(a, b, strict=True)])]
        if self.lipschitz is None:
            return None if any(parts) else ZERO
        return max(parts, default=ZERO) if self.norm == "inf" else sum(parts, ZERO)

    def allowance(self, a: Point, b: Point) -> Fraction | None:
        """By how much ``g(a)`` may exceed ``g(b)``; None for any amount."""
        distance = self.distance(a, b)
        return None if distance is None else distance * (self.lipschitz or ZERO)

    def contradiction(self, known: Sequence[Known]) -> tuple[Known, ...]:
        """One answer or two that no function with these axioms gives; empty if some function gives all of them."""
        for one in known:
            if (self.lower is not None and one.value < self.lower) or (
                self.upper is not None and one.value > self.upper
            ):
                return (one,)
        for one, other in product(known, known):
            allowed = self.allowance(one.point, other.point)
            if allowed is not None and one.value - other.value > allowed:
                return one, other
        return ()

    def least(self, known: Sequence[Known], x: Point) -> Fraction | None:
        """The least value at x of all functions that fit; None if there is none."""
        found = [self.lower] if self.lower is not None else []
        for one in known:
            allowed = self.allowance(one.point, x)
            if allowed is not None:
                found.append(one.value - allowed)
        return max(found, default=None)

    def instances(self, terms: dict[str, Term]) -> dict[str, Formula]:
        """The axioms at these points, by name: sound for any terms, and complete for the values of g at them."""
        found: dict[str, Formula] = {}
        for name, term in terms.items():
            if self.lower is not None:
                found[f"range, below {name}"] = at_least(dict(term.value.terms), term.value.constant - self.lower)
            if self.upper is not None:
                found[f"range, above {name}"] = at_most(dict(term.value.terms), term.value.constant - self.upper)
        for (name, one), (second, other) in product(terms.items(), terms.items()):
            settled = not any(part.terms for term in (one, other) for part in (*term.point, term.value))
            if name != second and not settled:
                found[f"{name} over {second}"] = self._over(one, other)
        return found

    def near(self, one: Term, other: Term, allowed: Fraction) -> Formula:
        """``L rho(one, other) <= allowed``; true nowhere without a Lipschitz constant."""
        if self.lipschitz is None:
            return Some(())
        gaps = [p.plus(q, Fraction(-1)) for p, q in zip(one.point, other.point)]
        sums = [Linear((), -allowed).plus(part, self.lipschitz) for part in self._distances(gaps)]
        return All(tuple(at_most(dict(total.terms), total.constant) for total in sums))

    def _distances(self, gaps: Sequence[Linear]) -> list[Linear]:
        """The distance is the greatest of these."""
        options = self._linear_options(gaps)
        if self.norm == "inf":
            return [part for option in options for part in option]
        found = []
        for parts in product(*options):
            total = Linear()
            for part in parts:
                total = total.plus(part, Fraction(1))
            found.append(total)
        return found

    def _over(self, one: Term, other: Term) -> Formula:
        """``g(one) - g(other) <= L rho(one, other)``: below a greatest number means below one of them."""
        rise = one.value.plus(other.value, Fraction(-1))
        gaps = [p.plus(q, Fraction(-1)) for p, q in zip(one.point, other.point)]
        if self.lipschitz is None:
            return Some((at_most(dict(rise.terms), rise.constant), *self._apart(gaps)))
        sums = [rise.plus(part, -self.lipschitz) for part in self._distances(gaps)]
        return Some(tuple(at_most(dict(total.terms), total.constant) for total in sums))

    def _apart(self, gaps: Sequence[Linear]) -> list[Formula]:
        """The ways in which the first point is not known to be below the second."""
        found: list[Formula] = []
        for k, gap in enumerate(gaps):
            if k not in self.decreasing:
                found.append(below_zero({v: -c for v, c in gap.terms}, -gap.constant))
            if k not in self.increasing:
                found.append(below_zero(dict(gap.terms), gap.constant))
        return found

    def _options(self, gaps: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
        """By coordinate, two numbers the greater of which is its part of the distance."""
        found = []
        for k, gap in enumerate(gaps):
            found.append((gap, ZERO) if k in self.increasing else (-gap, ZERO) if k in self.decreasing else (gap, -gap))
        return found

    def _linear_options(self, gaps: Sequence[Linear]) -> list[tuple[Linear, Linear]]:
        nothing = Linear()
        found = []
        for k, gap in enumerate(gaps):
            minus = nothing.plus(gap, Fraction(-1))
            up = k in self.increasing
            found.append((gap, nothing) if up else (minus, nothing) if k in self.decreasing else (gap, minus))
        return found
