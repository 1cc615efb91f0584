"""Several inputs quantified over at once, some of whose elements may be one and the same number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from specs.language.expressions.dnf import Atom, Dnf
from specs.problem import Ball, Box
from specs.sets import InputSet


class PartialBall(Exception):
    """A ball holds some of the inputs that a requirement is about, and not the others."""


@dataclass(frozen=True)
class PartOfBall:
    """A ball of the inputs at ``places``, of ``size`` in all: which ``name`` the set goes by is for messages.

    The normal form has balls of all inputs. Where the others are single points, a ball of all around these, cut by the
    box, is the same set whatever the weights of the others are. These are large, so that a bound over the ball, which
    does not know the box, hardly counts them.
    """

    ball: Ball
    places: tuple[int, ...]
    size: int
    name: str

    def within(self, box: Box) -> Ball:
        """The ball of all inputs whose part in ``box`` is this one. Raises ``PartialBall``."""
        center, weights = list(box.lower), [_MANY * max(self.ball.weights)] * self.size
        for place, c, weight in zip(self.places, self.ball.center, self.ball.weights, strict=True):
            center[place], weights[place] = c, weight
        inside = set(self.places)
        free = [i for i in range(self.size) if i not in inside and box.lower[i] != box.upper[i]]
        if free:
            raise PartialBall(
                f"the ball of {self.name} leaves out {len(free)} other numbers of this requirement that are not fixed; "
                "a ball has to hold all that are free, each once. Make the other inputs points, or give "
                f"{self.name} a ball of the norm inf"
            )
        return replace(self.ball, center=tuple(center), weights=tuple(weights))


_MANY = 1 << 20


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

    def alternatives(self, labels: Mapping[str, int]) -> tuple[Dnf, ...]:
        """For each set that is finite the or of its points, or of those with its label, if it has one in ``labels``."""
        return tuple(
            tuple(tuple(atom.moved(places) for atom in point) for point in dnf)
            for one, places in zip(self.sets, self.places)
            for dnf in one.alternatives(labels.get(one.name))
        )

    def ball_of_model(self) -> Ball | PartOfBall | None:
        """The ball in terms of what the composed network consumes, if one of the sets has one.

        Raises ``PartialBall`` where there are several, or where it holds one number twice: the normal form has no such
        sets.
        """
        balls: dict[Ball | PartOfBall, InputSet] = {}
        for one, places in zip(self.sets, self.places):
            ball = one.ball_of_model()
            if ball is not None:
                order = sorted(range(len(places)), key=places.__getitem__)
                held = tuple(places[i] for i in order)
                if len(set(held)) < len(held):
                    raise PartialBall(
                        f"the ball of {one.name} has elements that are equal; a ball has to hold each once"
                    )
                center, weights = (tuple(part[i] for i in order) for part in (ball.center, ball.weights))
                sorted_ball = replace(ball, center=center, weights=weights)
                whole = len(held) == self.n_inputs
                balls[sorted_ball if whole else PartOfBall(sorted_ball, held, self.n_inputs, one.name)] = one
        if len(balls) > 1:
            names = " and ".join(one.name for one in balls.values())
            raise PartialBall(f"{names} have different balls; one ball of each requirement is supported")
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
