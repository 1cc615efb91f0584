"""The set of inputs a specification quantifies over, in the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from specs.language.expressions.dnf import Atom, Dnf
from specs.language.text.decimals import exact
from specs.problem import Ball, Terms

_ONE = Fraction(1)


@dataclass(frozen=True)
class InputSet:
    """A box in raw units and the map ``(raw - mean) / scale`` to what the model consumes; everything per element, flat.

    ``lower`` and ``upper`` hold ``None`` where no set bounds an element. ``scale`` is positive. Where there is a
    ``ball``, in raw units, the set is what it has of the box; where there are ``points``, in raw units, it is these,
    each in the box and in the ball, with ``labels`` if the examples they are have some. ``linear`` are further
    conditions as written, which `contains` knows nothing of. At most ``changes`` elements are not 0, if it is not None.
    ``role`` says in words what the input does, where it does not go into a network by a call.
    """

    name: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[Fraction, ...]
    scale: tuple[Fraction, ...]
    lower: tuple[Fraction | None, ...]
    upper: tuple[Fraction | None, ...]
    label: int | None = None
    words: str = ""
    linear: tuple[str, ...] = ()
    ball: Ball | None = None
    points: tuple[tuple[Fraction, ...], ...] = ()
    labels: tuple[int, ...] = ()
    role: str = ""
    changes: int | None = None

    @property
    def size(self) -> int:
        return len(self.mean)

    @property
    def is_normalized(self) -> bool:
        return any(self.mean) or any(factor != 1 for factor in self.scale)

    @property
    def is_point(self) -> bool:
        return all(low is not None and low == up for low, up in zip(self.lower, self.upper))

    def element(self, i: int) -> str:
        """What element ``i`` is called: ``x.rho``, or ``x[3]``."""
        return f"{self.name}.{self.names[i]}" if self.names else f"{self.name}[{i}]"

    def to_raw(self, values: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        """Raw units of what the model consumes, exactly: carries a witness back to the user."""
        return tuple(mean + scale * Fraction(value) for value, mean, scale in zip(values, self.mean, self.scale))

    def raw_forms(self) -> list[tuple[Terms, Fraction]]:
        """Every element in raw units as a linear form, with its constant, in what the model consumes."""
        return [(((i, scale),), mean) for i, (mean, scale) in enumerate(zip(self.mean, self.scale))]

    def to_model(self, raw: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        """What the model consumes for ``raw``, exactly."""
        return tuple((Fraction(value) - mean) / scale for value, mean, scale in zip(raw, self.mean, self.scale))

    def bounds(self) -> tuple[Atom, ...]:
        """The box as constraints on what the model consumes."""
        atoms = []
        for i, (low, up, mean, scale) in enumerate(zip(self.lower, self.upper, self.mean, self.scale)):
            if low is not None:
                atoms.append(Atom(((i, -_ONE),), (), (low - mean) / scale, False, -1))
            if up is not None:
                atoms.append(Atom(((i, _ONE),), (), (mean - up) / scale, False, -1))
        return tuple(atoms)

    def alternatives(self, label: int | None = None) -> tuple[Dnf, ...]:
        """Where the set is finite, the or of its points, or of those with this label; of what the model consumes.

        Where few elements may be changed, the or of which these are.
        """
        labels = self.labels or (None,) * len(self.points)
        kept = [point for point, own in zip(self.points, labels) if label is None or own == label]
        points = (tuple(self._only(point) for point in kept),) if self.points else ()
        return (*points, self._unchanged()) if self.changes is not None else points

    def _unchanged(self) -> Dnf:
        """The or of all choices of elements that are 0: as many as have to be; such inputs are not normalised."""
        assert self.changes is not None
        chosen = combinations(range(self.size), max(self.size - self.changes, 0))
        return tuple(
            tuple(Atom(((i, sign),), (), Fraction(0), False, -1) for i in fixed for sign in (_ONE, -_ONE))
            for fixed in chosen
        )

    def label_at(self, raw: Sequence[Fraction]) -> int | None:
        """The label of the example that the point is, or that the set is around."""
        return self.labels[self.points.index(tuple(raw))] if self.labels else self.label

    def _only(self, point: Sequence[Fraction]) -> tuple[Atom, ...]:
        values = enumerate(self.to_model(point))
        return tuple(Atom(((i, sign),), (), -sign * value, False, -1) for i, value in values for sign in (_ONE, -_ONE))

    def ball_of_model(self) -> Ball | None:
        """The ball in terms of what the model consumes: an ellipsoid where elements are scaled differently."""
        if self.ball is None:
            return None
        norm = self.ball.norm
        weights = tuple(weight * scale**norm for weight, scale in zip(self.ball.weights, self.scale))
        return Ball(self.to_model(self.ball.center), weights, self.ball.bound, norm)

    def contains(self, values: Sequence[Fraction]) -> bool:
        """Whether what the model consumes lies in the box, in the ball and among the points, and changes no more."""
        raw = self.to_raw(values)
        within = all(
            (low is None or low <= value) and (up is None or value <= up)
            for low, value, up in zip(self.lower, raw, self.upper)
        )
        within = within and (self.changes is None or sum(map(bool, raw)) <= self.changes)
        return within and (self.ball is None or self.ball.holds(raw)) and (not self.points or raw in self.points)

    def describe(self) -> str:
        """The set, its numbers exact, and the conditions in words, element by element when there are few."""
        if self.size > 16 or None in self.lower or None in self.upper or len(self.points) > 1:
            return f"{self.told}: {self.size} values, {self.words}"
        parts = []
        for i, (low, up) in enumerate(zip(self.lower, self.upper)):
            if low is not None and up is not None:
                unit = f" {self.units[i]}" if self.units and self.units[i] else ""
                parts.append(f"{self.element(i)} in [{exact(low)}, {exact(up)}]{unit}")
        if self.ball is not None:
            center = ", ".join(map(exact, self.ball.center))
            distance = "squared Euclidean distance" if self.ball.norm == 2 else "distance in the 1-norm"
            parts.append(f"at a {distance} of at most {exact(self.ball.bound)} from ({center})")
        conditions = [", ".join(parts), *(f"({condition})" for condition in self.linear)]
        return " and ".join([f"{self.told}: {conditions[0]}" if self.role else conditions[0], *conditions[1:]])

    @property
    def told(self) -> str:
        """Its name and what it does."""
        return f"{self.name} ({self.role})" if self.role else self.name
