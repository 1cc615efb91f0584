"""Asking the independent checker about a file: a fresh process that has NumPy and the standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from specs.errors import CertificateError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.language.kinds import mentions_surrogate
from verifier.files import is_onnx, is_vnnlib

if TYPE_CHECKING:
    from specs.language.observations.meant import Meant
    from specs.language.schema.file import SpecFile

VALUE_OF = "value of "  # begins the producer's record of what a parameter that is solved for was


@dataclass(frozen=True)
class CheckResult:
    """``accepted`` or not, and why; ``margin`` is the slack the proof leaves, None when it states none.

    ``model`` and ``query`` say what the checker read: ``taken`` is ``given``, ``embedded``, ``recorded`` (at the path
    in the file that was checked) or ``translated`` (from the given file once more), with ``path`` and ``sha256``.
    A file about polynomials has no model; there ``model`` is empty. ``kind`` is ``proof``, ``witness`` or
    ``statistical``: whether accepted means that the claim is proved, that it is refuted, or that a ledger supports it
    with its confidence (then ``query`` is the ledger).
    """

    accepted: bool
    reason: str
    leaves: int
    margin: float | None
    seconds: float
    exact: bool
    kind: str
    claim: str
    model: Mapping[str, str]
    query: Mapping[str, str]

    def __bool__(self) -> bool:
        return self.accepted


def checker_command(certificate: Path, model: Path | None, query: Path | None, exact: bool) -> list[str]:
    """The command line of the checker."""
    command = [sys.executable, "-s", "-m", "verifier.checker", str(certificate)]
    command += ["--model", str(model)] if model else []
    command += ["--query", str(query)] if query else []
    return [*command, "--exact"] if exact else command


def checker_environment() -> dict[str, str]:
    """Environment in which the checker finds this package first and runs one BLAS thread."""
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": root}


def audit(certificate: Path, seconds: float) -> bool:
    """Whether the checker proves a certificate in rational arithmetic, from its embedded or recorded files, in time."""
    command = checker_command(certificate, None, None, exact=True)
    try:
        done = subprocess.run(command, env=checker_environment(), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def run_checker(
    certificate: Path,
    model: Path | None,
    spec: Path | None,
    exact: bool,
    parameters: Mapping[str, str],
    requirement: str = "",
    seconds: float | None = None,
) -> CheckResult:
    """The checker's answer. Files it has no reader for are translated again and handed over in canonical form.

    With ``requirement`` only this one of a specification is meant. ``seconds`` is how long the checker may take.

    Raises ``CertificateError`` with the checker's own words when it cannot read something, and ``TimeoutExpired``.
    """
    if _is_about_polynomials(certificate):
        return _run_polynomial(certificate, model, spec, parameters)
    if _is_about_statistics(certificate):
        return _run_statistical(certificate, model, spec, parameters)
    from specs.language.chains.archive import is_chain
    from verifier.relaxed_checker.cover_file import check_cover, is_cover

    if is_cover(certificate):
        return check_cover(certificate, model, spec, exact)
    if is_chain(certificate):
        from verifier.chain.check import check_chain

        return check_chain(certificate, model, spec, exact)
    if _is_about_axioms(certificate):
        return _run_axioms(certificate, model, spec, parameters)
    values = _values(certificate, spec, parameters)
    with TemporaryDirectory(prefix="certify-") as folder:
        told: list[str] = []
        found = _canonical(certificate, model, spec, {**values, **parameters}, Path(folder), requirement, told)
        *files, meant = found
        answer = _asked(checker_command(certificate, *files, exact), seconds)
    if "error" in answer:
        message = str(answer["error"])
        for translated, own in zip(files, (model or spec, spec)):
            message = message.replace(str(translated), str(own))
        raise CertificateError(f"{certificate}: {message}")
    for what, translated, own in zip(("model", "query"), files, (model or spec, spec)):
        if translated is not None and translated.parent == Path(folder):
            answer[what] |= {"taken": "translated", "path": str(own)}
    if answer["accepted"] and values:
        answer["reason"] += ", with " + ", ".join(f"{name} = {value}" for name, value in values.items())
    if answer["accepted"]:
        answer["reason"] += "".join(f"; {words}" for words in told)
    if meant is not None and answer["accepted"] and answer["kind"] == "witness":
        _judge_meant(certificate, meant, answer)
    return _result(answer)


def _judge_meant(certificate: Path, meant: Meant, answer: dict[str, Any]) -> None:
    """A point that violates a question which allows more than is meant has to be one that is meant; exact."""
    from verifier.checker.container import Witness, read_evidence

    evidence = read_evidence(certificate.read_bytes())
    if isinstance(evidence, Witness) and not meant.holds(evidence.point):
        answer |= {"accepted": False, "reason": "the point is none that an input causes: it is not what is rounded"}


def _values(certificate: Path, spec: Path | None, parameters: Mapping[str, str]) -> dict[str, str]:
    """Values that a file of evidence says it is about, of what the specification solves for; what was given instead is
    left out. A wrong one makes another question of the specification, which the file is then not about."""
    if spec is None or is_vnnlib(spec):
        return {}
    from specs.language.solve_for import starting_values
    from specs.language.text.textfile import read_text
    from verifier.checker.combined import is_about_combined

    names = starting_values(read_text(spec), parameters)
    if not names or is_about_combined(certificate):
        return {}
    record = _record(certificate)
    found = {name: record.get(VALUE_OF + name) for name in names if name not in parameters}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _record(certificate: Path) -> dict[str, Any]:
    """What the producer of a file of evidence says of where it comes from."""
    from verifier.checker.combined import COMBINED, is_about_combined
    from verifier.checker.container import MANIFEST

    _hashes(certificate)  # reads all of it, within limits
    with zipfile.ZipFile(certificate) as archive:
        manifest = json.loads(archive.read(COMBINED if is_about_combined(certificate) else MANIFEST))
    record = manifest["producer"]
    return record if isinstance(record, dict) else {}


def _result(answer: Mapping[str, Any]) -> CheckResult:
    return CheckResult(**{field.name: answer[field.name] for field in fields(CheckResult)})


def _judged(certificate: Path, model: Path | None, exact: bool) -> dict[str, Any]:
    """The checker's answer about a file that carries its question along."""
    answer = _asked(checker_command(certificate, model, None, exact=exact))
    if "error" in answer:
        raise CertificateError(f"{certificate}: {answer['error']}")
    return answer


