"""The same violation for another value of a parameter: no search, but evidence of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from specs.errors import CertificateError
from specs.problem import Case
from verifier.attack.witness import replay
from verifier.certificate.checking import CheckerProcess
from verifier.certificate.sources import sources
from verifier.engine.deadline import Deadline
from verifier.engine.evidence import Evidence
from verifier.engine.outcome import Attack
from verifier.question import Question, Requirement

StartChecker = Callable[[Path, Path, int], CheckerProcess]


def witness_at(
    question: Question,
    requirement: Requirement,
    point: tuple[Fraction, ...],
    certificate: Path,
    producer: Mapping[str, str],
    start_checker: StartChecker,
    seconds: float,
) -> Attack | None:
    """A violation at ``point``, replayed and accepted by the checker, or None; its file is beside ``certificate``."""
    problem, deadline = requirement.stated.problem, Deadline.after(seconds)
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        bound_to = sources(problem, question.model, question.query, Path(folder))
        with start_checker(bound_to.model_file, bound_to.query_file, 1) as checker:
            evidence = Evidence(checker, bound_to, requirement.claim, dict(producer), certificate, len(problem.cases))
            for k, case in enumerate(problem.cases):
                ran = replay(evidence.onnx(), problem.graph, case, point) if _holds(case, point) else None
                if ran is None or not ran.violates:
                    continue
                try:
                    proved, path = evidence.refute(k, point, deadline)
                except CertificateError:
                    return None
                if proved:
                    return Attack(point, ran.outputs, k, _value(case, point, ran.outputs), proved, path)
    return None


def _holds(case: Case, point: tuple[Fraction, ...]) -> bool:
    inside = all(low <= x <= up for low, x, up in zip(case.box.lower, point, case.box.upper, strict=True))
    return inside and (case.ball is None or case.ball.holds(point))


def _value(case: Case, point: tuple[Fraction, ...], outputs: list[float]) -> float:
    """The largest of the case's rows."""
    sums = (
        row.constant + sum(c * point[i] for i, c in row.x) + sum(c * Fraction(outputs[j]) for j, c in row.y)
        for row in case.any_of
    )
    return float(max(sums, default=Fraction(0)))
