"""The schema of a spec.yaml about a chain of models, each trained to do what the one before does, amplified."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from specs.language.schema.file import Engine, Symbolic
from specs.language.schema.gate import Gate
from specs.language.schema.inputs import BoxSet, Input
from specs.language.schema.values import Id, Name, NotEmpty, NotYet, Positive, Section, Version
from specs.property import Severity


class ChainCore(Section):
    """The core that is trusted: an explicit simple one."""

    symbolic: Symbolic = Field(description="A traced core.")


class Questions(Section):
    """What a step's model may be asked."""

    shape: tuple[Positive, ...] = Field(description="Shape of a question.")
    box: BoxSet = Field(description="Bounds.")


class Step(Section):
    """One round: the model before, amplified, and the model that is to do the same at once."""

    id: Name = Field(description="Name of the model, as later steps call it.")
    questions: Questions = Field(description="The questions that the step is about.")
    amplify: str = Field(description="What the model has to compute: the core, and models of steps before, combined.")
    model: str = Field(description="Model file, relative to this one.")
    tol: Positive = Field(description="How far the model may stray from that, in any output.")
    distill: NotYet = None


class ChainRequirement(Section):
    """Something else that has to hold of the models, for every question of the last step."""

    id: Id = Field(description="Name of the requirement in reports.")
    severity: Severity = Field(default="malign", description="How bad a violation is.")
    assert_: str = Field(alias="assert", description="The condition that has to hold.")
    solve_for: NotYet = None


class Chain(Section):
    """Steps, and how their errors are composed."""

    core: Name = Field(description="The overseer that is trusted.")
    combine: Name | None = Field(default=None, description="The overseer that combines answers: the core.")
    steps: Annotated[tuple[Step, ...], NotEmpty] = Field(description="The rounds, each may call the models before.")
    compose: tuple[Literal["lipschitz", "joint"], ...] = Field(
        default=("lipschitz",), description="lipschitz: errors add up step by step; joint: the last one at once, too."
    )
    domain_check: Literal[True] = Field(default=True, description="Sub-questions have to be ones the model is for.")


class ChainFile(Section):
    """One chain."""

    certify: Version = Field(description="Version of this language.")
    name: str = Field(description="Name of the specification.")
    description: str = Field(default="", description="What it is about, in words.")
    overseers: Annotated[dict[Name, ChainCore], NotEmpty] = Field(description="The core.")
    inputs: Annotated[dict[Name, Input], NotEmpty] = Field(description="The questions at the end of the chain.")
    chain: Chain = Field(description="The chain.")
    require: tuple[ChainRequirement, ...] = Field(default=(), description="What has to hold besides, of the models.")
    engine: Engine = Field(default_factory=Engine, description="How to look for proofs.")
    emit: tuple[Any, ...] = Field(default=(), description="What to write; all of it always is.")
    gate: Gate = Field(default_factory=Gate, description="What a run has to reach.")
    let: NotYet = None
