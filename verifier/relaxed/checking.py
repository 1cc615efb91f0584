"""``certify check FILE.nnrelax``: a relaxed attack against the model and the specification it names."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from specs.errors import CertificateError, UnsupportedOpError
from specs.hashes import sha256_of
from specs.problem import Problem
from verifier.certificate.sources import sources
from verifier.checking import VALUE_OF, with_learned
from verifier.engine.floats import float_rows
from verifier.files import is_yaml
from verifier.question import Question, read_question
from verifier.relaxed.container import read_relaxed
from verifier.relaxed.contents import CLAIM, File, Outputs, RelaxedFile
from verifier.relaxed.validate import Subject, Unlowered, Validation, validate


@dataclass(frozen=True)
class RelaxedResult:
    """``validation`` of ``attack``, which is about requirement ``id``."""

    attack: RelaxedFile
    validation: Validation
    id: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        attack, found = self.attack, self.validation
        return {
            "valid": found.valid,
            "counterexample": False,
            "claim": CLAIM,
            "relaxation": attack.relaxation,
            "kind": attack.content.kind,
            "requirement": self.id,
            "case": attack.case,
            "score": _finite(found.score),
            "score_in_the_network": _finite(found.real),
            "tolerance": attack.tolerance,
            "checks": [{"name": c.name, "ok": c.ok, "worst": _finite(c.worst), "where": c.where} for c in found.checks],
            "remarks": list(found.remarks),
            "not_checked": list(found.not_checked),
            "note": attack.note,
            "seconds": self.seconds,
        }


def check_relaxed(path: Path, model: Path | None, spec: Path | None, parameters: Mapping[str, str]) -> RelaxedResult:
    """Validate a file against a model and a specification, by default those at the paths it recorded.

    Raises ``CertifyError`` where something cannot be read or the file is about something else.
    """
    started = time.monotonic()
    attack = read_relaxed(path)
    if spec is None or not is_yaml(spec):  # one may name its models itself
        model, spec = model or _recorded(path, attack.model, "model"), spec or _recorded(path, attack.query, "spec")
    values = {key.removeprefix(VALUE_OF): value for key, value in attack.producer.items() if key.startswith(VALUE_OF)}
    question = read_question(model, spec, {**values, **parameters}, adjust=with_learned(path, spec))
    id, problem = _subject(path, attack, question)
    if attack.case >= len(problem.cases):
        raise CertificateError(f"{path}: it is about case {attack.case}, and there are {len(problem.cases)}")
    case = problem.cases[attack.case]
    network = _network(problem, attack)
    rows = float_rows(case, problem.graph.input_size, problem.graph.output_size)
    validation = validate(attack, Subject(network, rows, case.box, case.ball))
    return RelaxedResult(attack, validation, id, time.monotonic() - started)


def _network(problem: Problem, attack: RelaxedFile) -> ReluNetwork | Unlowered:
    try:
        return lower(problem.graph)
    except UnsupportedOpError:
        if isinstance(attack.content, Outputs):
            return Unlowered(problem.graph)
        raise


def _recorded(path: Path, file: File, what: str) -> Path:
    """The file at the recorded path, if it is the same still."""
    recorded = Path(file.path)
    if not recorded.is_file() or sha256_of(recorded) != file.sha256:
        raise CertificateError(f"{path}: its {what} is not at {file.path!a}; name it with --{what}")
    return recorded


def _subject(path: Path, attack: RelaxedFile, question: Question) -> tuple[str, Problem]:
    """The requirement that the attack is about, by the hashes of model and query."""
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        for requirement in question.requirements:
            problem = requirement.stated.problem
            bound = sources(problem, question.model, question.query, Path(folder))
            model, query = (hashlib.sha256(source.data).hexdigest() for source in (bound.model, bound.query))
            if model != attack.model.sha256 and question.model is not None:
                raise CertificateError(f"{path}: it is about another model than {question.model} (SHA-256 differs)")
            if (model, query) == (attack.model.sha256, attack.query.sha256):
                return requirement.id, problem
    raise CertificateError(f"{path}: it is about none of the requirements of {question.spec} (SHA-256 differs)")


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
