"""The pair of a moment problem and a sum-of-squares problem, as data.

The adversary chooses a linear functional L on polynomials (a *pseudo-expectation*),

    minimise max_r L(objective_r)   over L with   L(normaliser) = 1,   L(z z^T g) >= 0 (psd),   L(m h) = 0,

for every square ``(g, z)`` and every equation ``(h, m)``. Weak duality: whoever writes, with weights w >= 0 of sum 1,

    sum of w_r objective_r = value * normaliser + sum of (z^T Q z) g + sum of q h,      Q psd, q a combination of the m,

has proved that L cannot get below ``value`` (Lasserre 2001, SIAM J. Optim. 11; Parrilo 2003, Math. Program. 96). Every
real point of the set is such an L, by evaluation. Where the set is so empty that there is no L at all, ``value`` could
be anything; with a ``cap`` it stays below: L(normaliser) may then fall short of 1 by u >= 0 at the price of cap * u.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from specs.polynomial import Monomial, Polynomial

Factors = tuple[tuple[str, int], ...]
"""Conditions by kind (``strict``, ``weak``, ``lower``, ``upper``) and number, of which a condition is the product."""


@dataclass(frozen=True)
class Square:
    """A sum of squares of combinations of ``basis`` times ``condition``, which is the product of ``factors``."""

    factors: Factors
    condition: Polynomial
    basis: tuple[Monomial, ...]


@dataclass(frozen=True)
class Equation:
    """Any combination of ``basis`` times ``polynomial``, the equation of this ``number``."""

    number: int
    polynomial: Polynomial
    basis: tuple[Monomial, ...]


@dataclass(frozen=True)
class Program:
    """The data of both problems, in coordinates in which the box is about [-1, 1]^n."""

    objectives: tuple[Polynomial, ...]
    normaliser: Polynomial
    squares: tuple[Square, ...]
    equations: tuple[Equation, ...] = ()
    cap: float | None = None

    @property
    def largest(self) -> int:
        """The size of the largest Gram matrix."""
        return max((len(square.basis) for square in self.squares), default=0)


@dataclass(frozen=True)
class Solved:
    """What a solver found, in floats: nothing here is trusted.

    ``value`` is the optimum; ``weights`` (R,), ``grams`` by square and ``multipliers`` by equation are the proof,
    ``moments`` the pseudo-expectation. ``finished`` tells that the solver believes both to be optimal.
    """

    value: float
    weights: np.ndarray
    grams: tuple[np.ndarray, ...]
    multipliers: tuple[np.ndarray, ...]
    moments: Mapping[Monomial, float]
    finished: bool
    seconds: float


@dataclass(frozen=True)
class Scaling:
    """``x = centre + scale t``, exactly. The scale is positive, but for sides without width, where it is 0."""

    centre: tuple[Fraction, ...]
    scale: tuple[Fraction, ...]

    @staticmethod
    def to_unit(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Scaling:
        """The box becomes [-1, 1]^n."""
        centre = tuple((low + up) / 2 for low, up in zip(lower, upper))
        return Scaling(centre, tuple((up - low) / 2 for low, up in zip(lower, upper)))

    @staticmethod
    def about(point: Sequence[Fraction], lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Scaling:
        """A point becomes 0, and the box lies in [-1, 1]^n; sides without width as in ``to_unit``."""
        sides = zip(point, lower, upper)
        found = [(low, Fraction(0)) if low == up else (x, max(abs(low - x), abs(up - x))) for x, low, up in sides]
        return Scaling(tuple(centre for centre, _ in found), tuple(scale for _, scale in found))

    @property
    def free(self) -> tuple[int, ...]:
        """The variables whose side has a width."""
        return tuple(k for k, scale in enumerate(self.scale) if scale)

    def of(self, p: Polynomial) -> Polynomial:
        """A polynomial in x as one in the free t."""
        return p.rescaled(self.centre, self.scale)

    def to_t(self, x: np.ndarray) -> np.ndarray:
        """Floats; the last axis runs over the variables."""
        return (x - np.array([float(c) for c in self.centre])) / np.array([float(s) or 1.0 for s in self.scale])

    def to_x(self, t: np.ndarray) -> np.ndarray:
        """Floats; the last axis runs over the variables."""
        return np.array([float(c) for c in self.centre]) + np.array([float(s) for s in self.scale]) * t
