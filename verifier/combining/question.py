"""A specification as the whole that files are to cover."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from specs.errors import CertifyError
from specs.language.suggest import did_you_mean
from specs.language.vnnlib_writer import write_vnnlib
from specs.loading.onnx_writer import write_onnx
from verifier.checking import VALUE_OF
from verifier.combining.combine import Whole
from verifier.combining.members import Claims
from verifier.files import is_onnx, is_vnnlib
from verifier.question import read_question


def whole_in(
    spec: Path, model: Path | None, parameters: Mapping[str, str], wanted: str, claims: Claims
) -> tuple[Whole, dict[str, str]]:
    """The question of a requirement, and values of parameters for the record.

    Raises ``CertifyError`` where it is not clear which requirement is meant, and where it is about another network.
    """
    if is_vnnlib(spec):
        return Whole(spec.read_text(encoding="utf-8"), f"no input satisfies {spec.name}"), {}
    question = read_question(model, spec, parameters)
    ids = [one.id for one in question.requirements]
    if wanted and wanted not in ids:
        raise CertifyError(f"{spec} has no requirement {wanted!r}{did_you_mean(wanted, ids)}")
    if not wanted and len(ids) > 1:
        raise CertifyError(f"{spec} has several requirements; name one with --requirement: {', '.join(ids)}")
    requirement = next(one for one in question.requirements if wanted in ("", one.id))
    problem = requirement.stated.problem
    if question.model is not None and is_onnx(question.model):
        digest = hashlib.sha256(question.model.read_bytes()).hexdigest()
    else:
        digest = hashlib.sha256(write_onnx(problem.graph)).hexdigest()
    if digest != claims.model.sha256:
        raise CertifyError(f"{spec} is about another model than the certificates (SHA-256 differs)")
    values = {VALUE_OF + name: value for name, value in parameters.items()}
    return Whole(write_vnnlib(problem), requirement.claim, requirement.silent_on), values
