"""Replacements of a ReLU: piecewise linear functions that take a chosen value at one point and stay in the triangle.

On [left, right] such a function runs straight from the ReLU at ``left`` through (at, value) to the ReLU at ``right``;
everywhere else it is the ReLU. With a range l < 0 < u, l <= left < at < right <= u and a value in the triangle, both
ends lie in the triangle, so by convexity all of it does. It is a sum of four ReLUs,

    rho(z) = c0 relu(z) + c1 relu(z - left) + c2 relu(z - at) + c3 relu(z - right).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specs.errors import CertifyError

SAME = 1e-12  # of its range: a unit that is no farther from its ReLU keeps it
CLOSEST = 1e-6  # of its range: a value that is told this near to another one would need too steep a function


@dataclass(frozen=True)
class Pieces:
    """The functions of one layer's units (n,); those that do not ``deviate`` are ReLUs."""

    deviates: np.ndarray
    left: np.ndarray
    at: np.ndarray
    value: np.ndarray
    right: np.ndarray

    @staticmethod
    def through(
        z: np.ndarray, a: np.ndarray, lower: np.ndarray, upper: np.ndarray, known: np.ndarray | None = None
    ) -> Pieces:
        """Through (l, 0), (z, a) and (u, u) where a is not the ReLU of z; arrays (n,).

        With ``known`` (N, n) they are the ReLU at all these values, too. Raises ``CertifyError`` where one of them is
        too near to z.
        """
        width = upper - lower
        unstable = (lower < 0) & (upper > 0) & (z > lower) & (z < upper)
        deviates = unstable & (np.abs(a - np.maximum(z, 0)) > SAME * width)
        left, right = lower, upper
        if known is not None and len(known):
            left = np.maximum(left, np.where(known <= z, known, -np.inf).max(axis=0))
            right = np.minimum(right, np.where(known > z, known, np.inf).min(axis=0))
            near = deviates & (np.minimum(z - left, right - z) < CLOSEST * width)
            near &= (left > lower) | (right < upper)
            if near.any():
                units = ", ".join(map(str, np.flatnonzero(near)[:5]))
                raise CertifyError(f"no extrapolation agrees with the data: they reach what unit(s) {units} deviate at")
        return Pieces(deviates, left, z, a, right)

    @property
    def coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """c0 to c3 (n,)."""
        one, zero = np.ones_like(self.at), np.zeros_like(self.at)
        d = self.deviates
        first = (self.value - np.maximum(self.left, 0)) / np.where(d, self.at - self.left, 1)
        second = (np.maximum(self.right, 0) - self.value) / np.where(d, self.right - self.at, 1)
        before, after = (self.left > 0).astype(float), (self.right >= 0).astype(float)
        kink = ((self.left > 0) | (self.right < 0)).astype(float)  # the ReLU's own, where it is not replaced
        return (
            np.where(d, kink, one),
            np.where(d, first - before, zero),
            np.where(d, second - first, zero),
            np.where(d, after - second, zero),
        )

    def evaluate(self, z: np.ndarray) -> np.ndarray:
        """The functions at (..., n)."""
        c0, c1, c2, c3 = self.coefficients
        relus = (np.maximum(z - shift, 0) for shift in (0, self.left, self.at, self.right))
        return np.asarray(sum(c * part for c, part in zip((c0, c1, c2, c3), relus)))

    def __getitem__(self, units: slice) -> Pieces:
        return Pieces(*(part[units] for part in (self.deviates, self.left, self.at, self.value, self.right)))
