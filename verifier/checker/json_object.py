"""JSON objects without ambiguity."""

from __future__ import annotations

import json
from typing import Any

from verifier.checker.errors import CheckError


def json_object(data: bytes, name: str) -> dict[str, Any]:
    """The object in ``data``, called ``name`` in messages; raises ``CheckError``.

    Every key of an object stands there once: of two, readers differ about which one counts.
    """
    try:
        value = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise CheckError(f"{name} is not JSON, or has a number of too many digits") from None
    if not isinstance(value, dict):
        raise CheckError(f"{name} is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckError("a key stands twice in a JSON object")
    return found
