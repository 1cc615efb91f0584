"""A specification as the whole that files are to cover."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from specs.errors import CertifyError
from specs.hashes import sha256_of
from specs.language.text.suggest import did_you_mean
from specs.language.vnnlib.writer import write_vnnlib
from specs.loading.onnx_writer import write_onnx
from verifier.checking import VALUE_OF
from verifier.combining.combine import Whole
from verifier.combining.members import Claims
from verifier.engine.outcome import Outcome
from verifier.files import is_onnx, is_vnnlib
from verifier.premises import premises, withdrawn
from verifier.question import Question, Requirement, read_question
from verifier.rests import rechecked


def whole_in(
    spec: Path, model: Path | None, parameters: Mapping[str, str], wanted: str, claims: Claims, exact: bool
) -> tuple[Whole, dict[str, str]]:
    """The question of a requirement, and values of parameters and hashes of answer tables for the record.

    Raises ``CertifyError`` where it is not clear which requirement is meant, where it is about another network, and
    where proofs of it in this arithmetic, ``exact`` or not, do not settle it.
    """
    if is_vnnlib(spec):
        try:
            query = spec.read_bytes()
        except OSError as error:
            raise CertifyError(f"{spec} cannot be read: {error.strerror}") from None
        return Whole(query, f"no input satisfies {spec.name}"), {}
    question = read_question(model, spec, parameters)
    ids = [one.id for one in question.requirements]
    if wanted and wanted not in ids:
        raise CertifyError(f"{spec} has no requirement {wanted!r}{did_you_mean(wanted, ids)}")
    if not wanted and len(ids) > 1:
        raise CertifyError(f"{spec} has several requirements; name one with --requirement: {', '.join(ids)}")
    requirement = next(one for one in question.requirements if wanted in ("", one.id))
    problem = requirement.stated.problem
    if question.model is not None and is_onnx(question.model):
        digest = sha256_of(question.model)
    else:
        digest = hashlib.sha256(write_onnx(problem.graph)).hexdigest()
    if digest != claims.model.sha256:
        raise CertifyError(f"{spec} is about another model than the certificates (SHA-256 differs)")
    inputs = requirement.inputs
    if inputs is not None and inputs.is_normalized and any(claim.sampled is not None for claim in claims.all):
        raise CertifyError(
            f"{spec}: requirement {requirement.id}: rates are about inputs as they are drawn, and certificates about "
            "what the network consumes; with normalize these are different numbers, which are not combined"
        )
    if requirement.stated.accept_class == "exact" and not exact:
        raise CertifyError(f"{spec}: requirement {requirement.id} accepts exact proofs only: say --exact")
    # What is combined is known to hold, and not by how much: by the slack that the requirement asks for, or more.
    survived = withdrawn(requirement, Outcome("certified", "", 0.0, 0.0), question.assumptions)
    if survived.verdict != "certified":
        raise CertifyError(f"{spec}: requirement {requirement.id}: {survived.reason}")
    record = {VALUE_OF + name: value for name, value in parameters.items()}
    record |= {f"sha256 of {name}": sha256_of(question.files[name]) for name in question.tables}
    told = (f"(declared) specification = sha256:{sha256_of(spec)}", *_premises(question, requirement))
    return Whole(write_vnnlib(problem).encode(), requirement.claim, requirement.silent_on, told), record


def _premises(question: Question, requirement: Requirement) -> Iterator[str]:
    """What the requirement rests on beside files, in words; chains of models are checked again."""
    if requirement.data:
        yield f"(declared) data {', '.join(requirement.data)}, (monitored) activations in the hull"
    chains = rechecked(question.assumptions)
    for premise in premises(question.assumptions, {}):
        one = premise.assumption
        if not one.concerns(requirement.id):
            continue
        if one.chain is None:
            yield premise.words
        elif one.overseer in requirement.stated.sensitivity:
            yield replace(premise, status=chains[one.id].status).words
