"""``certify schema``: the JSON Schema of spec.yaml, for editors."""

from __future__ import annotations

import json
from collections.abc import Sequence

from verifier.commands.arguments import Parser
from verifier.exit_codes import OK


def main(arguments: Sequence[str]) -> int:
    """Print the schema."""
    Parser(prog="certify schema", description="Print the JSON Schema of spec.yaml.", allow_abbrev=False).read(arguments)
    from specs.language.schema.json_schema import json_schema

    print(json.dumps(json_schema(), indent=1))
    return OK
