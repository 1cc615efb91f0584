"""The reference page and the schema say what the reader accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specs.language.compile_expression import FUNCTIONS
from specs.language.reference import reference_page
from specs.language.schema import SpecFile, json_schema

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "spec-yaml.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run python -m specs.language.reference"


def test_the_page_explains_every_function() -> None:
    page = reference_page()
    assert not [name for name in sorted(FUNCTIONS) if f"{name}(" not in page and f"`{name}`" not in page]


def test_every_key_has_a_description() -> None:
    schema = json_schema()
    parts = {"": schema, **schema["$defs"]}
    missing = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part["properties"].items()
        if "description" not in value
    ]
    assert missing == []


def test_the_schema_is_json_and_lists_only_what_is_supported() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == {
        "certify", "name", "description", "models", "overseers", "inputs", "let", "require", "engine", "emit", "gate",
        "monitor", "adversary", "assume",
    }  # fmt: skip
    assert schema["additionalProperties"] is False
    assert "recall" not in schema["$defs"]["Model"]["properties"]


@pytest.mark.parametrize("key", ["overseers", "sweep", "chain", "policy"])
def test_keys_of_later_versions_are_known(key: str) -> None:
    assert key in SpecFile.model_fields
