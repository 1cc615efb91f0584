"""The schema of `engine.relaxed_checker`: a network that judges states in the place of a program that judges inputs."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from specs.language.schema.file import Engine
from specs.language.schema.inputs import BoxSet
from specs.language.schema.values import Number, Section


def _level(value: Fraction) -> Fraction:
    if not 0 <= value < 1:
        raise PydanticCustomError("level", "expected a number from 0 and below 1")
    return value


Level = Annotated[Number, AfterValidator(_level)]


class RelaxedChecker(Section):
    """Who judges states, which an adversary draws, for rates of what a program says of inputs."""

    network: str = Field(description="An .onnx file of a network of the state; what counts is its first output.")
    sees: str = Field(description='The state of an input, as in "tap(heater, state)(x)".')
    states: BoxSet = Field(description="The box from which the adversary draws states.")
    level: Level = Field(default=Fraction(1, 2), description="Above which number a state counts as dangerous.")


class SamplingEngine(Engine):
    """How to look for the answer, with what only sampling knows."""

    relaxed_checker: RelaxedChecker | None = Field(  # type: ignore[assignment]
        default=None, description="Who judges the states of an adversary."
    )
