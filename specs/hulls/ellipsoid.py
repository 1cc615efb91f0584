"""The level set of a Gaussian fitted to data: an ellipsoid as the image of a Euclidean ball, with exact numbers.

Mean and covariance are those of the data, the covariance regularised towards a multiple of the identity (O. Ledoit and
M. Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*, J. Multivariate Anal. 2004, with a
fixed small weight). Its Cholesky factor L and the mean m are rounded to a grid; the set is ``{m + L z: |z|^2 <= q}``
for these rounded numbers, so that no inverse is part of its definition. Whether a state lies in it is decided by
forward substitution in rationals. Another machine, whose activations may differ in their last bits, all but surely gets
the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

from specs.hulls.hull import EPS

Reals = NDArray[np.float64]

RIDGE = 1 / 256
"""Of the mean variance, added to each: a value that never varies in the data is free by a sixteenth of the others."""
GRID = 14
"""Bits of the largest deviation, to the last of which all numbers are rounded."""
ROOM = 1 / 4096
"""By what share at most the squared radius is more than what it has to be."""


@dataclass(frozen=True)
class Ellipsoid:
    """``{center + factor z: sum z_i^2 <= bound}``; ``factor`` has the rows of a lower triangular matrix.

    Of ``points`` examples that it was built from, ``held`` are inside, at least the ``share`` that was asked for.
    """

    center: tuple[Fraction, ...]
    factor: tuple[tuple[Fraction, ...], ...]
    bound: Fraction
    share: Fraction
    points: int
    held: int = 0

    @property
    def kind(self) -> str:
        return f"gaussian({float(self.share):g})"

    @property
    def size(self) -> int:
        return len(self.center)

    @property
    def rows(self) -> tuple[()]:
        """It has no linear conditions."""
        return ()

    @property
    def radius(self) -> Fraction:
        """An upper bound of the root of ``bound``, to about ten digits."""
        scaled = self.bound.numerator * 10**20 // self.bound.denominator + 1
        return Fraction(isqrt(scaled) + 1, 10**10)

    def state(self, z: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The state at ``z``, exactly."""
        return tuple(c + sum((f * v for f, v in zip(row, z)), Fraction(0)) for c, row in zip(self.center, self.factor))

    def symbols(self, h: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The only ``z`` at which the state is ``h``, by forward substitution."""
        found: list[Fraction] = []
        for value, c, row in zip(h, self.center, self.factor, strict=True):
            rest = Fraction(value) - c - sum((f * z for f, z in zip(row, found)), Fraction(0))
            found.append(rest / row[len(found)])
        return tuple(found)

    def contains(self, h: Sequence[Fraction]) -> bool:
        """Whether ``h`` is inside, in rational arithmetic. Raises ``ValueError`` where the size differs."""
        return sum((z * z for z in self.symbols(h)), Fraction(0)) <= self.bound

    def inside(self, values: Reals) -> NDArray[np.bool_]:
        """Whether each of ``values`` (points, size) is inside: exact, in rationals where float64 leaves doubt."""
        squares, error = self.squares(values)
        bound = float(self.bound)
        found = squares <= bound
        for k in np.flatnonzero(np.abs(squares - bound) <= error + 4 * EPS * bound):
            found[k] = self.contains([Fraction(v) for v in values[k].tolist()])
        return found

    def squares(self, values: Reals) -> tuple[Reals, Reals]:
        """``|z|^2`` of each of ``values`` (points, size), and by how much float64 may err.

        The z of forward substitution solves exactly a system whose matrix differs by at most n eps of each entry
        (N. Higham, *Accuracy and Stability of Numerical Algorithms*, theorem 8.5), and the difference on its right errs
        by eps of itself. Both are taken twice, for terms of second order and for the inverse, which is rounded, too.
        """
        center = np.array([float(v) for v in self.center])
        factor = np.array([[float(v) for v in row] for row in self.factor])
        difference = values - center
        z = np.zeros_like(difference)
        for i, row in enumerate(factor):
            z[:, i] = (difference[:, i] - z[:, :i] @ row[:i]) / row[i]
        inverse = np.abs(np.linalg.inv(factor))
        wrong = 2 * EPS * (self.size * np.abs(z) @ np.abs(factor).T + np.abs(difference)) @ inverse.T
        squares = (z * z).sum(axis=1)
        return squares, (wrong * (2 * np.abs(z) + wrong)).sum(axis=1) + 2 * self.size * EPS * squares


def ellipsoid_of(values: Reals, share: Fraction) -> Ellipsoid:
    """The smallest level set, but for rounding, of the Gaussian of ``values`` (points, size) that holds the share.

    Raises ``ValueError`` where the data does not vary, or is too large for numbers on the grid.
    """
    count, size = values.shape
    center, centred = values.mean(axis=0), values - values.mean(axis=0)
    covariance = centred.T @ centred / count
    variance = np.trace(covariance) / size
    if not np.isfinite(variance) or variance <= 0:
        raise ValueError("what the layer holds on the data does not vary, so it has no Gaussian")
    factor = np.linalg.cholesky(covariance + RIDGE * variance * np.eye(size))
    grain = Fraction(2) ** (int(np.floor(np.log2(np.abs(factor).max()))) - GRID)
    if not np.abs(center).max() < float(grain) * 2.0**52:
        raise ValueError("what the layer holds on the data is too large, and varies too little, for a Gaussian")
    rounded = Ellipsoid(
        tuple(grain * round(Fraction(v) / grain) for v in center.tolist()),
        tuple(tuple(grain * round(Fraction(v) / grain) for v in row) for row in factor.tolist()),
        Fraction(1),
        share,
        count,
    )
    squares = np.sort(rounded.squares(values)[0])
    wanted = Fraction(float(squares[ceil(share * count) - 1]))
    step = Fraction(2) ** int(np.floor(np.log2(max(float(wanted), 2.0**-40)))) * Fraction(ROOM) / 2
    bound = step * (ceil(wanted / step) + 1)
    found = Ellipsoid(rounded.center, rounded.factor, bound, share, count)
    return Ellipsoid(rounded.center, rounded.factor, bound, share, count, int(found.inside(values).sum()))
