"""Values in the schema of spec.yaml: exact numbers, names, counts, texts, and what a section is."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from specs.language.text.yaml_tree import parse_number


def _number(value: object) -> Fraction:
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, str):
        try:
            number = parse_number(value)
        except OverflowError as error:
            raise PydanticCustomError("number", "{why}", {"why": str(error)}) from None
        if number is not None and ("/" in value):
            return number
    raise PydanticCustomError("number", "expected a number such as 0.1 or 8/255, found {value}", {"value": repr(value)})


def _positive(value: object) -> Fraction:
    number = _number(value)
    if number <= 0:
        raise PydanticCustomError("positive", "expected a number above 0")
    return number


def _not_negative(value: object) -> Fraction:
    number = _number(value)
    if number < 0:
        raise PydanticCustomError("not_negative", "expected a number of at least 0")
    return number


def _share(value: object) -> Fraction:
    number = _number(value)
    if not 0 < number <= 1:
        raise PydanticCustomError("share", "expected a share above 0 and of at most 1, such as 0.95")
    return number


def numbers(value: object) -> Any:
    return tuple(numbers(part) for part in value) if isinstance(value, list) else _number(value)


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise PydanticCustomError("count", "expected a whole number of at least 0, found {value}", {"value": repr(value)})


def _at_least_one(value: object) -> int:
    if (number := _count(value)) < 1:
        raise PydanticCustomError("count", "expected a whole number of at least 1")
    return number


def _not_yet(value: object) -> None:
    raise PydanticCustomError("not_yet_key", "is not supported yet")


def texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _method(value: object) -> object:
    if isinstance(value, dict):
        raise PydanticCustomError("not_yet", "options of a method are not supported yet; give its name only")
    return "pgd" if value == "latent-pgd" else value  # it descends on what is written into layers as on all else


def _conditions(value: object) -> object:
    if isinstance(value, dict):
        raise PydanticCustomError("not_yet", "sets other than conditions are not supported here yet")
    return texts(value)


def _not_empty(value: object) -> object:
    if value in ([], {}):
        raise PydanticCustomError("empty", "expected at least one entry")
    return value


def _version(value: object) -> object:
    return "1.0" if value == 1 else value


def norm_of(value: object) -> object:
    for norm in (1, 2):
        if value == norm and not isinstance(value, bool):
            return str(norm)
    return value


WRITTEN: dict[str, Any] = {"type": "string", "pattern": r"^(\$\{?\w+\}?|[-+.\deE ]+/[-+.\deE ]+)$"}


def _schema(**limits: Any) -> WithJsonSchema:
    """A number, a quotient such as 8/255, or a parameter."""
    return WithJsonSchema({"anyOf": [{"type": "number", **limits}, WRITTEN]})


Number = Annotated[Any, PlainValidator(_number), _schema()]
Norm = Annotated[Literal["inf", "1", "2"], BeforeValidator(norm_of), WithJsonSchema({"enum": ["inf", 1, 2]})]
Version = Annotated[Literal["1.0"], BeforeValidator(_version)]
NotEmpty = BeforeValidator(_not_empty)
Positive = Annotated[Any, PlainValidator(_positive), _schema(exclusiveMinimum=0)]
NotNegative = Annotated[Any, PlainValidator(_not_negative), _schema(minimum=0)]
NumberOrList = Annotated[
    Any,
    PlainValidator(numbers),
    WithJsonSchema({"anyOf": [{"type": "number"}, WRITTEN, {"type": "array", "items": {}}]}),
]
Share = Annotated[Any, PlainValidator(_share), _schema(exclusiveMinimum=0, maximum=1)]
Count = Annotated[int, PlainValidator(_count), WithJsonSchema({"type": "integer", "minimum": 0})]
AtLeastOne = Annotated[int, PlainValidator(_at_least_one), WithJsonSchema({"type": "integer", "minimum": 1})]
NotYet = Annotated[None, BeforeValidator(_not_yet), WithJsonSchema({"not": {}})]
Texts = Annotated[tuple[str, ...], BeforeValidator(texts)]
Conditions = Annotated[tuple[str, ...], BeforeValidator(_conditions)]
Method = Annotated[str, BeforeValidator(_method)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


def _ascending(value: tuple[Fraction, Fraction] | None) -> tuple[Fraction, Fraction] | None:
    if value is None or value[0] < value[1]:
        return value
    raise PydanticCustomError("range", "expected the lower one first, as in [0.0, 10.0]")


Range = Annotated[tuple[Number, Number], AfterValidator(_ascending)]


class Section(BaseModel):
    """A mapping whose keys are exactly the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