def _asked(command: list[str], seconds: float | None = None) -> dict[str, Any]:
    """The checker's answer as it gave it, in a process of its own. Raises ``TimeoutExpired`` after ``seconds``."""
    command, environment = [*command, "--json"], checker_environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=seconds)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise CertificateError(f"the checker gave no answer (exit code {done.returncode}): {last}") from None
    return answer


def _is_about_polynomials(certificate: Path) -> bool:
    from verifier.checker.sos_format import is_about_polynomials

    return is_about_polynomials(certificate)


def _is_about_statistics(certificate: Path) -> bool:
    from verifier.checker.relaxed_checker import is_about_relaxed_checker
    from verifier.checker.statistics import is_about_statistics

    parts = (is_about_statistics, is_about_relaxed_checker, _is_about_smoothing)
    return any(about(certificate) for about in parts)


def _is_about_smoothing(certificate: Path) -> bool:
    from verifier.checker.smoothing import is_about_smoothing

    return is_about_smoothing(certificate)


def _is_about_axioms(certificate: Path) -> bool:
    from verifier.checker.axioms import is_about_axioms

    return is_about_axioms(certificate)


def _run_axioms(certificate: Path, model: Path | None, spec: Path | None, parameters: Mapping[str, str]) -> CheckResult:
    """The checker's answer about a statement under axioms; ``query`` is then the ledger.

    With a specification the statement also has to be about a requirement of it, and by its overseer.
    """
    answer = _judged(certificate, model, exact=False)
    if spec is not None:
        from specs.language.axioms.spec import read_axiom_spec
        from specs.loading import load_model
        from verifier.axioms.statement import check_question

        read = read_axiom_spec(spec, model, parameters, load_model)
        check_question(certificate, read)
        if model is None and read.target_file is not None:
            return _run_axioms(certificate, read.target_file, spec, parameters)
    return _result(answer)


def _run_statistical(
    certificate: Path, model: Path | None, spec: Path | None, parameters: Mapping[str, str]
) -> CheckResult:
    """The checker's answer about a statement of probability; with a specification it also has to be about it."""
    if model is not None and spec is None and _is_about_smoothing(certificate):
        return _run_smoothed(certificate, model)
    if model is not None and spec is None:
        raise CertificateError(f"{certificate}: which requirement of which specification? Give --spec, too")
    answer = _judged(certificate, None, exact=True)
    if spec is not None and answer["accepted"]:
        from verifier.statistics.recompile import bound_to

        answer["reason"] += f"; {bound_to(certificate, model, spec, parameters)}"
    return _result(answer)


