"""The input section of a spec.yaml, made into a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, prod
from pathlib import Path
from typing import Any

from specs import problem
from specs.language.inputs.dataset import read_examples, read_row, read_rows
from specs.language.schema.inputs import DATA_MAX, DATA_MIN, Ball, DatasetRow, DatasetRows, Input, InputBox
from specs.language.text.decimals import exact, show
from specs.language.text.faults import Faults
from specs.language.text.yaml_tree import Document, YamlPath
from specs.sets import InputSet

Bounds = tuple[list[Fraction], list[Fraction]]
Sides = Sequence[Fraction | None]
Points = tuple[tuple[tuple[Fraction, ...], ...], tuple[int, ...]]
MOST_CHOICES = 2_500
_MODES = {"add": "added to layer", "replace": "in place of layer"}


def build_input_set(name: str, given: Input, document: Document, faults: Faults, folder: Path) -> InputSet | None:
    """The intersection of the sets under one input; ``None`` after adding what is wrong with them to ``faults``."""
    return _Builder(name, given, document, faults, folder).build()


@dataclass
class _Builder:
    name: str
    given: Input
    document: Document
    faults: Faults
    folder: Path

    def build(self) -> InputSet | None:
        before = len(self.faults.found)
        given = self.given
        if any(side.denominator != 1 for side in given.shape):
            self._fault("expected whole numbers", "shape")
            return None
        self.shape = tuple(int(side) for side in given.shape)
        self.size = prod(self.shape)
        if self.size > 10_000_000:
            self._fault(f"has {self.size:,} elements, more than any network here", "shape")
            return None
        for key, entries in (("names", given.names), ("units", given.units)):
            if entries and len(entries) != self.size and not (key == "units" and len(entries) == 1):
                self._fault(f"has {len(entries)} entries for {self.size} elements", key)
        if len(set(given.names)) != len(given.names):
            self._fault("names an element twice", "names")
        if given.inject is not None and given.inject.units is not None:
            self._check_units(given.inject.units)
        mean, scale = self._normalization()
        sets: list[tuple[str, Bounds]] = []
        label, ball = None, None
        if given.box is not None:
            sets.append(("box", self._box(given.box)))
        if given.ball is not None:
            center, label = self._center(given.ball)
            sets.append(("ball", ([c - given.ball.eps for c in center], [c + given.ball.eps for c in center])))
            if given.ball.norm != "inf":
                norm = int(given.ball.norm)
                ball = problem.Ball(tuple(center), (Fraction(1),) * self.size, given.ball.eps**norm, norm)
        if len(self.faults.found) > before:
            return None
        lower, upper = self._intersection(sets)
        points: Points = self._points(lower, upper, ball) if len(self.faults.found) == before else ((), ())
        if len(self.faults.found) > before:
            return None
        if given.points is not None:
            lower, upper = (tuple(map(pick, zip(*points[0]))) for pick in (min, max))
            label = points[1][0] if len(set(points[1])) == 1 else label
            ball = None  # every point is in it
        units = given.units * self.size if len(given.units) == 1 else given.units
        words = self._words(len(points[0]))
        inject = given.inject
        changes = None if inject is None else inject.units
        few = "" if changes is None else f"at most {changes} value{'s' if changes > 1 else ''} of it, "
        role = "" if inject is None else f"{few}{_MODES[inject.mode]} {inject.at} of {inject.model}"
        return InputSet(
            self.name,
            self.shape,
            given.names,
            units,
            mean,
            scale,
            lower,
            upper,
            label,
            words,
            given.linear,
            ball,
            *points,
            role,
            changes,
        )

    def _check_units(self, units: int) -> None:
        """Each choice of values is asked by itself, so there may not be too many; what is not changed is 0."""
        inject, path = self.given.inject, ("inject", "units")
        assert inject is not None
        if inject.mode == "replace":
            self._fault("only where it is added (mode: add) does a value of 0 leave the layer as it is", *path)
        elif self.given.normalize is not None or self.given.points is not None:
            self._fault("beside it there may be a box, a ball and conditions, no points and no normalize", *path)
        elif units >= self.size:
            self._fault(f"all {self.size} values may change anyway; leave it out", *path)
        elif comb(self.size, units) > MOST_CHOICES:
            self._fault(
                f"{units} of {self.size} values are {comb(self.size, units):,} choices, each of which is a case of "
                f"its own; at most {MOST_CHOICES:,} are asked",
                *path,
            )

    def _points(self, lower: Sides, upper: Sides, ball: problem.Ball | None) -> Points:
        """The points that lie in box and ball, and their labels if they have some."""
        given = self.given.points
        if given is None:
            return (), ()
        if isinstance(given, DatasetRows):
            found, labels = self._rows(given)
        else:
            found, labels = tuple(tuple(_flatten(point)) for point in given), ()
            wrong = [k for k, point in enumerate(found) if len(point) != self.size]
            if wrong:
                k = wrong[0]
                self._fault(f"has {len(found[k])} numbers for {self.size} elements", "points", k)
                return (), ()
        outside = [self._outside(point, lower, upper, ball) for point in found]
        kept = [k for k, why in enumerate(outside) if not why]
        if found and not kept:
            more = f" (and {len(found) - 1} more points)" if len(found) > 1 else ""
            self._fault(f"none of the points lies in the other sets: in point 0{more} {outside[0]}", "points")
        return tuple(found[k] for k in kept), tuple(labels[k] for k in kept if labels)

    def _outside(self, point: Sequence[Fraction], lower: Sides, upper: Sides, ball: problem.Ball | None) -> str:
        """Why the point is not in box and ball, or nothing where it is."""
        for i, (low, value, up) in enumerate(zip(lower, point, upper)):
            if (low is not None and value < low) or (up is not None and value > up):
                limits = " and ".join(
                    f"at {side} {show(limit)}" for side, limit in (("least", low), ("most", up)) if limit is not None
                )
                return f"element {i} is {show(value)}, but has to be {limits}"
        return "" if ball is None or ball.holds(point) else "the distance from the centre of the ball is too large"

    def _rows(self, given: DatasetRows) -> Points:
        """The examples and their labels."""
        if given.index and given.take is not None:
            self._fault("say which examples by index or how many by take, not both", "points")
            return (), ()
        try:
            rows = read_rows(self.folder / given.dataset, given.index or None, given.take)
        except ValueError as error:
            self._fault(str(error), "points")
            return (), ()
        if not rows:
            self._fault("there are no examples", "points")
        elif len(rows[0].values) != self.size:
            self._fault(f"the examples have shape {list(rows[0].shape)}, the input {list(self.shape)}", "points")
            return (), ()
        known: dict[tuple[Fraction, ...], int | None] = {}
        if any(known.setdefault(row.values, row.label) != row.label for row in rows):
            self._fault("the same example has different labels", "points")
        return tuple(row.values for row in rows), tuple(row.label for row in rows if row.label is not None)

    def _fault(self, message: str, *path: str | int) -> None:
        where: YamlPath = ("inputs", self.name, *path)
        self.faults.add(f"{'.'.join(map(str, where))}: {message}", *self.document.position(where))

    def _spread(self, value: Any, *path: str | int) -> list[Fraction]:
        """One number per element, from one number or a list."""
        flat = list(_flatten(value))
        if not isinstance(value, tuple):
            return flat * self.size
        if len(flat) != self.size:
            self._fault(f"has {len(flat)} numbers for {self.size} elements", *path)
            return [Fraction(0)] * self.size
        return flat

    def _normalization(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        given = self.given.normalize
        if given is None:
            return (Fraction(0),) * self.size, (Fraction(1),) * self.size
        if given.range is not None and given.std is not None:
            self._fault("range and std mean the same; give one of them", "normalize")
        key = "range" if given.range is not None else "std"
        divisor = given.range if given.range is not None else given.std
        scale = self._spread(Fraction(1) if divisor is None else divisor, "normalize", key)
        if any(factor <= 0 for factor in scale):
            self._fault("expected numbers above 0", "normalize", key)
            scale = [Fraction(1)] * self.size
        return tuple(self._spread(given.mean, "normalize", "mean")), tuple(scale)

    def _box(self, box: InputBox) -> Bounds:
        before = len(self.faults.found)
        least, greatest = self._ends_of_data(box)
        lower = least if box.lo == DATA_MIN else self._spread(box.lo, "box", "lo")
        upper = greatest if box.hi == DATA_MAX else self._spread(box.hi, "box", "hi")
        if len(self.faults.found) > before:
            return lower, upper
        empty = [i for i in range(self.size) if lower[i] > upper[i]]
        if empty:
            i = empty[0]
            others = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
            self._fault(f"is empty: lo {show(lower[i])} > hi {show(upper[i])} in element {i}{others}", "box")
        return lower, upper

    def _ends_of_data(self, box: InputBox) -> Bounds:
        """The least and the greatest value of each element in the data that the box names, if it does."""
        nothing = [Fraction(0)] * self.size, [Fraction(0)] * self.size
        wanted = "lo" if box.lo == DATA_MIN else "hi" if box.hi == DATA_MAX else ""
        if wanted and not box.data:
            self._fault("name the file of the data under `data` of the box", "box", wanted)
        elif box.data and not wanted:
            self._fault(f"no end is taken from it; say {DATA_MIN} for lo, {DATA_MAX} for hi", "box", "data")
        elif wanted:
            try:
                data = read_examples(self.folder / box.data).inputs
                if data.shape[1] == self.size:
                    least, greatest = (end.tolist() for end in (data.min(axis=0), data.max(axis=0)))
                    return list(map(Fraction, least)), list(map(Fraction, greatest))
                self._fault(f"the examples have {data.shape[1]} values, the input has {self.size}", "box", "data")
            except ValueError as error:
                self._fault(str(error), "box", "data")
        return nothing

    def _center(self, ball: Ball) -> tuple[list[Fraction], int | None]:
        if ball.center is None:
            if self.given.inject is None:
                self._fault("the key 'center' is missing", "ball")
            return [Fraction(0)] * self.size, None
        if not isinstance(ball.center, DatasetRow):
            return self._spread(ball.center, "ball", "center"), None
        try:
            row = read_row(self.folder / ball.center.dataset, ball.center.index)
        except ValueError as error:
            self._fault(str(error), "ball", "center")
            return [Fraction(0)] * self.size, None
        if len(row.values) != self.size:
            self._fault(f"the example has shape {list(row.shape)}, the input {list(self.shape)}", "ball", "center")
            return [Fraction(0)] * self.size, None
        return list(row.values), row.label

    def _intersection(self, sets: Sequence[tuple[str, Bounds]]) -> tuple[tuple[Fraction | None, ...], ...]:
        if not sets:
            return (None,) * self.size, (None,) * self.size
        lower = [max(column) for column in zip(*(bounds[0] for _, bounds in sets))]
        upper = [min(column) for column in zip(*(bounds[1] for _, bounds in sets))]
        outside = [i for i in range(self.size) if lower[i] > upper[i]]
        if outside:
            i = outside[0]
            kinds = " and ".join(kind for kind, _ in sets)
            ranges = " and ".join(f"[{show(low[i])}, {show(up[i])}]" for _, (low, up) in sets)
            self._fault(f"{kinds} do not intersect in {len(outside)} of {self.size} elements: element {i} in {ranges}")
        return tuple(lower), tuple(upper)

    def _words(self, points: int) -> str:
        words = []
        rows = self.given.points
        if rows is not None:
            source = f" (examples of {rows.dataset})" if isinstance(rows, DatasetRows) else ""
            words.append(f"one of {points} points{source}" if points > 1 else f"one point{source}")
        box, ball = self.given.box, self.given.ball
        if box is not None:
            same = isinstance(box.lo, Fraction) and isinstance(box.hi, Fraction)
            source = f" (ends from {box.data})" if box.data else ""
            words.append(f"each in [{exact(box.lo)}, {exact(box.hi)}]" if same else f"each in its own interval{source}")
        if ball is not None:
            row = ball.center if isinstance(ball.center, DatasetRow) else None
            center = f"example {row.index} of {row.dataset}" if row else "the given point" if ball.center else "0"
            distance = {"inf": "each within {} of", "2": "at a Euclidean distance of at most {} from"}.get(
                ball.norm, "at a distance in the 1-norm of at most {} from"
            )
            words.append(f"{distance.format(exact(ball.eps))} {center}")
        if self.given.natural is not None:
            words.append("within what is natural for the layer")
        return " and ".join([*words, *(f"({condition})" for condition in self.given.linear)]) or "unbounded"


def _flatten(value: Any) -> list[Fraction]:
    return [part for item in value for part in _flatten(item)] if isinstance(value, tuple) else [value]
