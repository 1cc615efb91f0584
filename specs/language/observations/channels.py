"""Channels between what a model is called on and the model: what an observer is shown instead of the input.

P. Christiano writes of *distorting observations*: inputs are changed so that they are easier for an adversary to fake.
Replacing elements, products with a matrix and networks become part of the composed network. Rounding and noise are
inputs of their own, quantified over like all others: what they can be is a relation with the input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Literal

import numpy as np

from specs.compose import Composer
from specs.graph import Graph, ops
from specs.language.expressions.dnf import Dnf
from specs.language.expressions.exact import exactly, narrow
from specs.language.expressions.expression import ExpressionFault
from specs.language.inputs.coupling import Coupling
from specs.language.networks import Posed
from specs.language.observations.levels import Levels, Scaled, near, of_points, rounded
from specs.language.observations.meant import Meant, Rounded
from specs.language.text.yaml_tree import YamlPath
from specs.property import Judge
from specs.sets import InputSet

Kind = Literal["rounded", "noise", "abstract"]


@dataclass(frozen=True)
class Front:
    """What is in front of a model: ``graph`` last, before it ``values`` in place of the elements ``dropped``.

    ``text`` says it in words. Rounding and noise, which come first of all, are hidden inputs; ``hides`` tells of one.
    """

    text: str
    dropped: tuple[int, ...] = ()
    value: Fraction = Fraction(0)
    graph: Graph | None = None
    hides: bool = False


@dataclass(frozen=True)
class Hidden:
    """An input that the specification does not name: what ``model`` is given for input ``of``, or what is added to it.

    ``exact`` tells whether every combination of ``levels`` is an alternative; else anything between them may be given.
    ``joined`` asks for the distance of both to be a condition then. An abstraction has no model.
    """

    kind: Kind
    of: int
    input: InputSet
    model: str = ""
    levels: tuple[Levels, ...] = ()
    exact: bool = True
    joined: bool = False


@dataclass(frozen=True)
class Channels:
    """Fronts by model, and the hidden inputs, which are counted from ``first`` on.

    ``places`` are those of all inputs, ``sets`` the inputs themselves; ``abstraction`` is the network of
    the one that is abstracted.
    """

    fronts: Mapping[str, Front] = field(default_factory=dict)
    hidden: tuple[Hidden, ...] = ()
    sets: tuple[InputSet, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    abstraction: Graph | None = None

    @property
    def first(self) -> int:
        return len(self.sets) - len(self.hidden)

    @property
    def named(self) -> tuple[InputSet, ...]:
        """The inputs of the specification."""
        return self.sets[: self.first]

    @property
    def numbers(self) -> range:
        """Of the hidden inputs."""
        return range(self.first, len(self.sets))

    @property
    def abstracted(self) -> dict[int, int]:
        """By the number of an input the number of what stands in its place."""
        return {one.of: k for k, one in zip(self.numbers, self.hidden) if one.kind == "abstract"}

    def seen(self, model: str, k: int) -> int:
        """The input that a model is given when it is called on input ``k``."""
        for number, one in zip(self.numbers, self.hidden):
            if one.of == k and (one.kind == "abstract" or (one.kind == "rounded" and one.model == model)):
                return number
        return k

    def noise(self, model: str, k: int) -> int | None:
        """The input that is added then."""
        for number, one in zip(self.numbers, self.hidden):
            if one.of == k and one.kind == "noise" and one.model == model:
                return number
        return None

    def hides(self, model: str, k: int) -> bool:
        """Whether there is a hidden input for what a model is given when it is called on input ``k``."""
        return any(one.model == model and one.of == k for one in self.hidden)

    def behind(self, model: str) -> bool:
        """Whether anything stands between a model and what it is called on."""
        return model in self.fronts or bool(self.abstracted)

    def moves_levels(self, path: YamlPath) -> bool:
        """Whether levels depend on the number at ``path`` of the file: they are taken from the box of an input."""
        boxes = {("inputs", self.sets[one.of].name, "box") for one in self.hidden if one.kind == "rounded"}
        return path[:3] in boxes

    def moved(self, path: YamlPath) -> set[str]:
        """The hidden inputs that depend on the number at ``path`` of the file."""
        return {one.input.name for one in self.hidden if path[:3] == ("models", one.model, "front")}

    def told(self, path: YamlPath) -> set[str]:
        """What is said of the channel that the number at ``path`` of the file belongs to, beside its inputs."""
        return {front.text for name, front in self.fronts.items() if path[:3] == ("models", name, "front")} - {""}

    def conditions(self, members: Sequence[int]) -> list[Dnf]:
        """What joins the hidden inputs among ``members`` with those they are made of."""
        found: dict[Dnf, None] = {}
        for k in members:
            if k in self.numbers:
                found |= dict.fromkeys(self._relation(k, self.hidden[k - self.first]))
        return list(found)

    def _relation(self, k: int, one: Hidden) -> Sequence[Dnf]:
        if one.kind != "rounded":
            return ()
        given, (x, seen) = self.sets[one.of], (self.places[one.of], self.places[k])
        units = [Scaled(mean, scale) for mean, scale in zip(given.mean, given.scale)]
        if given.points:
            return (of_points(one.levels, units, x, seen, given.points),)
        parts = zip(one.levels, units, x, seen, given.lower, given.upper)
        if one.exact:
            return [rounded(*part) for part in parts]
        if not one.joined:
            return ()
        return [dnf for levels, unit, i, j, _, _ in parts for dnf in near(levels, unit, i, j)]

    def judged(self, posed: Posed, judge: Judge, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Whether ``judge`` says violated, and what is given is exactly what rounding makes of the input."""
        return judge(x, y) and self.is_rounded(posed, x)

    def is_rounded(self, posed: Posed, x: Sequence[Fraction]) -> bool:
        raw = by_name(posed, x)
        return all(
            one.kind != "rounded"
            or one.input.name not in raw
            or all(
                levels.of(a) == b
                for levels, a, b in zip(one.levels, raw[self.sets[one.of].name], raw[one.input.name], strict=True)
            )
            for one in self.hidden
        )

    def meant(self, posed: Posed, domain: Callable[[Sequence[Fraction]], bool]) -> Meant | None:
        """How to get back from what a problem allows to what is meant, where something is rounded: see `Meant`.

        Where each combination of levels is a case, these allow no more; but a query is written in decimals.
        """
        names = [one.name for one in posed.sets]
        found = [one for one in self.hidden if one.input.name in names and one.kind == "rounded"]
        if not found:
            return None
        rounding = [
            Rounded(names.index(self.sets[one.of].name), names.index(one.input.name), one.levels) for one in found
        ]
        return Meant(posed.inputs, tuple(rounding), lambda x: self.is_rounded(posed, x) and domain(x))