def _run_smoothed(certificate: Path, model: Path) -> CheckResult:
    """The checker's answer about a smoothed classifier, which also has to be that of this model: its votes, again."""
    answer = _judged(certificate, None, exact=True)
    if answer["accepted"]:
        from verifier.smoothing.recount import recounted

        answer["reason"] += f"; {recounted(certificate, model)}"
    return _result(answer)


def _run_polynomial(
    certificate: Path, model: Path | None, spec: Path | None, parameters: Mapping[str, str]
) -> CheckResult:
    """The checker's answer; with a specification, its translation also has to be the problem in the file.

    Only the checker's process reads the file, once: what it says of the question is what it judged.
    """
    if model is not None:
        raise CertificateError(f"{certificate}: a file about polynomials is about no model; leave {model} out")
    answer = _judged(certificate, None, exact=True)
    if "question" not in answer:
        raise CertificateError(f"{certificate}: the file has changed while it was checked")
    if spec is not None:
        from verifier.polynomials.recompile import translated

        requirement, values = answer["question"]["requirement"], answer["question"]["parameters"]
        translation = translated(spec, parameters, requirement, values)
        if translation.sha256 != answer["query"]["sha256"]:
            raise CertificateError(f"{spec}: this is not the specification the certificate is about")
        told = "".join(f" with {name} = {value}" for name, value in values.items())
        answer["query"] |= {"taken": "translated", "path": str(spec)}
        answer["reason"] += f": requirement {requirement}{told}"
        if translation.gates:
            answer["reason"] += " (its gates are not checked)"
    return _result(answer)


def with_learned(evidence: Path, spec: Path) -> Callable[[SpecFile], SpecFile] | None:
    """What puts networks that were learned, and lie beside the evidence, into a specification that mentions any."""
    if not mentions_surrogate(spec):
        return None
    from verifier.surrogate.answer import beside

    return beside(evidence, spec)


def _canonical(
    certificate: Path,
    model: Path | None,
    spec: Path | None,
    parameters: Mapping[str, str],
    folder: Path,
    only: str,
    told: list[str],
) -> tuple[Path | None, Path | None, Meant | None]:
    """Files for the checker: the user's own where it has readers for them, else translations written to ``folder``.

    Beside them which points are meant, where the question allows more than that. What the specification rests on beside
    these is judged again, and added to ``told``.
    """
    if (model is None or is_onnx(model)) and (spec is None or is_vnnlib(spec)):
        return model, spec, None
    if spec is None or is_vnnlib(spec):
        assert model is not None
        from specs.loading import load_model

        return _model_for_checker(model, load_model(model), folder), spec, None
    from specs.language.vnnlib.writer import write_vnnlib
    from verifier.question import read_question
    from verifier.rests import judged_again

    question = read_question(model, spec, parameters, adjust=with_learned(certificate, spec))
    told += judged_again(question, _record(certificate))
    wanted_model, wanted_query = _hashes(certificate)
    query, file = folder / "query.vnnlib", Path()
    # A file about none of the requirements is judged against the first, so that the checker says what differs.
    meant = [one.stated for one in question.requirements if only in ("", one.id)]
    meant += [one.concrete for one in meant if one.concrete is not None]
    for stated in (*meant, meant[0]):
        problem = stated.problem
        query.write_bytes(write_vnnlib(problem).encode())
        file = _model_for_checker(question.model, problem.graph, folder)
        if sha256_of(query) == wanted_query and (question.model is not None or sha256_of(file) == wanted_model):
            break
    return file, query, stated.meant


def _model_for_checker(model: Path | None, graph: Graph, folder: Path) -> Path:
    if model is not None and is_onnx(model):
        return model
    from specs.loading.onnx_writer import write_onnx

    file = folder / "model.onnx"
    file.write_bytes(write_onnx(graph))
    return file


def _hashes(certificate: Path) -> tuple[str, str]:
    """Of the model and of the query that a file of evidence is about."""
    from verifier.checker.combined import is_about_combined, read_combined
    from verifier.checker.container import read_evidence
    from verifier.checker.errors import CheckError

    try:
        if is_about_combined(certificate):
            combined = read_combined(certificate.read_bytes())
            return combined.model.sha256, combined.query_source.sha256
        evidence = read_evidence(certificate.read_bytes())
    except CheckError as error:
        raise CertificateError(f"{certificate}: {error}") from None
    return evidence.model.sha256, evidence.query.sha256
