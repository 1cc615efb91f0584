"""A specification read and compiled: networks, their inputs, and what has to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from specs.assumption import Assumption
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.decimals import exact
from specs.language.gates import Gates
from specs.language.networks import Module
from specs.property import ClaimClass, Requirement, Severity
from specs.sets import InputSet
from specs.solved import Solved


@dataclass(frozen=True)
class EngineOptions:
    """What the specification asks of the engine; ``None`` and ``()`` leave the choice to it."""

    methods: tuple[str, ...] = ()
    seconds: float | None = None
    memory_mb: float | None = None
    seed: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Spec:
    """Requirements, each with its own problem.

    ``inputs`` is empty for VNN-LIB queries, whose sets are part of the problem. ``modules`` are the networks. Where
    they are ``composed``, every requirement has a network of its own made of them, and there is no ``model_file``.
    """

    name: str
    file: Path
    model_file: Path | None
    requirements: tuple[Requirement, ...]
    description: str = ""
    inputs: tuple[InputSet, ...] = ()
    modules: tuple[Module, ...] = ()
    composed: bool = False
    engine: EngineOptions = EngineOptions()
    emit: tuple[str, ...] = ()
    require_class: Mapping[Severity, ClaimClass] = field(default_factory=lambda: MappingProxyType({}))
    gates: Gates = field(default_factory=Gates)
    assumptions: tuple[Assumption, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def files(self) -> dict[str, Path]:
        """The files of the networks that are composed, by their kinds and names."""
        return {f"{module.kind} {module.name}": module.file for module in self.modules if self.composed}

    @property
    def does_not_say(self) -> tuple[str, ...]:
        """What no verdict on this specification means, in words."""
        lines = ["anything about inputs outside the stated set, or how likely inputs inside it are"]
        lines += [f"that the label {one.label} of the example is right" for one in self.inputs if one.label is not None]
        if any(one.is_normalized for one in self.inputs):
            lines.append("that the deployed system normalises its inputs as written here")
        judges = [module.name for module in self.modules if module.kind == "overseer"]
        if judges:
            lines.append(f"that the answers of {' and '.join(judges)} are right")
        lines += [f"anything about the network by {one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        return tuple(lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is legal and probably not meant."""
        found = [f"{self._where(one)}{one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        found += [
            f"the set of inputs is a single point: {one.name} has no freedom at all"
            for one in self.inputs
            if one.is_point
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
        lines += [f"assumes {one.id} ({one.kind}): {one.text}" for one in self.assumptions]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _described(self, one: Requirement) -> list[str]:
        lines = [f"{one.id} ({one.severity}) has to hold: {one.text}"]
        lines += [f"  where {condition}" for condition in one.where]
        if one.slack:
            lines.append(f"  by at least {one.slack}")
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
