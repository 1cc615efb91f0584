"""Writing a statement under axioms: the axioms, the ledger, a cover, and what it needs about a network."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from specs.hashes import sha256_of
from specs.language.axioms.axioms import AxiomSet
from specs.language.axioms.spec import AxiomQuestion, AxiomSpec
from verifier.archives import save_archive
from verifier.checker.axioms import LEDGER, OUTPUTS, STATEMENT
from verifier.statistics.ledger import read_lines

SUFFIX = ".nnaxioms"


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
    inputs = {"lower": [str(v) for v in spec.box[0]], "upper": [str(v) for v in spec.box[1]]}
    manifest = {
        "format": "nnaxioms",
        "version": 1,
        **question_of(spec, question),
        "cover": cover if cover is not None else [],
        "ledger": {"sha256": head, "lines": len(lines)},
        "failing": failing,
        "outputs": inputs if outputs is not None else None,
        "claim": claim,
    }
    further = {} if outputs is None else {OUTPUTS: outputs}
    return save_archive(path, {STATEMENT: json.dumps(manifest, indent=1).encode(), LEDGER: content, **further})


def question_of(spec: AxiomSpec, question: AxiomQuestion) -> dict[str, Any]:
    """What the statement is about, as it stands in the file."""
    whole = spec.axioms.dimension if question.through else 0
    lower, upper = ([None] * whole, [None] * whole) if whole else ([str(v) for v in end] for end in spec.box)
    return {
        "axioms": _axioms(spec.axioms),
        "threshold": str(question.threshold),
        "strict": question.strict,
        "lower": lower,
        "upper": upper,
    }


def check_question(file: Path, spec: AxiomSpec) -> None:
    """Raises ``CertificateError`` unless the statement is about a requirement of this specification."""
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(STATEMENT))
        opened = json.loads(archive.read(LEDGER).split(b"\n", 1)[0])
    stated = [question_of(spec, question) for question in spec.questions]
    inputs = {"lower": [str(v) for v in spec.box[0]], "upper": [str(v) for v in spec.box[1]]}
    if not any(all(manifest[key] == value for key, value in one.items()) for one in stated):
        raise CertificateError(f"{spec.file}: this is not the specification the statement is about")
    if manifest["outputs"] not in (None, inputs) or (manifest["outputs"] is None) == (spec.graph is not None):
        raise CertificateError(f"{spec.file}: the statement is about other inputs")
    overseer = Path(spec.python.rpartition(":")[0])
    if opened["source"] != sha256_of(overseer):
        raise CertificateError(f"{overseer}: this is not the overseer that answered")


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
