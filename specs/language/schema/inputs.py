"""The schema of what stands under inputs in spec.yaml: sets, data, and what is written into a layer."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.language.schema.channels import AbstractBy
from specs.language.schema.values import (
    AtLeastOne,
    Conditions,
    Count,
    Name,
    Norm,
    NotNegative,
    NotYet,
    NumberOrList,
    Positive,
    Section,
    Share,
    Texts,
    numbers,
)
from specs.language.text.yaml_tree import parse_number

DATA_MIN, DATA_MAX = "data-min", "data-max"
"""Ends of a box that are those of data."""


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _image_of(value: object) -> None:
    raise PydanticCustomError(
        "image_of",
        "the image of a generator is written as a call: make z the input, say target(gen(z)) or give gen(z) a name "
        "under `let`, and put conditions on it under `where`",
    )


class Normalize(Section):
    """The model consumes (raw - mean) / range. Sets are stated in raw units."""

    mean: NumberOrList = Field(default=Fraction(0), description="One number, or one per element.")
    range: NumberOrList = Field(default=None, description="Divisor: one number, or one per element.")
    std: NumberOrList = Field(default=None, description="Another name for `range`.")


class BoxSet(Section):
    """Every element between two bounds, both included."""

    lo: NumberOrList = Field(description="Lower bound: one number, or one per element.")
    hi: NumberOrList = Field(description="Upper bound: one number, or one per element.")


def _least(value: object) -> Any:
    return value if value == DATA_MIN else numbers(value)


def _greatest(value: object) -> Any:
    return value if value == DATA_MAX else numbers(value)


_END = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "array", "items": {}}]})
Least = Annotated[Any, PlainValidator(_least), _END]
Greatest = Annotated[Any, PlainValidator(_greatest), _END]


class InputBox(Section):
    """Every element between two bounds, both included."""

    lo: Least = Field(
        description="Lower bound: one number, one per element, or data-min, the least value that each has in `data`."
    )
    hi: Greatest = Field(
        description="Upper bound: one number, one per element, or data-max, the greatest value that each has in `data`."
    )
    data: str = Field(default="", description="An .npz or .npy file of inputs in raw units, relative to this one.")


class DatasetRow(Section):
    """An example of a data set."""

    dataset: str = Field(description="An .npz file, relative to this one, with inputs and labels.")
    index: Count = Field(description="Which example, from 0.")


def _kind_of_center(value: object) -> str:
    return "row" if isinstance(value, dict) else "values"


Center = Annotated[
    Annotated[NumberOrList, Tag("values")] | Annotated[DatasetRow, Tag("row")], Discriminator(_kind_of_center)
]


class Ball(Section):
    """Points within a distance of a centre, in raw units."""

    norm: Norm = Field(description="The norm of the distance: inf is the largest difference, 1 their sum, 2 Euclidean.")
    eps: NotNegative = Field(description="The radius, included.")
    center: Center | None = Field(
        default=None,
        description="The centre: one number, a list, or an example of a data set; 0 of what is written into a layer.",
    )


class DatasetRows(Section):
    """Examples of a data set: those named, the first ones, or all."""

    dataset: str = Field(description="An .npz file, relative to this one, with inputs and labels.")
    index: Annotated[tuple[Count, ...], BeforeValidator(_several)] = Field(
        default=(), description="Which examples, from 0: one or a list."
    )
    take: Count | None = Field(default=None, description="How many, from the first on.")


class Inject(Section):
    """The input is no argument of a call: it is written into a layer of a model, wherever that is called."""

    model: Name = Field(description="The model; a second name for its file is a model that is left alone.")
    at: str = Field(description="The layer, by its name under `taps`, in its file, or by number, as in relu2.")
    mode: Literal["add", "replace"] = Field(
        default="add", description="Whether it is added to what the layer holds, or stands in its place."
    )
    units: AtLeastOne | None = Field(default=None, description="How many values it may change; all when absent.")


class Gaussian(Section):
    """A level set of the Gaussian with the mean and the covariance of the data."""

    gaussian: Share = Field(description="The share of the data that it has to hold.")


def _hull(value: object) -> object:
    """``gaussian(0.95)`` is another way to write {gaussian: 0.95}."""
    found = re.fullmatch(r"gaussian\((.*)\)", value.strip()) if isinstance(value, str) else None
    number = parse_number(found[1]) if found else None
    return value if number is None else {"gaussian": number}


def _kind_of_hull(value: object) -> str:
    return "options" if isinstance(value, (dict, Gaussian)) else "name"


_NAMED = {"anyOf": [{"enum": ["box", "octagon", "polytope"]}, {"type": "string", "pattern": r"^gaussian\(.+\)$"}]}
HullOfData = Annotated[
    Annotated[Literal["box", "octagon", "polytope"], WithJsonSchema(_NAMED), Tag("name")]
    | Annotated[Gaussian, Tag("options")],
    Discriminator(_kind_of_hull),
    BeforeValidator(_hull),
]


class Natural(Section):
    """Where the layer has to stay, what is written included: in a hull of data, or in what can be reached at all."""

    data: str = Field(default="", description="An .npz or .npy file of inputs in raw units, relative to this one.")
    hull: HullOfData = Field(
        default="box",
        description="The kind of hull of the data; gaussian(0.95) is an ellipsoid with that share of the data in it.",
    )
    min_support: AtLeastOne = Field(
        default=1, description="How many examples have to reach a bound: 1 leaves no example out."
    )
    margin: NotNegative = Field(
        default=Fraction(0), description="Share of its width by which the hull is widened on each side."
    )
    pairs: Count | None = Field(default=None, description="Of an octagon: how many pairs of activations.")
    directions: Count | None = Field(default=None, description="Of a polytope: directions besides the axes; 16.")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="Expected hash of the data file.")
    held_out: str = Field(
        default="", description="Data of the same kind to measure what share of it is natural, relative to this file."
    )
    reachable: Literal["", "box", "octagon"] = Field(
        default="", description="Instead of data: bounds on what the layer holds for any input, proved one by one."
    )


def _points(value: object) -> Any:
    if not isinstance(value, list) or not value:
        raise PydanticCustomError("points", "expected a list of points, or {dataset: FILE.npz}")
    return tuple(numbers(part) for part in value)


Points = Annotated[
    Annotated[Any, PlainValidator(_points), WithJsonSchema({"type": "array", "items": {}}), Tag("values")]
    | Annotated[DatasetRows, Tag("row")],
    Discriminator(_kind_of_center),
]


class Input(Section):
    """What a network may be given. All sets under an input intersect."""

    shape: tuple[Positive, ...] = Field(description="Shape of the input; as many elements as the model takes.")
    names: tuple[Name, ...] = Field(default=(), description="Names of the elements, for x.NAME.")
    units: Texts = Field(default=(), description="Units of the elements, for reports: one, or one per element.")
    normalize: Normalize | None = Field(default=None, description="How raw values become what the model consumes.")
    box: InputBox | None = Field(default=None, description="Bounds.")
    ball: Ball | None = Field(default=None, description="A ball.")
    linear: Conditions = Field(
        default=(),
        description='Conditions on the input, such as "x.debt <= 5 * x.income". They may name other inputs, too.',
    )
    points: Points | None = Field(
        default=None, description="A finite set: a list of points, or examples as in {dataset: test.npz, take: 50}."
    )
    inject: Inject | None = Field(default=None, description="A layer of a model that the input is written into.")
    natural: Natural | None = Field(default=None, description="Where the layer that it is written into has to stay.")
    poly: NotYet = None
    image_of: Annotated[None, BeforeValidator(_image_of), WithJsonSchema({"not": {}})] = None
    tube: NotYet = None
    activation_hull: NotYet = None
    abstract_by: AbstractBy | None = Field(
        default=None, description="A network whose output stands in place of the input, wherever that is called on."
    )
    distribution: NotYet = None
