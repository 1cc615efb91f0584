"""One polynomial question: a proof, a point that breaks it, or the pseudo-distribution that stands in the way.

Where a parameter is asked for, its range is halved: a value with a proof is an end of the bracket, and so is a value
with a violation. Neither claim rests on the other or on any monotonicity; that only guides the search.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from relaxations.sos.moments import Flatness, atoms, flatness, violation
from relaxations.sos.proving import Attempt, CaseProof, refute
from specs.language.polynomials.spec import PolynomialQuestion, PolynomialSpec, Unknown
from specs.polynomial import ONE, Monomial, degree_of
from specs.polynomial_problem import PolynomialCase, PolynomialProblem
from verifier.interruption import Stopped
from verifier.polynomials.search import Found, search

LEAST_MASS = 1e-6  # a moment of 1 below this is none to divide by


@dataclass(frozen=True)
class PseudoDistribution:
    """Moments of no point: what the adversary would need, and why there is no proof of this degree.

    ``moments`` in coordinates ``t`` where ``x = centre + scale t``; that of 1 is 1, unless the proof that was tried
    vanishes at the origin and has no such moment. ``outside`` is how far the moments are from fulfilling their
    conditions, ``strict`` and ``weak`` what they expect of the case's conditions. ``atoms`` (rank, n) are the points
    they consist of, in x, if the moments are flat.
    """

    case: int
    strict: tuple[float, ...]
    weak: tuple[float, ...]
    moments: dict[Monomial, float]
    centre: tuple[Fraction, ...]
    scale: tuple[Fraction, ...]
    outside: float
    flat: Flatness | None
    atoms: np.ndarray | None


@dataclass(frozen=True)
class Proved:
    """A proof of every case; for the parameter's value, if there is one."""

    problem: PolynomialProblem
    proofs: tuple[CaseProof, ...]
    value: Fraction | None


@dataclass(frozen=True)
class Refuted:
    """A point that breaks the property; for the parameter's value, if there is one."""

    problem: PolynomialProblem
    found: Found
    value: Fraction | None


@dataclass(frozen=True)
class Decision:
    """What was found. Of a question with a parameter both may be there: the bracket's two ends."""

    proved: Proved | None = None
    refuted: Refuted | None = None
    relaxed: PseudoDistribution | None = None
    reason: str = ""
    stats: dict[str, float] = field(default_factory=dict)


def decide(question: PolynomialQuestion, spec: PolynomialSpec, deadline: float, seed: int) -> Decision:
    """Prove or break a question by ``deadline``, a reading of ``time.monotonic``.

    Being told to stop ends the search; what was found by then is what was found.
    """
    decider = _Decider(question, spec, deadline, np.random.default_rng(seed))
    reason = ""
    try:
        if question.unknown is None:
            decider.once()
        else:
            decider.bracket(question.unknown)
    except Stopped as stop:
        reason = stop.reason
    except OverflowError:
        reason = "incomplete: it leads to numbers beyond the range of floats"
    found = decider.proved is not None or decider.refuted is not None
    if not found and not reason:
        reason = "timeout" if time.monotonic() > deadline else "incomplete: no proof of this degree, and no violation"
    stats = {"proofs tried": decider.tried, "searches": decider.searches}
    return Decision(decider.proved, decider.refuted, decider.relaxed, reason, stats)


