"""The reference page and the schema say what the reader accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from specs.language.expressions.compile import FUNCTIONS
from specs.language.schema.file import SpecFile
from specs.language.schema.json_schema import definitions, json_schema
from specs.language.schema.reference import reference_page
from tests.unit.specs.language.json_schemas import faults

DOCS = Path(__file__).resolve().parents[4] / "docs"
PAGE, EXAMPLES = DOCS / "reference" / "spec-yaml.md", DOCS / "examples"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run python -m specs.language.schema.reference"


def test_the_page_explains_every_function() -> None:
    page = reference_page()
    assert not [name for name in sorted(FUNCTIONS) if f"{name}(" not in page and f"`{name}`" not in page]


def test_the_page_lists_every_key_of_every_kind_of_file() -> None:
    """And each under a heading of its own: as many tables as sections, and no key left out."""
    page = reference_page()
    assert page.count("| key | value | meaning |") == len(definitions())
    for name, part in definitions().items():
        assert part["description"] in page, name
        assert [key for key in part["properties"] if f"`{key}`" not in page] == [], name
    tables = dict(re.findall(r"### (.*?)\n(.*?)(?=\n##|\Z)", page, re.DOTALL))
    assert "`max_rate`" in tables["`require[].statistical`"]
    assert "`unit_cost`" in page
    assert page.count("### `overseers.NAME`\n") == 4, (
        "a network, a program, a function with axioms, the core of a chain"
    )
    assert "`amplify`" in tables["`chain.steps[]`"]


def test_every_key_has_a_description() -> None:
    known = definitions()
    missing = [
        f"{name}.{key}"
        for name, part in known.items()
        for key, value in part["properties"].items()
        if "description" not in value and "description" not in known.get(value.get("$ref", "").rpartition("/")[2], {})
    ]
    assert missing == []


def test_the_schema_is_json_and_lists_only_what_is_supported() -> None:
    schema = json.loads(json.dumps(json_schema()))
    file = schema["$defs"]["SpecFile"]
    assert set(file["properties"]) == {
        "certify", "name", "description", "models", "overseers", "inputs", "let", "require", "engine", "emit", "gate",
        "monitor", "guard", "adversary", "assume",
    }  # fmt: skip
    assert file["additionalProperties"] is False
    assert "recall" not in schema["$defs"]["Model"]["properties"]


def plain(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_schema_accepts_the_examples(path: Path) -> None:
    schema = json_schema()
    assert faults(plain(path), schema, schema) == []


def test_the_schema_accepts_rates_beside_other_requirements() -> None:
    schema, file = json_schema(), plain(EXAMPLES / "slow-overseer" / "panel.yaml")
    mixed = {**file, "require": [*file["require"], {"id": "all", "assert": "y[0] <= 1", "where": "x[0] <= 0"}]}
    assert faults(mixed, schema, schema) == []
    mixed["require"][-1]["statistical"] = "often"
    assert faults(mixed, schema, schema) != []


@pytest.mark.parametrize(
    ("example", "path", "value"),
    [
        ("slow-overseer/panel.yaml", ("require", 1, "statistical", "max_rates"), 0.1),
        ("slow-overseer/panel.yaml", ("overseers", "panel", "budget", "queries"), -1),
        ("axioms/axioms.yaml", ("overseers", "g", "axiom"), "g(a) <= 1"),
        ("axioms/axioms.yaml", ("engine", "methods"), ["lp"]),
        ("chain/chain.yaml", ("chain", "compose"), ["guess"]),
        ("digits/robust.yaml", ("require", 0, "severity"), "bad"),
        ("digits/robust.yaml", ("gate",), {"maximum": {}}),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(example: str, path: tuple[str | int, ...], value: object) -> None:
    schema, file = json_schema(), plain(EXAMPLES / example)
    inside = file
    for part in path[:-1]:
        inside = inside[part]
    inside[path[-1]] = value
    assert faults(file, schema, schema) != []


@pytest.mark.parametrize("key", ["overseers", "sweep", "chain", "policy"])
def test_keys_of_later_versions_are_known(key: str) -> None:
    assert key in SpecFile.model_fields
