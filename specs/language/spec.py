"""A specification read and compiled: one network, its inputs, and what has to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from specs.graph import Graph
from specs.property import ClaimClass, Requirement, Severity
from specs.sets import InputSet


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
    """Requirements on ``graph``. ``input_set`` is ``None`` for VNN-LIB queries, whose sets are part of the problem."""

    name: str
    file: Path
    model_file: Path | None
    graph: Graph
    requirements: tuple[Requirement, ...]
    description: str = ""
    input_set: InputSet | None = None
    output_names: tuple[str, ...] = ()
    engine: EngineOptions = EngineOptions()
    emit: tuple[str, ...] = ()
    require_class: Mapping[Severity, ClaimClass] = field(default_factory=lambda: MappingProxyType({}))
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def does_not_say(self) -> tuple[str, ...]:
        """What no verdict on this specification means, in words."""
        lines = ["anything about inputs outside the stated set, or how likely inputs inside it are"]
        if self.input_set is not None and self.input_set.label is not None:
            lines.append(f"that the label {self.input_set.label} of the example is right")
        if self.input_set is not None and self.input_set.is_normalized:
            lines.append("that the deployed system normalises its inputs as written here")
        lines += [f"anything about the network by {one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        return tuple(lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is legal and probably not meant."""
        found = [f"{self._where(one)}{one.id}: {one.vacuous}" for one in self.requirements if one.vacuous]
        if self.input_set is not None and self.input_set.is_point:
            found.append(f"the set of inputs is a single point: {self.input_set.name} has no freedom at all")
        return tuple(found)

    def describe(self) -> str:
        """The question in words: inputs, normalisation, requirements with their compiled size, warnings."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        if self.input_set is not None:
            lines.append(f"for all {self.input_set.describe()}")
            if self.input_set.is_normalized:
                lines.append(f"  the model consumes ({self.input_set.name} - mean) / range")
        for one in self.requirements:
            lines.append(f"{one.id} ({one.severity}) has to hold: {one.text}")
            lines += [f"  where {condition}" for condition in one.where]
            if one.slack:
                lines.append(f"  by at least {one.slack}")
            rows = sum(len(case.any_of) for case in one.problem.cases)
            lines.append(f"  compiled to {len(one.problem.cases)} case(s) with {rows} linear row(s)")
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _where(self, requirement: Requirement) -> str:
        return f"{self.file}:{requirement.line}: " if requirement.line else ""
