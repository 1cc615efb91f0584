"""Files about polynomials made by hand, part by part, so that each part can be wrong."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from fractions import Fraction
from typing import Any


def archive(
    problem: Any, proof: Any, manifest: dict[str, Any] | None = None, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A proof's file with hashes that fit; ``manifest`` replaces entries, None removes them."""
    problem_data, proof_data = (json.dumps(part).encode() for part in (problem, proof))
    entries = {
        "format": "nnsos",
        "version": 1,
        "semantics": "real",
        "problem": hashlib.sha256(problem_data).hexdigest(),
        "proof": hashlib.sha256(proof_data).hexdigest(),
        "question": {"requirement": "r", "parameters": {}},
        "claim": "a claim",
        "producer": {},
    }
    for key, value in (manifest or {}).items():
        if value is None:
            del entries[key]
        else:
            entries[key] = value
    members = {"manifest.json": json.dumps(entries).encode(), "problem.json": problem_data, "proof.json": proof_data}
    return packed(members, compression)


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def below_zero(constant: str = "0") -> dict[str, Any]:
    """The problem: ``-(x - 1)^2 - constant > 0`` somewhere in [-2, 2]."""
    value = -1 - Fraction(constant)
    p = [[str(value), []], ["2", [[0, 1]]], ["-1", [[0, 2]]]]
    return {"variables": ["x"], "box": [["-2", "2"]], "cases": [{"strict": [p], "weak": [], "zero": []}]}


def square_proof(gram: list[list[int]] | None = None, denominator: int = 1) -> dict[str, Any]:
    """The proof for ``constant`` 0: ``-(x - 1)^2 + z^T Q z = 0`` for z = (1, x); or with another Q."""
    square = {
        "factors": [],
        "basis": [[], [[0, 1]]],
        "gram": gram if gram is not None else [[1], [-1, 1]],
        "denominator": denominator,
    }
    proof = {"centre": ["0"], "scale": ["1"], "positive": [["1", [0]]], "squares": [square], "multipliers": []}
    return {"cases": [proof]}
