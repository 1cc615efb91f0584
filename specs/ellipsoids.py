"""A set of inputs that is an ellipsoid whose axes are not those of the coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.hulls.ellipsoid import Ellipsoid
from specs.problem import Ball, Terms
from specs.sets import InputSet


@dataclass(frozen=True)
class EllipsoidSet(InputSet):
    """What is consumed is the point of a Euclidean ball; the raw values are its image in ``ellipsoid``, exactly.

    ``ball``, ``lower`` and ``upper`` are about what is consumed. There are no other sets beside it.
    """

    ellipsoid: Ellipsoid | None = None

    @staticmethod
    def within(ellipsoid: Ellipsoid, one: InputSet) -> EllipsoidSet:
        """The input ``one``, which has no sets of its own, in an ellipsoid."""
        n, radius = ellipsoid.size, ellipsoid.radius
        ball = Ball((Fraction(0),) * n, (Fraction(1),) * n, ellipsoid.bound)
        fields = {**vars(one), "lower": (-radius,) * n, "upper": (radius,) * n, "ball": ball}
        words = f"in an ellipsoid: m + L z for a z of {n} values with |z|^2 at most {float(ellipsoid.bound):.6g}"
        return EllipsoidSet(**{**fields, "words": words}, ellipsoid=ellipsoid)

    @property
    def shape_of(self) -> Ellipsoid:
        assert self.ellipsoid is not None
        return self.ellipsoid

    def to_raw(self, values: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        return self.shape_of.state([Fraction(value) for value in values])

    def to_model(self, raw: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        return self.shape_of.symbols([Fraction(value) for value in raw])

    def raw_forms(self) -> list[tuple[Terms, Fraction]]:
        rows = zip(self.shape_of.factor, self.shape_of.center)
        return [(tuple((j, f) for j, f in enumerate(row) if f), c) for row, c in rows]

    def ball_of_model(self) -> Ball | None:
        return self.ball

    def contains(self, values: Sequence[Fraction]) -> bool:
        """Whether the point is one of the ball."""
        assert self.ball is not None
        return self.ball.holds(values)

    def describe(self) -> str:
        return f"{self.told}: {self.size} values, {self.words}"
