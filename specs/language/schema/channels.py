"""The schema of channels in front of a model, and of what stands in place of an input that is abstracted."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.language.schema.values import WRITTEN, Count, NotEmpty, NotNegative, Number, NumberOrList, Section


def _levels(value: object) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2:
        return value
    raise PydanticCustomError("levels", "expected a whole number of at least 2")


def _quantize(value: object) -> object:
    return value if isinstance(value, dict) else {"levels": value}


def _smoothing(value: object) -> None:
    raise PydanticCustomError(
        "smoothing",
        "random channels are not supported in a specification: of the majority vote under Gaussian noise there are "
        "statements of probability, by verifier.smoothing.radius.certify_radius in Python; `noise` is the worst case "
        "over all that a channel can add, where that is bounded",
    )


Levels = Annotated[
    Any, PlainValidator(_levels), WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 2}, WRITTEN]})
]


class Quantize(Section):
    """Every raw element is rounded to the nearest of evenly spaced levels, what is half way between two up."""

    levels: Levels = Field(description="How many levels, both ends of the range among them.")
    lo: NumberOrList = Field(
        default=None, description="The lowest level, one or one per element; `lo` of the input's box when absent."
    )
    hi: NumberOrList = Field(default=None, description="The highest level; `hi` of the input's box when absent.")


def _kind(value: object) -> str:
    return "levels" if isinstance(value, int) else "options"


Quantization = Annotated[
    Annotated[Levels, Tag("levels")] | Annotated[Quantize, Tag("options")],
    Discriminator(_kind),
    BeforeValidator(_quantize),
]
"""A number of levels is read as options with that number."""


class Drop(Section):
    """Elements that the model never sees."""

    indices: Annotated[tuple[Count, ...], NotEmpty] = Field(description="Which ones, by their flat numbers from 0.")
    value: Number = Field(default=Fraction(0), description="What stands there instead, in raw units.")


class Front(Section):
    """A channel in front of a model: what is called on x is given what the channel makes of x."""

    quantize: Quantization | None = Field(default=None, description="Rounding to levels: how many, or a mapping.")
    noise: NotNegative | None = Field(
        default=None, description="What the adversary may add to each raw element, at most, up or down."
    )
    drop: Drop | None = Field(default=None, description="Elements that are replaced by a constant.")
    project: str = Field(
        default="", description="An .npy file, relative to this one, with a matrix that what comes in is multiplied by."
    )
    network: str = Field(default="", description="A model file, relative to this one, that what comes in goes through.")
    gaussian: Annotated[None, BeforeValidator(_smoothing), WithJsonSchema({"not": {}})] = None


class OutcomeBox(Section):
    """Bounds on what an abstraction gives."""

    lo: NumberOrList = Field(description="Lower bound: one number, or one per element.")
    hi: NumberOrList = Field(description="Upper bound: one number, or one per element.")


class AbstractBy(Section):
    """Networks called on the input are given what a network makes of it, or anything else within bounds on that."""

    network: str = Field(description="A model file, relative to this one: from the input to a few numbers.")
    hull: Literal["box", "octagon"] = Field(default="box", description="The kind of bounds that are found.")
    box: OutcomeBox | None = Field(default=None, description="Bounds that are given instead.")
