"""One polynomial question: a proof, a point that breaks it, or the pseudo-distribution that stands in the way.

Where a parameter is asked for, its range is halved: a value with a proof is an end of the bracket, and so is a value
with a violation. Neither claim rests on the other or on any monotonicity; that only guides the search.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from relaxations.sos.moments import Flatness, atoms, flatness, violation
from relaxations.sos.proving import Attempt, CaseProof, refute
from specs.language.polynomial_spec import PolynomialQuestion, PolynomialSpec, Unknown
from specs.polynomial import Monomial, degree_of
from specs.polynomial_problem import PolynomialProblem
from verifier.polynomials.search import Found, search


@dataclass(frozen=True)
class PseudoDistribution:
    """Moments of no point: what the adversary would need, and why there is no proof of this degree.

    ``moments`` in coordinates ``t`` where ``x = centre + scale t``; ``value`` is what the proof falls short by,
    ``outside`` how far the moments are from fulfilling their conditions. ``atoms`` (rank, n) are the points they
    consist of, in x, if the moments are flat.
    """

    case: int
    value: float
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
    """Prove or break a question by ``deadline``, a reading of ``time.monotonic``."""
    decider = _Decider(question, spec, deadline, np.random.default_rng(seed))
    decision = decider.once() if question.unknown is None else decider.bracket(question.unknown)
    if decision.proved is None and decision.refuted is None:
        reason = "timeout" if time.monotonic() > deadline else "incomplete: no proof of this degree, and no violation"
        decision = replace(decision, reason=reason)
    return replace(decision, stats={"proofs tried": decider.tried, "searches": decider.searches})


class _Decider:
    def __init__(
        self, question: PolynomialQuestion, spec: PolynomialSpec, deadline: float, rng: np.random.Generator
    ) -> None:
        self.question, self.spec, self.deadline, self.rng = question, spec, deadline, rng
        self.relaxed: PseudoDistribution | None = None
        self.near: list[np.ndarray] = []
        self.tried = self.searches = 0

    def once(self) -> Decision:
        refuted = self.violation(None)
        proved = None if refuted is not None else self.proof(None)
        if proved is None and refuted is None:
            refuted = self.violation(None)  # once more, from the atoms
        return Decision(proved, refuted, None if proved or refuted else self.relaxed)

    def bracket(self, unknown: Unknown) -> Decision:
        good, bad = (unknown.lower, unknown.upper) if unknown.maximize else (unknown.upper, unknown.lower)
        proved = self.proof(bad)
        if proved is not None:
            return Decision(proved)
        refuted = self._tightened(self.violation(bad), good)
        sure, broken, undecided = good, refuted.value if refuted is not None else bad, None
        assert broken is not None
        while abs(broken - sure) > unknown.resolution and self._in_time():
            middle = self._between(sure, broken, unknown)
            if middle is None:
                break
            found = self.proof(middle)
            if found is not None:
                proved, sure = found, middle
                continue
            attack = self._tightened(self.violation(middle), sure)
            if attack is None:
                undecided = middle
                break
            assert attack.value is not None
            refuted, broken = attack, attack.value
        if undecided is not None:
            proved = self._last_proof(proved, sure, undecided, unknown)
            refuted = self._first_violation(refuted, undecided, broken, unknown)
        if proved is None:
            proved = self.proof(good)
        return Decision(proved, refuted, self.relaxed)

    def _last_proof(self, proved: Proved | None, sure: Fraction, open: Fraction, unknown: Unknown) -> Proved | None:
        while abs(open - sure) > unknown.resolution and self._in_time():
            middle = self._between(sure, open, unknown)
            if middle is None:
                break
            found = self.proof(middle)
            if found is None:
                open = middle
            else:
                proved, sure = found, middle
        return proved

    def _first_violation(
        self, refuted: Refuted | None, open: Fraction, broken: Fraction, unknown: Unknown
    ) -> Refuted | None:
        while abs(broken - open) > unknown.resolution and self._in_time():
            middle = self._between(broken, open, unknown)
            if middle is None:
                break
            found = self._tightened(self.violation(middle), open)
            if found is None:
                open = middle
            else:
                assert found.value is not None
                refuted, broken = found, found.value
        return refuted

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
                self._keep(number, attempt)
                return None
            proofs.append(attempt.proof)
        return Proved(problem, tuple(proofs), value)

    def _keep(self, case: int, attempt: Attempt | None) -> None:
        if attempt is None or attempt.solved is None:
            return
        found = _pseudo(case, attempt, self.rng, float(self.spec.extract.flat_tolerance))
        self.relaxed = found
        if found.atoms is not None:
            self.near = [*self.near[:1], *found.atoms]

    def _in_time(self) -> bool:
        return time.monotonic() < self.deadline


def _pseudo(case: int, attempt: Attempt, rng: np.random.Generator, tolerance: float) -> PseudoDistribution:
    """The moments of an attempt, what they violate, and whether they are those of points."""
    solved, scaling, program = attempt.solved, attempt.scaling, attempt.program
    assert solved is not None
    basis = program.squares[0].basis
    order = max(map(degree_of, basis))
    complete = degree_of(basis[0]) == 0 and order > 1
    flat = flatness(solved.moments, scaling.free, order, tolerance=tolerance) if complete else None
    points = atoms(solved.moments, scaling.free, order, rng, tolerance) if flat is not None and flat.flat else None
    if points is not None:
        t = np.zeros((len(points), len(scaling.scale)))
        t[:, list(scaling.free)] = points
        points = scaling.to_x(t)
    outside = violation(solved.moments, program)
    return PseudoDistribution(
        case, solved.value, dict(solved.moments), scaling.centre, scaling.scale, outside, flat, points
    )
