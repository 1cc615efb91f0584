"""A specification read and compiled: networks, their inputs, and what has to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from specs.assumption import Assumption
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.gates import Gates
from specs.language.networks import Module
from specs.language.text.decimals import exact
from specs.property import Requirement
from specs.sets import InputSet
from specs.solved import Solved

if TYPE_CHECKING:  # they load what reads spec.yaml, which a VNN-LIB query does not need
    from specs.language.guards import GuardPlan
    from specs.language.inputs.hull_domain import HullCondition
    from specs.language.inputs.natural import NaturalSet
    from specs.language.monitors import MonitorPlan
    from specs.language.schema.adversary import Rounding


@dataclass(frozen=True)
class EngineOptions:
    """What the specification asks of the engine; ``None`` and ``()`` leave the choice to it."""

    methods: tuple[str, ...] = ()
    seconds: float | None = None
    memory_mb: float | None = None
    seed: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Extrapolate:
    """How the extrapolation of a relaxed attack is made; ``loss`` None leaves it to the engine.

    ``data`` is an .npz file of raw inputs on which it has to agree with the network.
    """

    minimal: bool = False
    loss: float | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Spec:
    """Requirements, each with its own problem.

    ``inputs`` is empty for VNN-LIB queries, whose sets are part of the problem. ``modules`` are the networks. Where
    they are ``composed``, every requirement has a network of its own made of them, and there is no ``model_file``.
    ``hulls`` restrict requirements, by their ids, to what data has exercised; ``naturals`` what inputs may write; the
    ``monitor`` and the ``guard`` are to be exported. ``rounding`` asks for inputs that do what a latent attack does.
    """

    name: str
    file: Path
    model_file: Path | None
    requirements: tuple[Requirement, ...]
    description: str = ""
    inputs: tuple[InputSet, ...] = ()
    modules: tuple[Module, ...] = ()
    composed: bool = False
    hulls: Mapping[str, tuple[HullCondition, ...]] = field(default_factory=lambda: MappingProxyType({}))
    naturals: tuple[NaturalSet, ...] = ()
    calibrated: bool = False
    rounding: Rounding | None = None
    monitor: MonitorPlan | None = None
    guard: GuardPlan | None = None
    engine: EngineOptions = EngineOptions()
    emit: tuple[str, ...] = ()
    extrapolate: Extrapolate | None = None
    gates: Gates = field(default_factory=Gates)
    assumptions: tuple[Assumption, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def files(self) -> dict[str, Path]:
        """The files of the networks that are composed, by their kinds and names, and of the data behind hulls."""
        networks = {f"{module.kind} {module.name}": module.file for module in self.modules if self.composed}
        data = [(one.section.data, one.file) for own in self.hulls.values() for one in own]
        data += [(one.file.name, one.file) for one in self.naturals if one.file is not None]
        data += [(one.held_out.file.name, one.held_out.file) for one in self.naturals if one.held_out is not None]
        return networks | {f"data {name}": file for name, file in data}

    @property
    def tables(self) -> tuple[str, ...]:
        """The answer tables, as they are called among the files."""
        return tuple(f"{module.kind} {module.name}" for module in self.modules if module.is_table)

    @property
    def listings(self) -> dict[str, str]:
        """The text of every explicit core, by the name of its overseer."""
        return {module.name: module.listing for module in self.modules if module.listing}

    @property
    def does_not_say(self) -> tuple[str, ...]:
        """What no verdict on this specification means, in words."""
        lines = ["anything about inputs outside the stated set, or how likely inputs inside it are"]
        lines += [f"that the label {one.label} of the example is right" for one in self.inputs if one.label is not None]
        lines += [
            f"that the labels of the examples {one.name} are right" for one in self.inputs if len(set(one.labels)) > 1
        ]
        if any(one.is_normalized for one in self.inputs):
            lines.append("that the deployed system normalises its inputs as written here")
        lines += [
            f"anything about the overseer {one.stands_for} itself: {one.name} is a surrogate, learned from some answers"
            for one in self.modules
            if one.stands_for
        ]
        judges = [one.name for one in self.modules if one.kind == "overseer" and not one.stands_for]
        if judges:
            lines.append(f"that the answers of {' and '.join(judges)} are right")
        lines += [silence for module in self.modules for silence in module.silences]
        lines += [
            f"anything about states of {one.injection.layer} outside the hull of {one.file.name}"
            for one in self.naturals
            if one.file is not None
        ]
        if self.calibrated:
            lines.append("how strong the adversary is: certify power measures that")
        lines += [f"anything about the network by {one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        return tuple(lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is legal and probably not meant."""
        found = [f"{self._where(one)}{one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        found += [
            f"{self._where(one)}{one.id}: none of the {hull.points} examples of {hull.file.name} is both in the set of "
            "inputs and in the hull: there may be no input that it is about"
            for one in self.requirements
            for hull in self.hulls.get(one.id, ())
            if not hull.inhabited
        ]
        found += [
            f"the set of inputs is a single point: {one.name} has no freedom at all"
            for one in self.inputs
            if one.is_point and not any(other.role for other in self.inputs)
        ]
        return tuple(found)

    def describe(self) -> str:
        """The question in words: networks, inputs, normalisation, requirements with their compiled size, warnings."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        if self.composed:
            lines += [f"{module.kind} {module.describe()}" for module in self.modules]
        for one in self.inputs:
            lines.append(f"for all {one.describe()}")
            if one.is_normalized:
                lines.append(
                    f"  {'networks consume' if self.composed else 'the model consumes'} ({one.name} - mean) / range"
                )
        for requirement in self.requirements:
            lines += self._described(requirement)
        if self.rounding is not None:
            lines.append(
                "where what is written into a layer violates one, an input is looked for that does so by itself"
            )
        lines += [f"assumes {one.id} ({one.kind}): {one.text}" for one in self.assumptions]
        lines += [self.guard.describe()] if self.guard is not None else []
        lines += self.gates.describe()
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _described(self, one: Requirement) -> list[str]:
        lines = [f"{one.id} ({one.severity}) has to hold: {one.text}"]
        lines += [f"  where {condition}" for condition in one.where]
        if one.slack:
            lines.append(f"  by at least {one.slack}")
        if one.expands:
            lines.append(f"  stronger than {one.expands}; it counts as a catastrophe, too, {one.counts}")
        if one.solved is not None:
            lines += solved_in_words(one.solved)
        if self.composed and one.inputs is not None:
            lines += composed_in_words(one.problem.graph, one.inputs, one.output_names)
        rows = sum(len(case.any_of) for case in one.problem.cases)
        return [*lines, f"  compiled to {len(one.problem.cases)} case(s) with {rows} linear row(s)"]

    def _where(self, requirement: Requirement) -> str:
        return f"{self.file}:{requirement.line}: " if requirement.line else ""


def composed_in_words(graph: Graph, inputs: InputSet | JointSet, outputs: Sequence[str]) -> list[str]:
    """What is quantified over, what is read of it, and what the network between them consists of."""
    free = graph.input_size
    equal = f" ({inputs.size - free} of {inputs.size} elements equal others)" if inputs.size > free else ""
    lines = [f"  for all {inputs.name} together: {free} free numbers{equal}"]
    if outputs:
        more = f" and {len(outputs) - _SHOWN} more" if len(outputs) > _SHOWN else ""
        lines.append(f"  reads {', '.join(outputs[:_SHOWN])}{more}")
    kinds = Counter(type(node.op).__name__ for node in graph.nodes)
    layers = [f"{count} {kind}" for kind, count in kinds.items() if kind in _TOLD]
    lines.append(f"  one network of {len(graph.nodes)} nodes{': ' if layers else ''}{', '.join(layers)}")
    return lines


def solved_in_words(solved: Solved) -> list[str]:
    """Which value is looked for, and what larger ones do."""
    if solved.given:
        return [f"  with {solved.name} = {exact(solved.value)}, as given"]
    which = "largest" if solved.maximize else "smallest"
    ends = f"[{exact(solved.lower)}, {'...' if solved.upper is None else exact(solved.upper)}]"
    if solved.effect == "unknown":
        order = "whether it holds for values beside those tried does not follow from its form"
    else:
        order = f"a larger {solved.name} only makes it {solved.effect}"
    return [f"  for the {which} {solved.name} in {ends}, within {exact(solved.resolution)}: {order}"]


_SHOWN = 8
_TOLD = ("MatMul", "Conv", "ConvTranspose", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Sign", "MaxPool", "Abs")
