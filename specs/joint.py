"""Several inputs quantified over at once, some of whose elements may be one and the same number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.language.dnf import Atom
from specs.problem import Ball
from specs.sets import InputSet


class PartialBall(Exception):
    """A ball holds some of the inputs that a requirement is about, and not the others."""


@dataclass(frozen=True)
class JointSet:
    """``sets`` together; ``places`` says for each element of each which flat input of the composed network it is.

    Elements at the same place are equal by a condition of the specification; they have the same normalisation, so that
    they are the same number in raw units, too. The interface is that of one `InputSet`: an element is counted through
    all sets, a flat input is what the composed network consumes.
    """

    sets: tuple[InputSet, ...]
    places: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        return ", ".join(one.name for one in self.sets)

    @property
    def size(self) -> int:
        """How many elements there are in all sets; equal ones count each."""
        return sum(one.size for one in self.sets)

    @property
    def units(self) -> tuple[str, ...]:
        if not any(one.units for one in self.sets):
            return ()
        return tuple(unit for one in self.sets for unit in one.units or ("",) * one.size)

    @property
    def is_normalized(self) -> bool:
        return any(one.is_normalized for one in self.sets)

    @property
    def is_point(self) -> bool:
        return all(one.is_point for one in self.sets)

    @property
    def label(self) -> int | None:
        """The label of the example that one of the sets is around."""
        return next((one.label for one in self.sets if one.label is not None), None)

    def element(self, i: int) -> str:
        """What element ``i``, counted through all sets, is called."""
        for one in self.sets:
            if i < one.size:
                return one.element(i)
            i -= one.size
        raise IndexError("there are fewer elements")

    def to_raw(self, values: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        """All elements of all sets in raw units, from what the composed network consumes; exact."""
        return tuple(
            raw
            for one, places in zip(self.sets, self.places)
            for raw in one.to_raw([values[place] for place in places])
        )

    def bounds(self) -> tuple[Atom, ...]:
        """The boxes as constraints on what the composed network consumes."""
        return tuple(atom.moved(places) for one, places in zip(self.sets, self.places) for atom in one.bounds())

    def ball_of_model(self) -> Ball | None:
        """The ball in terms of what the composed network consumes, if one of the sets has one.

        Raises ``PartialBall`` where it is not about every input, or not the only one: the normal form has no such sets.
        """
        balls = {}
        for one, places in zip(self.sets, self.places):
            ball = one.ball_of_model()
            if ball is not None:
                order = sorted(range(len(places)), key=places.__getitem__)
                if [places[i] for i in order] != list(range(self.n_inputs)):
                    raise PartialBall(
                        f"the ball of {one.name} leaves out other inputs of this requirement; "
                        "a Euclidean ball has to hold all of them, each once"
                    )
                center, weights = (tuple(part[i] for i in order) for part in (ball.center, ball.weights))
                balls[Ball(center, weights, ball.bound)] = one
        if len(balls) > 1:
            names = " and ".join(one.name for one in balls.values())
            raise PartialBall(f"{names} are the same numbers in different balls; one ball is supported")
        return next(iter(balls), None)

    @property
    def n_inputs(self) -> int:
        """How many numbers the composed network consumes."""
        return 1 + max(place for places in self.places for place in places)

    def contains(self, values: Sequence[Fraction]) -> bool:
        """Whether what the composed network consumes lies in every set."""
        return all(one.contains([values[place] for place in places]) for one, places in zip(self.sets, self.places))

    def describe(self) -> str:
        """The sets in words, one after the other."""
        return "; ".join(one.describe() for one in self.sets)
