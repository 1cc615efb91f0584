"""Asking the independent checker about a file: a fresh process that has NumPy and the standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from specs.errors import CertificateError
from verifier.files import is_onnx, is_vnnlib


@dataclass(frozen=True)
class CheckResult:
    """``accepted`` or not, and why; ``margin`` is the slack the proof leaves, None when it states none."""

    accepted: bool
    reason: str
    leaves: int
    margin: float | None
    seconds: float
    exact: bool

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


def run_checker(
    certificate: Path, model: Path | None, spec: Path | None, exact: bool, parameters: Mapping[str, str]
) -> CheckResult:
    """The checker's answer. Files it has no reader for are translated again and handed over in canonical form.

    Raises ``CertificateError`` with the checker's own words when it cannot read something.
    """
    with TemporaryDirectory(prefix="certify-") as folder:
        files = canonical(model, spec, parameters, Path(folder))
        command = [*checker_command(certificate, *files, exact), "--json"]
        done = subprocess.run(command, env=checker_environment(), capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise CertificateError(f"the checker gave no answer (exit code {done.returncode}): {last}") from None
    if "error" in answer:
        raise CertificateError(f"{certificate}: {answer['error']}")
    return CheckResult(
        answer["accepted"], answer["reason"], answer["leaves"], answer["margin"], answer["seconds"], answer["exact"]
    )


def canonical(
    model: Path | None, spec: Path | None, parameters: Mapping[str, str], folder: Path
) -> tuple[Path | None, Path | None]:
    """Files for the checker: the user's own where it has readers for them, else translations written to ``folder``."""
    if (model is None or is_onnx(model)) and (spec is None or is_vnnlib(spec)):
        return model, spec
    from specs.loading import load_model

    model_file, query_file = model, spec
    graph = None
    if spec is not None and not is_vnnlib(spec):
        from specs.language.vnnlib_writer import write_vnnlib
        from verifier.question import read_question

        question = read_question(model, spec, parameters)
        wanted = question.requirements[0]
        graph, model_file = wanted.problem.graph, question.model
        query_file = folder / "query.vnnlib"
        query_file.write_text(write_vnnlib(wanted.problem), encoding="utf-8")
    if model_file is not None and not is_onnx(model_file):
        from specs.loading.onnx_writer import write_onnx

        data = write_onnx(graph if graph is not None else load_model(model_file))
        model_file = folder / "model.onnx"
        model_file.write_bytes(data)
    return model_file, query_file
