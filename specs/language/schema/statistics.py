"""The schema of what a spec.yaml says about probabilities: laws of inputs, programs to ask, bounds on rates."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from specs.language.schema.file import Model, Overseer
from specs.language.schema.gate import Gate
from specs.language.schema.inputs import Input
from specs.language.schema.relaxed_checker import SamplingEngine
from specs.language.schema.values import (
    AtLeastOne,
    Count,
    Id,
    Name,
    NotEmpty,
    NotNegative,
    NotYet,
    Number,
    Positive,
    Section,
    Version,
    texts,
)
from specs.property import ClaimClass, Severity


def _between(value: Fraction) -> Fraction:
    if not 0 < value < 1:
        raise PydanticCustomError("between", "expected a number between 0 and 1")
    return value


Share = Annotated[Number, AfterValidator(_between)]


def _at_least_one(value: Fraction) -> Fraction:
    if value < 1:
        raise PydanticCustomError("factor", "expected a number from 1: no law is dominated with less")
    return value


Factor = Annotated[Number, AfterValidator(_at_least_one)]


class QueryBudget(Section):
    """What may be asked, all runs on one ledger together. It is never exceeded."""

    queries: Count = Field(description="Most questions.")
    seconds: Positive | None = Field(default=None, description="Most seconds of the overseer's time.")
    unit_cost: NotNegative = Field(default=Fraction(0), description="What a question costs, in any unit.")
    cost: NotNegative | None = Field(default=None, description="Most that all questions together may cost.")
    timeout: Positive = Field(default=Fraction(60), description="Most seconds for one question.")


class PythonOverseer(Section):
    """A program of which nothing is known but its answers."""

    python: str = Field(description='Who answers, as in "panel.py:judge": a function of vectors, asked in a process.')
    budget: QueryBudget = Field(description="What may be asked.")
    deterministic: bool = Field(default=True, description="Whether it answers a question in one way only.")
    isolation: Literal["subprocess"] = Field(default="subprocess", description="It always is asked in a process.")
    cache: str = Field(
        default="",
        description="Where its ledger is kept, relative to this file, instead of in the folder of `--out`: one budget "
        "for all folders.",
    )


class Sampler(Section):
    """How inputs are drawn."""

    uniform: Literal[True] | None = Field(default=None, description="Uniform on the box of the input.")
    rows: str = Field(default="", description="Instead: the examples of an .npz file, each as likely.")


class Law(Section):
    """A law of an input."""

    of: Name = Field(description="The input.")
    sampler: Sampler = Field(description="How it is drawn.")


class Distribution(Section):
    """An entry under `inputs` that is no input, but a law of one."""

    distribution: Law = Field(description="The law.")


class Statistical(Section):
    """The probability of an event is at most a rate, with a confidence."""

    event: str = Field(description='What is to be rare, as in "panel(x, y) < 0".')
    distribution: Annotated[tuple[str, ...], BeforeValidator(texts), NotEmpty] = Field(
        description="The law of the input: its name under `inputs`, or an .npz file of examples. For several inputs, a "
        "list of uniform laws, one of each: they are drawn independently."
    )
    max_rate: Share = Field(description="The largest probability that is accepted.")
    confidence: Share = Field(default=Fraction(999, 1000), description="The confidence of the bound.")
    queries: AtLeastOne = Field(default=2000, description="How many inputs are drawn.")
    method: Literal["clopper-pearson", "betting"] = Field(
        default="clopper-pearson", description="The bound; betting may end early and after any number."
    )
    nature: str = Field(
        default="", description="The law that is meant, in words, if inputs are drawn by an adversary with a kappa."
    )
    sides: Literal["upper", "both"] = Field(
        default="upper", description="Whether the probability is bounded from below, too: only then it can be violated."
    )
    given: str = Field(
        default="",
        description="A requirement that proves a least value of the surrogate that the event compares with: then the "
        "rate of answers below 0 is bounded, too.",
    )


class Dominating(Section):
    """An adversary that draws inputs, and what it is to nature."""

    kappa: Factor = Field(
        description="Nature brings about nothing more than this many times as often as the adversary's draws."
    )
    moves: tuple[Literal["input"], ...] = Field(default=(), description="What it has: inputs to choose.")


class StatisticalRequirement(Section):
    """Something that has to be rare."""

    id: Id = Field(description="Name of the requirement in reports.")
    severity: Severity = Field(default="malign", description="How bad a violation is.")
    statistical: Statistical = Field(description="The event, its law, and the bound.")
    accept_class: ClaimClass | None = Field(
        default=None, description="Weakest class of claim that counts; one that is malign has to say `statistical`."
    )
    methods: NotYet = None
    adversarial: NotYet = None


def _kind_of_overseer(value: object) -> str:
    is_program = isinstance(value, PythonOverseer) or (isinstance(value, dict) and "python" in value)
    return "a program" if is_program else "graph"


def _kind_of_input(value: object) -> str:
    is_law = isinstance(value, Distribution) or (isinstance(value, dict) and "distribution" in value)
    return "law" if is_law else "input"


AnyOverseer = Annotated[
    Annotated[PythonOverseer, Tag("a program")] | Annotated[Overseer, Tag("graph")], Discriminator(_kind_of_overseer)
]
AnyInput = Annotated[
    Annotated[Distribution, Tag("law")] | Annotated[Input, Tag("input")], Discriminator(_kind_of_input)
]


class StatisticalFile(Section):
    """What a spec.yaml says about probabilities, and what that needs."""

    certify: Version = Field(description="Version of this language.")
    name: str = Field(description="Name of the specification.")
    description: str = Field(default="", description="What it is about, in words.")
    models: dict[Name, Model] = Field(default={}, description="The networks.")
    overseers: dict[Name, AnyOverseer] = Field(default={}, description="Networks and programs that judge.")
    inputs: Annotated[dict[Name, AnyInput], NotEmpty] = Field(description="Inputs, and laws of inputs.")
    let: dict[Name, str] = Field(default={}, description="Names for expressions.")
    require: Annotated[tuple[StatisticalRequirement, ...], NotEmpty] = Field(description="What has to be rare.")
    adversary: Dominating | None = Field(default=None, description="Who draws, if not nature.")
    engine: SamplingEngine = Field(default_factory=SamplingEngine, description="Limits, and the seed of the draws.")
    emit: tuple[Any, ...] = Field(default=(), description="What to write; all of it always is.")
    gate: Gate = Field(default_factory=Gate, description="What a run has to reach.")
