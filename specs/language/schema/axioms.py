"""The schema of a spec.yaml about an overseer of which only axioms and answers are known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.language.schema.file import Budget, Model
from specs.language.schema.gate import Gate
from specs.language.schema.inputs import Input
from specs.language.schema.values import Count, Id, Name, NotEmpty, NotYet, Positive, Section, Version
from specs.property import Severity

Stop = Literal["certified", "attack", "budget"]


class AskBudget(Section):
    """What may be asked."""

    queries: Count = Field(description="Most questions, all runs on one ledger together.")
    seconds: Positive | None = Field(default=None, description="Most seconds of the overseer's time.")


class AxiomOverseer(Section):
    """A function that can be asked, and what is known of it besides its answers."""

    python: str = Field(
        description='Who answers, as in "lab.py:measure": a function of one vector, asked in a process.'
    )
    budget: AskBudget = Field(description="What may be asked.")
    axioms: Annotated[tuple[str, ...], NotEmpty] = Field(description="What holds at all points.")
    isolation: Literal["subprocess"] = Field(default="subprocess", description="It always is asked in a process.")
    deterministic: Literal[True] = Field(default=True, description="It answers a question in one way.")
    cache: NotYet = None


class AxiomRequirement(Section):
    """Something that has to hold for every input and every function that fits."""

    id: Id = Field(description="Name of the requirement in reports.")
    severity: Severity = Field(default="malign", description="How bad a violation is.")
    assert_: str = Field(alias="assert", description="g(x) >= c, or g(target(x)) >= c; also with >.")


class FirstOrder(Section):
    """First-order mode."""

    solver: Literal["z3"] = Field(default="z3", description="Who looks for models.")
    loop: Literal["query-the-attack"] = Field(default="query-the-attack", description="What is asked next.")
    stop: tuple[Stop, ...] = Field(default=("certified", "attack", "budget"), description="When it ends: at any.")


class FirstOrderMethod(Section):
    """The only method here."""

    fol: FirstOrder = Field(default_factory=FirstOrder, description="First-order mode.")


def _methods(value: object) -> object:
    entries = value if isinstance(value, list) else [value]
    if entries == ["fol"]:
        return {}
    if len(entries) == 1 and isinstance(entries[0], dict):
        return entries[0]
    raise PydanticCustomError("methods", "the method for axioms is fol, as in [{fol: {solver: z3}}]")


_AS_WRITTEN = {"type": "array", "items": {"anyOf": [{"const": "fol"}, {"$ref": "#/$defs/FirstOrderMethod"}]}}


class AxiomEngine(Section):
    """How to look for the answer."""

    methods: Annotated[FirstOrderMethod, BeforeValidator(_methods), WithJsonSchema(_AS_WRITTEN)] = Field(
        default_factory=FirstOrderMethod, description="First-order mode, with its options."
    )
    budget: Budget = Field(default_factory=Budget, description="Limits.")
    seed: Count | None = Field(default=None, description="Seed of everything random.")
    workers: Count | None = Field(default=None, description="Number of processes.")


class AxiomFile(Section):
    """One question about an overseer that is known by axioms."""

    certify: Version = Field(description="Version of this language.")
    name: str = Field(description="Name of the specification.")
    description: str = Field(default="", description="What it is about, in words.")
    models: dict[Name, Model] = Field(default={}, description="At most one network, whose outputs are judged.")
    overseers: Annotated[dict[Name, AxiomOverseer], NotEmpty] = Field(description="The overseer.")
    inputs: Annotated[dict[Name, Input], NotEmpty] = Field(description="The input, a box.")
    require: Annotated[tuple[AxiomRequirement, ...], NotEmpty] = Field(description="What has to hold.")
    engine: AxiomEngine = Field(default_factory=AxiomEngine, description="How to look for the answer.")
    emit: tuple[Literal["report", "certificate", "attack", "relaxed-attack", "ledger", "baseline"], ...] = Field(
        default=(), description="What to write; all of it always is."
    )
    gate: Gate = Field(default_factory=Gate, description="What a run has to reach.")
