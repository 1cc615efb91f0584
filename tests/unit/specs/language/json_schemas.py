"""As much of JSON Schema as the schema of spec.yaml uses: what a file is found to be at fault with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float, Fraction),
}  # fmt: skip
_KNOWN = {
    "$defs", "$ref", "$schema", "additionalProperties", "anyOf", "const", "default", "description", "enum",
    "exclusiveMinimum", "items", "maxItems", "minItems", "minimum", "not", "oneOf", "pattern", "patternProperties",
    "prefixItems", "properties", "required", "title", "type",
}  # fmt: skip


def faults(value: Any, schema: Any, root: Mapping[str, Any], path: str = "") -> list[str]:
    """Everything wrong with ``value``; of alternatives, what is wrong with each."""
    assert set(schema) <= _KNOWN, f"no rule for {set(schema) - _KNOWN}"
    found: list[str] = []
    if "$ref" in schema:
        found += faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    for key in ("anyOf", "oneOf"):
        tried = [faults(value, one, root, path) for one in schema.get(key, ())]
        if tried and (all(tried) or (key == "oneOf" and tried.count([]) > 1)):
            found += [f"{path}: {key}", *(fault for one in tried for fault in one)]
    if "type" in schema and not _is(value, schema["type"]):
        return [*found, f"{path}: no {schema['type']}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: none of {schema['enum']}")
    if "not" in schema and not faults(value, schema["not"], root, path):
        found.append(f"{path}: excluded")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{path}: does not match {schema['pattern']}")
    if _is(value, "number"):
        found += [f"{path}: too small"] * (value < schema.get("minimum", value))
        found += [f"{path}: too small"] * ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
    if isinstance(value, list):
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        found += [] if fits else [f"{path}: wrong length"]
        first = schema.get("prefixItems", [])
        own = [*first, *[schema.get("items", {})] * (len(value) - len(first))]
        found += [fault for i, one in enumerate(value) for fault in faults(one, own[i], root, f"{path}[{i}]")]
    if isinstance(value, dict):
        found += _of_mapping(value, schema, root, path)
    return found


def _of_mapping(value: Mapping[str, Any], schema: Any, root: Mapping[str, Any], path: str) -> list[str]:
    found = [f"{path}: without {key}" for key in schema.get("required", ()) if key not in value]
    for key, part in value.items():
        rules = [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        rules += [schema["properties"][key]] if key in schema.get("properties", {}) else []
        rest = schema.get("additionalProperties", True)
        if not rules and rest is False:
            found.append(f"{path}: unknown {key}")
        rules += [rest] if not rules and isinstance(rest, dict) else []
        found += [fault for rule in rules for fault in faults(part, rule, root, f"{path}.{key}")]
    return found


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
