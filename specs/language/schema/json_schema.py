"""The JSON Schema of spec.yaml, of every kind of file that there is, for editors and for the reference page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, BeforeValidator
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticCustomError

from specs.language.schema.axioms import AxiomFile, FirstOrderMethod
from specs.language.schema.chain import ChainFile
from specs.language.schema.file import SpecFile
from specs.language.schema.polynomials import Methods, PolynomialFile
from specs.language.schema.statistics import StatisticalFile

Schema = dict[str, Any]

KINDS: tuple[type[BaseModel], ...] = (SpecFile, StatisticalFile, AxiomFile, ChainFile, PolynomialFile)
_NAMED: tuple[type[BaseModel], ...] = (FirstOrderMethod, Methods)  # whose names only stand in schemas written by hand


def definitions() -> dict[str, Schema]:
    """The schema of every section, by name; keys that are not supported yet are left out."""
    _, schema = models_json_schema([(one, "validation") for one in (*KINDS, *_NAMED)], by_alias=True)
    found: dict[str, Schema] = schema["$defs"]
    for part in found.values():
        properties = part.get("properties", {})
        part["properties"] = {key: value for key, value in properties.items() if "not" not in value}
    for model in _models(KINDS):
        properties = found[model.__name__]["properties"]
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key in properties and any(_makes_a_list(one) for one in field.metadata):
                properties[key] = _with_lone(properties[key])
    return found


def json_schema() -> Schema:
    """JSON Schema of spec.yaml. A file with rates may hold other requirements, too."""
    found = definitions()
    _mix(found["SpecFile"], found["StatisticalFile"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "spec.yaml",
        "description": "A question about networks, or about polynomials.",
        "anyOf": [{"$ref": f"#/$defs/{one.__name__}"} for one in KINDS],
        "$defs": found,
    }


def _mix(file: Schema, rates: Schema) -> None:
    """Let the file hold what is said about probabilities, beside all else."""
    own, more = file["properties"], rates["properties"]
    for key in ("overseers", "inputs"):
        own[key] = {**more[key], "description": own[key]["description"]}
    own["require"]["items"] = {"anyOf": [own["require"]["items"], more["require"]["items"]]}
    own["emit"]["items"] = {"anyOf": [own["emit"]["items"], {"const": "ledger"}]}


def _makes_a_list(part: object) -> bool:
    """Whether this reads a lone value as a list of one."""
    return isinstance(part, BeforeValidator) and any(_listed(part.func, value) for value in ("x", 0))


def _listed(read: Callable[..., Any], value: object) -> bool:
    try:
        return bool(read(value) == [value])
    except PydanticCustomError:
        return False


def _with_lone(value: Schema) -> Schema:
    kept: Schema = {key: value[key] for key in ("description", "default", "title") if key in value}
    listed = {key: part for key, part in value.items() if key not in kept}
    return {"anyOf": [listed, listed["items"]], **kept}


def _models(roots: tuple[type[BaseModel], ...]) -> list[type[BaseModel]]:
    """The sections that the files consist of."""
    found: list[type[BaseModel]] = []
    waiting: list[object] = list(roots)
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in found:
                found.append(one)
                waiting += [field.annotation for field in one.model_fields.values()]
        else:
            waiting += getattr(one, "__args__", ())
    return found
