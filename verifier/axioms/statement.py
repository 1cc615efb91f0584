"""Writing a statement under axioms: the axioms, the ledger, a cover, and what it needs about a network."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.language.axiom_spec import AxiomQuestion, AxiomSpec
from specs.language.axioms import AxiomSet
from verifier.checker.axioms import LEDGER, OUTPUTS, STATEMENT
from verifier.statistics.ledger import read_lines

SUFFIX = ".nnaxioms"
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_statement(
    path: Path,
    spec: AxiomSpec,
    question: AxiomQuestion,
    ledger: Path,
    claim: str,
    cover: list[Any] | None,
    failing: int | None = None,
    outputs: bytes | None = None,
) -> int:
    """Write the file; returns its size. ``cover`` are its words, ``failing`` the number of an answer that fails."""
    content = ledger.read_bytes()
    content = content[: content.rfind(b"\n") + 1]
    lines, head = read_lines(content, str(ledger))
    whole = spec.axioms.dimension if question.through else 0
    lower, upper = ([None] * whole, [None] * whole) if whole else ([str(v) for v in end] for end in spec.box)
    inputs = {"lower": [str(v) for v in spec.box[0]], "upper": [str(v) for v in spec.box[1]]}
    manifest = {
        "format": "nnaxioms",
        "version": 1,
        "axioms": _axioms(spec.axioms),
        "threshold": str(question.threshold),
        "strict": question.strict,
        "lower": lower,
        "upper": upper,
        "cover": cover if cover is not None else [],
        "ledger": {"sha256": head, "lines": len(lines)},
        "failing": failing,
        "outputs": inputs if outputs is not None else None,
        "claim": claim,
    }
    members = [(STATEMENT, json.dumps(manifest, indent=1).encode()), (LEDGER, content)]
    members += [(OUTPUTS, outputs)] if outputs is not None else []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    return path.stat().st_size


def _axioms(axioms: AxiomSet) -> dict[str, Any]:
    def number(value: Fraction | None) -> str | None:
        return None if value is None else str(value)

    return {
        "dimension": axioms.dimension,
        "lipschitz": number(axioms.lipschitz),
        "norm": axioms.norm,
        "increasing": sorted(axioms.increasing),
        "decreasing": sorted(axioms.decreasing),
        "lower": number(axioms.lower),
        "upper": number(axioms.upper),
    }
