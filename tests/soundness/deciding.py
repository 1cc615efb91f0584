"""The whole program on a tiny question, with the checker run in this process instead of one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from verifier.checker.__main__ import main, make_checker
from verifier.checker.check import Checker, Verdict
from verifier.checker.container import Certificate, Witness, read_evidence
from verifier.checker.exact_tree import audit
from verifier.checker.witness import refute
from verifier.engine import decide as decide_module
from verifier.engine.deadline import Deadline
from verifier.engine.decide import Options, Question
from verifier.engine.outcome import Outcome


@dataclass(frozen=True)
class CheckerHere:
    """Stands in for ``CheckerProcess``: the same command line, called as a function (a process costs 0.2 s)."""

    model: Path
    query: Path

    @staticmethod
    def start(model: Path, query: Path, workers: int) -> CheckerHere:
        return CheckerHere(model, query)

    def cases(self, deadline: Deadline) -> tuple[list[int], int]:
        cases = checker_of(self.model, self.query).cases
        return [k for k, case in enumerate(cases) if not case.empty], len(cases)

    def check(self, certificate: Path, deadline: Deadline) -> dict[str, Any] | None:
        arguments = [str(certificate), "--model", str(self.model), "--query", str(self.query), "--workers", "1"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main([*arguments, "--json"])
        answer = json.loads(printed.getvalue())
        assert isinstance(answer, dict)
        return answer

    def __enter__(self) -> CheckerHere:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to end."""


# Ways of splitting, whatever the question, by the constants that say where each begins.
WAYS = {"inputs": {"HEAVY": math.inf}, "phases": {"SPLIT_UP_TO": 0}, "both": {"HEAVY": -1.0}}


def decide_files(
    model: Path, query: Path, certificate: Path, seconds: float = 4.0, way: str = "inputs", **options: Any
) -> Outcome:
    """``decide`` on an ONNX and a VNN-LIB file, with one worker, by one of the WAYS."""
    problem = compile_vnnlib(read_vnnlib(query), load_model(model))
    question = Question(problem, model, query, "the constraints cannot be met")
    settings = Options(seconds=seconds, workers=1, **options)
    with mock.patch.multiple(decide_module, **WAYS[way]):
        return decide_module.decide(question, settings, certificate, {"name": "tests"}, start_checker=CheckerHere.start)


def checker_of(model: Path, query: Path) -> Checker:
    return make_checker(model.read_bytes(), query.read_bytes())


def float_verdict(checker: Checker, path: Path) -> Verdict:
    """What the float checker says about a certificate or a witness file."""
    evidence = read_evidence(path.read_bytes())
    return refute(checker, evidence) if isinstance(evidence, Witness) else checker.check(evidence, None)


def exact_verdict(checker: Checker, path: Path) -> Verdict:
    """What the audit in rational arithmetic says about a certificate file."""
    evidence = read_evidence(path.read_bytes())
    assert isinstance(evidence, Certificate)
    return audit(checker, evidence)