def by_name(posed: Posed, x: Sequence[Fraction]) -> dict[str, Sequence[Fraction]]:
    """The inputs in raw units."""
    raw, start = posed.inputs.to_raw(x), 0
    found: dict[str, Sequence[Fraction]] = {}
    for one in posed.sets:
        found[one.name] = raw[start : start + one.size]
        start += one.size
    return found


def extended(coupling: Coupling, inputs: Sequence[InputSet], hidden: Sequence[Hidden]) -> Coupling:
    """The coupling with hidden inputs after the others. What is rounded alike from equal elements is one number.

    Whoever is about what is rounded is also about what it is made of, and not the other way round.
    """
    places, normalization, groups = list(coupling.places), list(coupling.normalization), list(coupling.groups)
    known: dict[tuple[int, Levels, bool], int] = {}
    owners: dict[int, set[int]] = {}
    for k, one in enumerate(hidden, start=len(inputs)):
        own = []
        for e in range(one.input.size):
            unit, key = (one.input.mean[e], one.input.scale[e]), None
            if one.kind == "rounded":
                key = (places[one.of][e], one.levels[e], one.exact)
            place = len(normalization) if key is None else known.setdefault(key, len(normalization))
            if place == len(normalization):
                normalization.append(unit)
            owners.setdefault(place, set()).add(k)
            own.append(place)
        places.append(tuple(own))
        groups.append(frozenset((k,)) if one.kind != "rounded" else coupling.groups[one.of] | {k})
    for k in range(len(inputs), len(places)):
        sharing = {other for place in places[k] for other in owners[place]}
        groups[k] |= frozenset(member for other in sharing for member in groups[other])
    return Coupling(tuple(places), tuple(normalization), tuple(groups))


def dropped(
    composer: Composer, front: Front, node: str, units: Sequence[tuple[Fraction, Fraction]], column: int
) -> str:
    """The value of a node with the front's constant in place of some elements. ``units`` are means and divisors."""
    size = prod(composer.shape(node))
    outside = [i for i in front.dropped if i >= size]
    if outside:
        raise ExpressionFault(f"there is no element {outside[0]} to drop: it has {size}", column)
    kept, constant = np.ones(size), np.zeros(size)
    for i in front.dropped:
        mean, scale = units[i]
        try:
            kept[i], constant[i] = 0.0, exactly((front.value - mean) / scale)
        except ValueError as error:
            raise ExpressionFault(f"the value of what is dropped, normalised: {error}", column) from None
    masked = composer.add(ops.Mul(), composer.flat(node), composer.constant(narrow(kept), "kept"))
    if constant.any():
        masked = composer.add(ops.Add(), masked, composer.constant(narrow(constant), "dropped"))
    return composer.reshaped(masked, composer.shape(node))


def without_words(
    one: InputSet,
    name: str,
    role: str,
    lower: Sequence[Fraction],
    upper: Sequence[Fraction],
    is_difference: bool = False,
) -> InputSet:
    """A box of the shape and in the units of an input, or of differences in it."""
    return replace(
        one,
        name=name,
        mean=(Fraction(0),) * one.size if is_difference else one.mean,
        lower=tuple(lower),
        upper=tuple(upper),
        label=None,
        words="each in its own interval",
        linear=(),
        ball=None,
        points=(),
        labels=(),
        role=role,
    )
