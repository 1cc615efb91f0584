"""From a question to an exact proof, or to the pseudo-distribution that stands in its way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np

from relaxations.sos.lasserre import Bounded, Refuted
from relaxations.sos.program import Program, Scaling, Solved, Square
from relaxations.sos.rounding import ExactSquare, Identity, absorbed, guessed, projected, rounded
from relaxations.sos.solve import solve
from relaxations.sos.sparsity import Clique
from specs.polynomial import ONE, Polynomial
from specs.polynomial_problem import PolynomialCase

STEP = 2**40  # proved levels are multiples of 1 / STEP
NEAR = 64  # a pseudo-mean is rounded to multiples of 1 / NEAR
HALVINGS = 12  # of what absorbing the rounding lost
TOLERATED = Fraction(1, 10**7)  # relative; a smaller loss is left alone
NOISE = 1e-6  # a least eigenvalue that a solver may have meant to be 0
MOST_POWERS = 3  # of one strict condition


@dataclass(frozen=True)
class CaseProof:
    """That a case is empty, in the coordinates of ``scaling``: what a certificate file says about it.

    ``positive`` are weights of products of strict conditions (the empty product is 1).
    """

    scaling: Scaling
    positive: tuple[tuple[Fraction, tuple[int, ...]], ...]
    squares: tuple[ExactSquare, ...]
    multipliers: tuple[tuple[int, Polynomial], ...]


@dataclass(frozen=True)
class Least:
    """No point has a value below ``level``, exactly: ``proof`` refutes ``case``, that there is one.

    ``solved`` are the optima of ``program``, whose coordinates are those of ``scaling``.
    """

    level: Fraction
    case: PolynomialCase
    proof: CaseProof
    solved: Solved
    program: Program
    scaling: Scaling


def prove_least(
    bounded: Bounded, order: int, groups: Sequence[Clique] | None = None, seconds: float = np.inf
) -> Least | None:
    """The best level of this order for a single objective; None when no solver gave an answer.

    What rounding costs is absorbed first. Where that is much, levels between this one and the optimum are tried with
    room in the Gram matrix, about the pseudo-mean: moments of a minimiser are close to 0 there, and rounding costs
    nothing.
    """
    started = time.monotonic()
    best = _absorbing(bounded, order, groups, seconds)
    if best is None:
        return None
    scaling, top = _about_mean(bounded, best), Fraction(best.solved.value)
    for _ in range(HALVINGS):
        left = seconds - (time.monotonic() - started)
        if top - best.level <= TOLERATED * (1 + abs(top)) or left <= 0:
            break
        level = Fraction(floor((best.level + top) / 2 * STEP), STEP)
        proof = _with_room(bounded, order, groups, scaling, level, left)
        if proof is None:
            top = level
        else:
            best = replace(best, level=level, case=_below(bounded, level), proof=proof)
    return best


def _about_mean(bounded: Bounded, found: Least) -> Scaling:
    own = bounded.scaling
    mean = found.scaling.to_x(np.array([found.solved.moments.get(((k, 1),), 0.0) for k in range(len(own.scale))]))
    return Scaling(tuple(Fraction(round(float(m) * NEAR), NEAR) for m in mean), own.scale)


def _absorbing(bounded: Bounded, order: int, groups: Sequence[Clique] | None, seconds: float) -> Least | None:
    """The optimum, less what rounding costs."""
    program = bounded.program(order, groups)
    solved = solve(program, seconds)
    if solved is None:
        return None
    identity = rounded(program, solved)
    level = Fraction(floor(-absorbed(identity.rest) * STEP), STEP)
    proof = _proof(bounded.scaling, ((Fraction(1), (0,)),), identity, program)
    return Least(level, _below(bounded, level), proof, solved, program, bounded.scaling)


def _with_room(
    bounded: Bounded, order: int, groups: Sequence[Clique] | None, scaling: Scaling, level: Fraction, seconds: float
) -> CaseProof | None:
    """A proof of a given level by an identity that holds exactly, or None."""
    program = bounded.program(order, groups, scaling)
    (objective,) = program.objectives
    squares = {tuple((v, 2 * k) for v, k in m): Fraction(1) for m in program.squares[0].basis}
    roomy = replace(
        program, objectives=(objective - Polynomial.constant(level),), normaliser=Polynomial.of(squares), cap=1.0
    )
    solved = solve(roomy, seconds)
    identity = None if solved is None else projected(roomy, solved)
    return None if identity is None else _proof(scaling, ((Fraction(1), (0,)),), identity, roomy)


def _below(bounded: Bounded, level: Fraction) -> PolynomialCase:
    """That there is a point with a value below a level."""
    (objective,) = bounded.objectives
    return PolynomialCase((Polynomial.constant(level) - objective,), bounded.weak, bounded.zero)


@dataclass(frozen=True)
class Rows:
    """At every point of the set the largest objective is at least ``level``, exactly.

    For a level above 0, ``proof`` refutes ``case``: that all objectives are at most 0 somewhere.
    """

    level: Fraction
    case: PolynomialCase
    proof: CaseProof | None


def prove_rows(
    bounded: Bounded, order: int, groups: Sequence[Clique] | None = None, seconds: float = np.inf
) -> Rows | None:
    """The best level for the largest of several objectives (the rows of a network); None when no solver answered."""
    program = bounded.program(order, groups)
    solved = solve(program, seconds)
    if solved is None:
        return None
    identity = rounded(program, solved)
    level = -absorbed(identity.rest)
    count = len(bounded.objectives)
    case = PolynomialCase((), (*(-p for p in bounded.objectives), *bounded.weak), bounded.zero)
    if level <= 0:
        return Rows(level, case, None)
    rows = tuple(
        ExactSquare(Square((("weak", r),), -p, (ONE,)), ((w.numerator,),), w.denominator)
        for r, (p, w) in enumerate(zip(program.objectives, identity.weights, strict=True))
    )
    proof = _proof(bounded.scaling, ((level, ()),), identity, program)
    return Rows(level, case, replace(proof, squares=(*rows, *(_later(s, count) for s in proof.squares))))


def _later(square: ExactSquare, count: int) -> ExactSquare:
    """The same with its weak conditions numbered after ``count`` others."""
    factors = tuple((kind, k + count if kind == "weak" else k) for kind, k in square.square.factors)
    return replace(square, square=replace(square.square, factors=factors))


@dataclass(frozen=True)
class Attempt:
    """One try to refute a case: a ``proof``, or the pseudo-distribution in the way (None when no solver answered)."""

    proof: CaseProof | None
    solved: Solved | None
    program: Program
    scaling: Scaling


def refute(
    case: PolynomialCase,
    lower: Sequence[Fraction],
    upper: Sequence[Fraction],
    degree: int,
    seconds: float = np.inf,
    solver: str = "clarabel",
    scalings: Sequence[Scaling] = (),
    vanishing: bool = False,
) -> Attempt | None:
    """Try the positive parts that fit into ``degree``, the lowest first; the last attempt when none gives a proof.

    ``vanishing``: only positive parts that vanish at 0, or as close to it as the box allows.
    ``scalings`` are coordinates to try; by default those in which the box is [-1, 1]^n or lies in it around 0. None
    when nothing fits into the degree or the time.
    """
    started = time.monotonic()
    box = tuple(lower), tuple(upper)
    last: Attempt | None = None
    for powers in _powers(case):
        own = [Scaling.to_unit(*box)] if not any(powers) else scalings or [Scaling.about(_origin(*box), *box)]
        for scaling in own:
            refuted = Refuted(case, *box, powers, scaling)
            if (vanishing and not refuted.vanishing) or (last is not None and refuted.degree > degree):
                continue
            program = refuted.program(max(degree, refuted.degree))
            if program is None:
                continue
            left = seconds - (time.monotonic() - started)
            if left <= 0:
                return last
            solved = solve(program, left, solver, fallback=False)
            proof = None if solved is None else _refutation(refuted, program, solved)
            attempt = Attempt(proof, solved, program, scaling)
            if proof is not None:
                return attempt
            last = attempt if last is None or last.solved is None else last
    return last


def _refutation(refuted: Refuted, program: Program, solved: Solved) -> CaseProof | None:
    """An exact proof from a solution: in simple fractions; else what is left is absorbed if M = 1, else projected."""
    if solved.value < -NOISE:
        return None
    exact = guessed(program, solved)
    if exact is None and solved.value > 0:
        if any(refuted.powers):
            exact = projected(program, solved)
        else:
            identity = rounded(program, solved)
            exact = identity if absorbed(identity.rest) <= 0 else None
    return None if exact is None else _proof(refuted.scaling, ((refuted.weight, refuted.factors),), exact, program)


def _origin(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> list[Fraction]:
    """The point of the box closest to 0."""
    return [min(max(Fraction(0), low), up) for low, up in zip(lower, upper)]


def _powers(case: PolynomialCase) -> Iterable[tuple[int, ...]]:
    """Exponents of the strict conditions in M by their sum; M = 1 first."""
    count = len(case.strict)
    candidates = product(range(MOST_POWERS + 1), repeat=count) if count <= 3 else [(0,) * count, (1,) * count]
    yield from sorted(candidates, key=lambda powers: (sum(powers), max(powers, default=0), powers))


def _proof(
    scaling: Scaling,
    positive: tuple[tuple[Fraction, tuple[int, ...]], ...],
    identity: Identity,
    program: Program,
) -> CaseProof:
    numbered = zip((equation.number for equation in program.equations), identity.multipliers, strict=True)
    used = tuple(square for square in identity.squares if any(value for row in square.rows for value in row))
    return CaseProof(scaling, positive, used, tuple((k, q) for k, q in numbered if q.terms))
