"""``where: {activation_hull: ...}``: a requirement restricted to what data has exercised inside a network."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from specs.hulls import Hull, HullShape, evaluate_all, hull_of
from specs.hulls.restrict import restricted
from specs.language.expressions.compile import compile_value
from specs.language.expressions.dnf import Atom, Dnf
from specs.language.expressions.expression import TAP, ExpressionFault, parse_expression
from specs.language.expressions.scope import Argument, Scope
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Extreme, Linear
from specs.language.inputs.dataset import Examples, read_examples
from specs.language.networks import Posed, Poser
from specs.language.schema.file import ActivationHull
from specs.language.tables.answers import AnswerSet
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.yaml_tree import YamlPath
from specs.sets import InputSet

LocatedHull = tuple[ActivationHull, YamlPath]


@dataclass(frozen=True)
class TapHull:
    """The hull of one layer, a ``node`` of its network; ``slots`` are its activations' variables in formulas."""

    tap: str
    node: str
    hull: Hull
    slots: tuple[int, ...]

    def atoms(self) -> list[Atom]:
        """The rows as conditions on what the network computes."""
        return [
            Atom((), tuple(sorted((self.slots[i], c) for i, c in row.terms)), -row.bound, False, -1)
            for row in self.hull.rows
        ]


@dataclass(frozen=True)
class HullCondition:
    """Hulls of layers of ``model`` on the data of ``file``.

    ``inhabited`` tells whether one of the ``points`` examples lies in the box (and ball) of inputs and in all hulls.
    """

    section: ActivationHull
    taps: tuple[TapHull, ...]
    file: Path
    sha256: str
    points: int
    inhabited: bool

    @property
    def model(self) -> str:
        return self.section.model

    @property
    def text(self) -> str:
        """The condition in words."""
        rows = sum(len(one.hull.rows) for one in self.taps)
        options = "".join(
            f", {name} {value}"
            for name, value, plain in (
                ("min_support", self.section.min_support, 1),
                ("margin", self.section.margin, Fraction(0)),
            )
            if value != plain
        )
        return (
            f"activations of {self.model} at {', '.join(one.tap for one in self.taps)} in the {self.section.kind} hull "
            f"of {self.file.name} ({self.points} examples, {rows} rows{options}, sha256:{self.sha256})"
        )

    @property
    def dnf(self) -> Dnf:
        return (tuple(dict.fromkeys(chain.from_iterable(one.atoms() for one in self.taps))),)

    def holds(self, posed: Posed, y: Sequence[Fraction]) -> bool:
        """Whether every row holds where the posed network has outputs ``y``; exact."""
        assert posed.slots is not None
        places = posed.slots
        return all(one.hull.contains([y[places[slot]] for slot in one.slots]) for one in self.taps)


def on_hulls(posed: Posed, poser: Poser, conditions: Sequence[HullCondition]) -> Posed:
    """The posed network as it is on the hulls, which it is restricted to anyway; see `specs.hulls.restrict`."""
    found: dict[str, Hull] = {}
    for one in (tap for condition in conditions for tap in condition.taps):
        node = poser.computed(one.slots[0])
        before = found[node].rows if node in found else ()
        found[node] = Hull(one.hull.kind, one.hull.size, (*before, *one.hull.rows), one.hull.points)
    return replace(posed, graph=restricted(posed.graph, found)) if found else posed


