"""What expressions of a VNN-LIB query stand for: linear ones, and the sums of powers that balls are made of."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from specs.language.expressions.dnf import Dnf
from specs.problem import Ball, Terms

ONE = Fraction(1)
ONLY_BALLS = "a query is linear in X and Y, but for a ball, (<= (+ (* w (* T T)) ...) b)"
ABSOLUTE = "an absolute value is written (ite (>= T 0) T (- T)), with the same T, linear in one input"


class Fault(Exception):
    """A fault inside one list; ``token`` says at which word of it."""

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.message, self.token = message, token


class Linear(NamedTuple):
    """A linear expression: coefficients by flat index, and the constant. Each is used once, so it may be changed."""

    x: dict[int, Fraction]
    y: dict[int, Fraction]
    constant: Fraction

    @property
    def is_constant(self) -> bool:
        return not self.x and not self.y

    def scaled(self, factor: Fraction) -> Linear:
        x, y = ({index: factor * value for index, value in part.items()} for part in (self.x, self.y))
        return Linear(x, y, factor * self.constant)

    def plus(self, other: Linear) -> Linear:
        """The sum, built by adding the shorter expression into the longer one."""
        small, large = sorted((self, other), key=lambda part: len(part.x) + len(part.y))
        for target, source in ((large.x, small.x), (large.y, small.y)):
            for index, value in source.items():
                target[index] = target.get(index, Fraction(0)) + value
        return large._replace(constant=large.constant + small.constant)


class Powers(NamedTuple):
    """A sum of weighted ``|factor X_i + constant|^norm``, the norm 1 or 2: (factor, constant, weight) by i."""

    norm: int
    by_input: dict[int, tuple[Fraction, Fraction, Fraction]]

    @property
    def noun(self) -> str:
        return "square" if self.norm == 2 else "absolute value"

    def scaled(self, factor: Fraction) -> Powers:
        return Powers(self.norm, {i: (a, c, w * factor) for i, (a, c, w) in self.by_input.items()})


class BallFormula(NamedTuple):
    """The formula ``powers <= bound``; ``token`` says where it stands."""

    powers: Powers
    bound: Fraction
    token: int

    def ball(self, n_inputs: int) -> Ball:
        """The ball that it says; raises ``Fault`` where it says none."""
        given = self.powers.by_input
        missing = [f"X_{i}" for i in range(n_inputs) if i not in given]
        if missing:
            listed = ", ".join(missing[:5])
            article = "a square" if self.powers.norm == 2 else "an absolute value"
            raise Fault(f"a ball needs {article} of every input; {len(missing)} lack one: {listed}")
        if self.bound < 0:
            raise Fault(f"the ball has no point: {self.powers.noun}s do not add up to less than 0")
        parts, norm = [given[i] for i in range(n_inputs)], self.powers.norm
        center = tuple(-constant / factor for factor, constant, _ in parts)
        return Ball(center, tuple(weight * abs(factor) ** norm for factor, _, weight in parts), self.bound, norm)


def terms_of(coefficients: dict[int, Fraction]) -> Terms:
    """Coefficients that are not 0, in order."""
    return tuple(sorted((index, value) for index, value in coefficients.items() if value))


def square_of(left: Linear, right: Linear) -> Powers | None:
    """The product, if it is the square of a linear expression in one input alone."""
    of_x = terms_of(left.x)
    if left.y or right.y or left.constant != right.constant or len(of_x) != 1 or of_x != terms_of(right.x):
        return None
    ((index, factor),) = of_x
    return Powers(2, {index: (factor, left.constant, ONE)})


def absolute_of(condition: Dnf, then: Linear, otherwise: Linear) -> Powers:
    """The absolute value of a linear expression in one input alone; raises ``Fault`` where it is none."""
    of_x, opposite = terms_of(then.x), tuple((index, -value) for index, value in terms_of(then.x))
    if len(of_x) != 1 or then.y or otherwise.y or len(condition) != 1 or len(condition[0]) != 1:
        raise Fault(ABSOLUTE)
    (atom,) = condition[0]  # that -T <= 0
    not_negative = atom.x == opposite and not atom.y and atom.constant == -then.constant and not atom.strict
    if not not_negative or terms_of(otherwise.x) != opposite or otherwise.constant != -then.constant:
        raise Fault(ABSOLUTE)
    ((index, factor),) = of_x
    return Powers(1, {index: (factor, then.constant, ONE)})


def sum_of(parts: Sequence[object]) -> Powers:
    """The sum of powers of different inputs, at least one; raises ``Fault`` where it is no such sum."""
    found: dict[int, tuple[Fraction, Fraction, Fraction]] = {}
    norms = set()
    noun = next(part.noun for part in parts if isinstance(part, Powers))
    for part in parts:
        if not isinstance(part, Powers):
            raise Fault(f"{noun}s and other terms in one sum; {ONLY_BALLS}")
        twice = [index for index in part.by_input if index in found]
        if twice:
            raise Fault(f"X_{twice[0]} has two {part.noun}s in the ball")
        found |= part.by_input
        norms.add(part.norm)
    if len(norms) != 1:
        raise Fault(f"squares and absolute values in one sum; {ONLY_BALLS}")
    return Powers(norms.pop(), found)