class _Decider:
    """``proved`` and ``refuted`` are the best ends so far."""

    def __init__(
        self, question: PolynomialQuestion, spec: PolynomialSpec, deadline: float, rng: np.random.Generator
    ) -> None:
        self.question, self.spec, self.deadline, self.rng = question, spec, deadline, rng
        self.proved: Proved | None = None
        self.refuted: Refuted | None = None
        self.relaxed: PseudoDistribution | None = None
        self.near: list[np.ndarray] = []
        self.tried = self.searches = 0

    def once(self) -> None:
        """A violation, else a proof, else a violation from the atoms of the pseudo-distribution."""
        self.refuted = self.violation(None)
        if self.refuted is None:
            self.proved = self.proof(None)
        if self.proved is None and self.refuted is None:
            self.refuted = self.violation(None)

    def bracket(self, unknown: Unknown) -> None:
        """Halve the range; where neither a proof nor a violation is found, follow each end by itself."""
        good, bad = (unknown.lower, unknown.upper) if unknown.maximize else (unknown.upper, unknown.lower)
        self.proved = self.proof(bad)
        if self.proved is not None:
            return
        self.refuted = self._tightened(self.violation(bad), good)
        sure, open = good, bad
        while True:
            broken = open if self.refuted is None or self.refuted.value is None else self.refuted.value
            middle = self._between(sure, broken, unknown)
            if middle is None or abs(broken - sure) <= unknown.resolution or not self._in_time():
                break
            found = self.proof(middle)
            if found is not None:
                self.proved, sure = found, middle
                continue
            attack = self._tightened(self.violation(middle), sure)
            if attack is None:
                self._last_proof(sure, middle, unknown)
                self._first_violation(middle, broken, unknown)
                break
            self.refuted = attack
        if self.proved is None:
            self.proved = self.proof(good)

    def _last_proof(self, sure: Fraction, open: Fraction, unknown: Unknown) -> None:
        """Prove as far toward ``open`` as there are proofs."""
        while abs(open - sure) > unknown.resolution and self._in_time():
            middle = self._between(sure, open, unknown)
            if middle is None:
                return
            found = self.proof(middle)
            if found is None:
                open = middle
            else:
                self.proved, sure = found, middle

    def _first_violation(self, open: Fraction, broken: Fraction, unknown: Unknown) -> None:
        """Break as far toward ``open`` as there are violations."""
        while abs(broken - open) > unknown.resolution and self._in_time():
            middle = self._between(broken, open, unknown)
            if middle is None:
                return
            found = self._tightened(self.violation(middle), open)
            if found is None or found.value is None:
                open = middle
            else:
                self.refuted, broken = found, found.value

    def violation(self, value: Fraction | None) -> Refuted | None:
        """A point that breaks the property for a value of the parameter."""
        if self.spec.methods.sample is None:
            return None
        self.searches += 1
        problem = self.question.problem(value)
        starts = self.spec.methods.sample.starts
        found = search(problem, self.rng, starts, self.deadline, self.near)
        if found is None:
            return None
        self.near = [np.array([float(x) for x in found.point])]
        return Refuted(problem, found, value)

    def _tightened(self, refuted: Refuted | None, toward: Fraction) -> Refuted | None:
        """The same point for the value closest to ``toward`` at which it still breaks the property."""
        unknown = self.question.unknown
        if refuted is None or refuted.value is None or unknown is None:
            return refuted
        best, sure = refuted, toward
        assert best.value is not None
        while (middle := self._between(best.value, sure, unknown)) is not None:
            problem = self.question.problem(middle)
            case = problem.violated(best.found.point)
            if case is None:
                sure = middle
            else:
                best = Refuted(problem, Found(case, best.found.point), middle)
                assert best.value is not None
        return best

    @staticmethod
    def _between(a: Fraction, b: Fraction, unknown: Unknown) -> Fraction | None:
        """The middle of two values, on the grid of values that print exactly; None if there is nothing between."""
        middle = round((a + b) / 2 / unknown.step) * unknown.step
        return middle if min(a, b) < middle < max(a, b) else None

    def proof(self, value: Fraction | None) -> Proved | None:
        """A proof for a value of the parameter; without one, the pseudo-distribution is kept."""
        options = self.spec.methods.sos
        if options is None or not self._in_time():
            return None
        self.tried += 1
        problem = self.question.problem(value)
        proofs = []
        for number, case in enumerate(problem.cases):
            attempt = refute(
                case,
                problem.lower,
                problem.upper,
                options.degree,
                self.deadline - time.monotonic(),
                options.solver,
                vanishing=options.multiplier == "origin-vanishing",
            )
            if attempt is None or attempt.proof is None:
                self._keep(number, case, attempt)
                return None
            proofs.append(attempt.proof)
        return Proved(problem, tuple(proofs), value)

    def _keep(self, number: int, case: PolynomialCase, attempt: Attempt | None) -> None:
        if attempt is None or attempt.solved is None:
            return
        found = _pseudo(number, case, attempt, self.rng, float(self.spec.extract.flat_tolerance))
        self.relaxed = found
        if found.atoms is not None:
            self.near = [*self.near[:1], *found.atoms]

    def _in_time(self) -> bool:
        return time.monotonic() < self.deadline


def _pseudo(
    number: int, case: PolynomialCase, attempt: Attempt, rng: np.random.Generator, tolerance: float
) -> PseudoDistribution:
    """The moments of an attempt, what they violate, and whether they are those of points."""
    solved, scaling, program = attempt.solved, attempt.scaling, attempt.program
    assert solved is not None
    mass = solved.moments.get(ONE, 0.0)
    mass = mass if mass > LEAST_MASS else 1.0
    moments = {m: value / mass for m, value in solved.moments.items()}
    basis = program.squares[0].basis
    order = max(map(degree_of, basis))
    complete = degree_of(basis[0]) == 0 and order > 1
    flat = flatness(moments, scaling.free, order, tolerance=tolerance) if complete else None
    points = atoms(moments, scaling.free, order, rng, tolerance) if flat is not None and flat.flat else None
    if points is not None:
        t = np.zeros((len(points), len(scaling.scale)))
        t[:, list(scaling.free)] = points
        points = scaling.to_x(t)
    strict, weak = (
        tuple(sum(float(c) * moments.get(m, 0.0) for m, c in scaling.of(p).terms.items()) for p in part)
        for part in (case.strict, case.weak)
    )
    outside = violation(solved.moments, program) / mass
    return PseudoDistribution(number, strict, weak, moments, scaling.centre, scaling.scale, outside, flat, points)