class HullCompiler:
    """Builds hulls from data files beside the specification; faults go to ``source``."""

    def __init__(self, source: Source, poser: Poser, folder: Path) -> None:
        self.source, self.poser, self.folder = source, poser, folder
        self._read: dict[Path, Examples] = {}

    def conditions(self, located: Sequence[LocatedHull], scope: Scope) -> list[HullCondition]:
        """The hulls of one requirement, without those that something is wrong with."""
        found = [self._condition(section, path, scope) for section, path in located]
        return [one for one in found if one is not None]

    def _condition(self, section: ActivationHull, path: YamlPath, scope: Scope) -> HullCondition | None:
        slots = self._slots(section, path, scope)
        data = self._data(section, path)
        if slots is None or data is None:
            return None
        members = sorted(self.poser.read((), {slot for own in slots.values() for slot in own}))
        if len(members) != 1:
            names = " and ".join(self.poser.inputs[k].name for k in members)
            self.source.fault(f"{section.model} depends on {names} there; data is of one input", *path, "on")
            return None
        inputs = self.poser.inputs[members[0]]
        if inputs.role:
            self.source.fault(f"{section.model} is not given what the data holds, but {inputs.name}", *path, "model")
            return None
        if data.inputs.shape[1] != inputs.size:
            self.source.fault(
                f"the examples have {data.inputs.shape[1]} values, but {inputs.name} has {inputs.size}", *path, "data"
            )
            return None
        values = self._values(members[0], inputs, data, slots)
        shape = HullShape(section.kind, section.min_support, section.margin, section.pairs, section.directions)
        try:
            hulls = tuple(
                TapHull(tap, self.poser.layer(section.model, tap), hull_of(values[tap], shape), own)
                for tap, own in slots.items()
            )
        except ValueError as error:
            self.source.fault(str(error), *path)
            return None
        if any(low > up for one in hulls for low, up in one.hull.bounds):
            self.source.fault(
                f"the hull is empty: with min_support {section.min_support}, some activation has no value that so many "
                "examples reach from both sides",
                *path,
            )
            return None
        inside = np.all([one.hull.inside(values[one.tap]) for one in hulls], axis=0)
        inhabited = any(inputs.contains(inputs.to_model(x.tolist())) for x in data.inputs[inside])
        return HullCondition(section, hulls, data.file, data.sha256, len(data.inputs), inhabited)

    def _slots(self, section: ActivationHull, path: YamlPath, scope: Scope) -> dict[str, tuple[int, ...]] | None:
        """The variables of every tap's activations."""
        if section.model not in self.poser.names:
            self.source.fault(
                f"{section.model!r} is no network{did_you_mean(section.model, self.poser.names)}", *path, "model"
            )
            return None
        text = section.on
        named = self.poser.inputs if self.poser.channels is None else self.poser.channels.named
        given = [one.name for one in named if not isinstance(one, AnswerSet)]
        if not text and len(given) > 1:
            names = ", ".join(given)
            self.source.fault(f"there are several inputs ({names}): say what {section.model} is called on", *path, "on")
            return None
        try:
            expression = parse_expression(text or given[0])
            value = compile_value(expression, scope)
            if not isinstance(value, Tensor):
                raise ExpressionFault("expected an input or an output with elements")
            terms = tuple(term for term in value.flat() if isinstance(term, (Linear, Extreme)))
            found = {}
            for tap in section.taps:
                layer = ast.Call(ast.Name(TAP), [ast.Name(section.model), ast.Name(tap)], [])
                node = ast.fix_missing_locations(ast.Call(layer, [expression.tree], []))
                called = self.poser.call(node, section.model, tap, [Argument(terms, expression.text, 0)])
                found[tap] = tuple(next(iter(term.y)) for term in called.flat())
            return found
        except ExpressionFault as fault:
            self.source.fault(fault.message, *path)
            return None

    def _data(self, section: ActivationHull, path: YamlPath) -> Examples | None:
        file = self.folder / section.data
        try:
            if file not in self._read:
                self._read[file] = read_examples(file)
        except ValueError as error:
            self.source.fault(str(error), *path, "data")
            return None
        data = self._read[file]
        if section.sha256 and data.sha256 != section.sha256:
            self.source.fault(f"{file} has the hash {data.sha256}: it is other data than meant", *path, "sha256")
            return None
        return data

    def _values(
        self, k: int, inputs: InputSet, data: Examples, slots: dict[str, tuple[int, ...]]
    ) -> dict[str, np.ndarray]:
        """Activations (examples, elements) of each tap in float64; data is in raw units."""
        posed = self.poser.posed([k], {slot for own in slots.values() for slot in own})
        mean, scale = (np.array([float(v) for v in part]) for part in (inputs.mean, inputs.scale))
        x = (data.inputs - mean) / scale
        assert posed.slots is not None
        assert not isinstance(posed.inputs, InputSet)
        consumed = np.empty((len(x), posed.n_inputs))
        consumed[:, list(posed.inputs.places[0])] = x
        y = evaluate_all(posed.graph, consumed)
        places = posed.slots
        return {tap: y[:, [places[slot] for slot in own]] for tap, own in slots.items()}
