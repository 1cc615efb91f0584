"""What pydantic finds wrong with a spec.yaml, in the user's words and at the user's lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from specs.language.text.faults import Faults
from specs.language.text.suggest import did_you_mean
from specs.language.text.yaml_tree import Document, YamlPath

Kind = TypeVar("Kind", bound=BaseModel)


def validated(kind: type[Kind], document: Document, faults: Faults) -> Kind:
    """The document as a section of this kind. Raises ``SpecError`` with all faults, those found before among them."""
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        _add_faults(error, kind, document, faults)
    faults.raise_if_any()
    raise AssertionError("what is not valid has a fault")


def _add_faults(error: ValidationError, root: type[BaseModel], document: Document, faults: Faults) -> None:
    """Add every fault of ``error`` to ``faults``, located in ``document``; unknown keys get a suggestion.

    Keys of one section that are not supported yet are one fault. Beside one, keys that seem to be missing are left
    out: they may not be, once that feature is there.
    """
    items = error.errors(include_url=False)
    later: dict[YamlPath, list[YamlPath]] = {}
    for item in items:
        if item["type"] == "not_yet_key":
            path = _path_in(document.data, item["loc"], "")
            later.setdefault(path[:-1], []).append(path)
    for parent, paths in later.items():
        first, *others = sorted(paths, key=lambda path: document.key_positions.get(path, (0, 0)))
        names = [dotted(first), *(str(path[-1]) for path in others)]
        listed = f"{', '.join(names[:-1])} and {names[-1]} are" if others else f"{names[0]} is"
        faults.add(f"{listed} not supported yet", *document.key_positions.get(first, document.position(parent)))
    for item in items:
        kind = item["type"]
        if kind == "not_yet_key" or (kind == "missing" and any(one["type"].startswith("not_yet") for one in items)):
            continue
        path = _path_in(document.data, item["loc"], kind)
        where = document.key_positions.get(path) if kind == "extra_forbidden" else None
        name = dotted(path)
        if kind == "extra_forbidden":
            known = _fields(root, path[:-1])
            message = f"{dotted(path[:-1]) or 'spec'}: unknown key {path[-1]!r}{did_you_mean(str(path[-1]), known)}"
        elif kind == "missing":
            message = f"{dotted(path[:-1]) or 'spec'}: the key {path[-1]!r} is missing"
        elif kind == "literal_error":
            message = f"{name}: expected {item['ctx']['expected']}, found {item['input']!r}"
        elif kind in ("string_type", "model_type", "model_attributes_type", "dict_type", "tuple_type"):
            message = f"{name}: expected {_NOUNS[kind]}, found {_found(item['input'])}"
        elif kind == "string_pattern_mismatch":
            message = f"{name}: {item['input']!r} does not match {item['ctx']['pattern']}"
        else:
            message = f"{name}: {item['msg'][:1].lower()}{item['msg'][1:]}"
        faults.add(message, *(where or document.position(path)))


_NOUNS: Mapping[str, str] = {
    "string_type": "text (put it in quotes)",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def dotted(path: YamlPath) -> str:
    """``require[0].assert`` for ``("require", 0, "assert")``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _found(value: object) -> str:
    return "nothing" if value is None else "a list" if isinstance(value, list) else repr(value)[:40]


def _path_in(data: Any, location: YamlPath, kind: str) -> YamlPath:
    """``location`` without what pydantic adds to it (names of alternatives, a mark for keys)."""
    path: list[str | int] = []
    for part in location:
        is_key = isinstance(data, dict) and part in data
        is_index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key or is_index:
            data = data[part]
        if is_key or is_index or (kind == "missing" and part == location[-1]):
            path.append(part)
    return tuple(path)


def _fields(root: type[BaseModel], path: YamlPath) -> list[str]:
    """Keys allowed at ``path`` below ``root``, in the file's spelling; of all alternatives where there are several."""
    models = [root]
    for part in path:
        fields = [field for model in models for name, field in _keys(model).items() if name == part]
        if fields:
            models = [model for field in fields for model in _sections(field.annotation)]
    known = {name: field for model in models for name, field in _keys(model).items()}
    return [name for name, field in known.items() if "not" not in _schema_of(field)]


def _keys(model: Any) -> Mapping[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The models inside a type such as ``dict[Name, Model]`` or ``Normalize | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _sections(part)]


def _schema_of(field: Any) -> Mapping[str, Any]:
    return next((part.json_schema for part in field.metadata if hasattr(part, "json_schema")), None) or {}
