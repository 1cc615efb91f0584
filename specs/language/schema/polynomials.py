"""The schema of a spec.yaml that names no model: a question about polynomials."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.language.schema.file import Budget, Emitted, SolveFor
from specs.language.schema.gate import Gate
from specs.language.schema.inputs import Input
from specs.language.schema.values import (
    Conditions,
    Count,
    Id,
    Name,
    NotEmpty,
    NotYet,
    Positive,
    Range,
    Section,
    Version,
)
from specs.language.text.suggest import did_you_mean
from specs.property import ClaimClass, Severity


def _even(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value in range(2, 41, 2):
        return value
    raise PydanticCustomError("even", "expected an even number from 2 to 40, found {value}", {"value": repr(value)})


METHODS = {"sample": ("starts",), "sos": ("degree", "solver", "round", "multiplier")}


def _methods(value: object) -> object:
    """Names alone, or one name with options, as in ``[sample, {sos: {degree: 4}}]``."""
    entries = [value] if isinstance(value, (str, dict)) else value
    if not isinstance(entries, list):
        raise PydanticCustomError("methods", "expected a list such as [sample, sos]")
    found: dict[str, object] = {}
    for entry in entries:
        named = {entry: {}} if isinstance(entry, str) else entry
        if not isinstance(named, dict) or len(named) != 1 or not set(named) <= set(METHODS):
            told = {"what": repr(entry)}
            raise PydanticCustomError("methods", "methods for polynomials are sample and sos, found {what}", told)
        ((name, options),) = named.items()
        wrong = [key for key in options if key not in METHODS[name]] if isinstance(options, dict) else []
        if wrong:
            told = {"name": name, "key": repr(wrong[0]), "hint": did_you_mean(str(wrong[0]), METHODS[name])}
            raise PydanticCustomError("methods", "{name}: unknown key {key}{hint}", told)
        found |= named
    return found


class PolynomialSolveFor(SolveFor):
    """A parameter of the assertion, and in which direction it is wanted."""

    range: Range = Field(description="Where to look: [lowest, highest].")


class PolynomialRequirement(Section):
    """Something that has to hold for every input."""

    id: Id = Field(description="Name of the requirement in reports.")
    severity: Severity = Field(default="malign", description="How bad a violation is.")
    assert_: str = Field(alias="assert", description="The condition that has to hold.")
    where: Conditions = Field(default=(), description="Further conditions under which it has to hold.")
    solve_for: dict[Name, PolynomialSolveFor] = Field(default={}, description="A parameter to be found, at most one.")
    accept_class: ClaimClass = Field(default="sound", description="Weakest class of claim that counts; all are exact.")
    slack: NotYet = None
    over: NotYet = None
    statistical: NotYet = None
    methods: NotYet = None
    adversarial: NotYet = None


class Sample(Section):
    """Looking for a violation by local search from many points."""

    starts: Count = Field(default=12, description="How many starting points.")


class SumOfSquares(Section):
    """Proofs by sums of squares."""

    degree: Annotated[int, PlainValidator(_even)] = Field(
        default=4, description="Degree of the identity, if it suffices."
    )
    solver: Literal["clarabel", "scs"] = Field(default="clarabel", description="The solver tried first.")
    round: Literal["exact-rational"] = Field(default="exact-rational", description="How proofs become exact.")
    multiplier: Literal["any", "origin-vanishing"] = Field(
        default="any", description="Which positive factors to try: all, or only those that vanish at the origin."
    )


class Methods(Section):
    """Which methods to use; both when absent. In the list each stands by its name, or alone with its options."""

    sample: Sample | None = Field(default=None, description="Looking for a violation.")
    sos: SumOfSquares | None = Field(default=None, description="Proofs.")


_AS_WRITTEN = {"type": "array", "items": {"anyOf": [{"enum": list(METHODS)}, {"$ref": "#/$defs/Methods"}]}}


class ExtractAttack(Section):
    """What is done with the pseudo-distribution when there is no proof."""

    moments: bool = Field(default=True, description="Report its moments.")
    flat_tolerance: Positive = Field(
        default=Fraction(1, 10_000), description="Singular values below this share count as 0."
    )


class PolynomialEngine(Section):
    """How to look for the answer. Nothing here can make an answer wrong."""

    methods: Annotated[Methods, BeforeValidator(_methods), WithJsonSchema(_AS_WRITTEN)] = Field(
        default_factory=lambda: Methods(sample=Sample(), sos=SumOfSquares()), description="Methods to use."
    )
    extract_attack: ExtractAttack = Field(default_factory=ExtractAttack, description="What to report of one.")
    budget: Budget = Field(default_factory=Budget, description="Limits.")
    seed: Count | None = Field(default=None, description="Seed of everything random.")
    workers: Count | None = Field(default=None, description="Unused: one process does it all.")


class PolynomialFile(Section):
    """One question about polynomials."""

    certify: Version = Field(description="Version of this language.")
    name: str = Field(description="Name of the specification.")
    description: str = Field(default="", description="What it is about, in words.")
    inputs: dict[Name, Input] = Field(description="The variables, by the name that expressions use.")
    let: dict[Name, str] = Field(default={}, description="Names for expressions, each may use those before it.")
    require: Annotated[tuple[PolynomialRequirement, ...], NotEmpty] = Field(description="What has to hold.")
    engine: PolynomialEngine = Field(default_factory=PolynomialEngine, description="How to look for the answer.")
    emit: tuple[Emitted, ...] = Field(default=(), description="As with models.")
    gate: Gate = Field(default_factory=Gate, description="What a run has to reach.")
