"""Specifications with surrogates: everything is read and checked first, then it is asked and learned."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertificateError
from specs.graph import Graph
from specs.language.kinds import special_kind
from specs.language.rates.surrogates import SurrogateQuestion, read_surrogates
from specs.language.rates.trained import adjusted
from specs.language.schema.file import SpecFile
from specs.loading import load_model
from specs.loading.onnx_writer import write_onnx
from verifier.answer import moved, versions
from verifier.places import make_folder
from verifier.report.report import Report
from verifier.statistics.report import StatisticalAnswer
from verifier.surrogate.learning import Learned, learn, surrogate_file
from verifier.surrogate.network import untrained


def learn_and_certify(
    certify: Callable[..., Report],
    model: Any,
    spec: str | Path,
    timeout: float,
    certificate: str | Path | None,
    out: str | Path | None,
    parameters: Mapping[str, str] | None,
    **options: Any,
) -> Report:
    """What ``certify`` reports once every surrogate is learned; the time this takes is part of ``timeout``.

    Files go into ``out``, else beside ``certificate``, else into a folder that does not stay: the ledgers, which a
    later run goes on with, and the networks. Where something could not be learned in time, nothing else is asked.
    """
    deadline = time.monotonic() + timeout
    path, given = None if model is None else Path(model), parameters or {}
    with tempfile.TemporaryDirectory(prefix="certify-") as scratch:
        folder = out or (Path(certificate).parent if certificate is not None else None)
        home = make_folder(Path(folder or scratch))
        learned = learn_surrogates(path, Path(spec), deadline, given, home)
        reason = next((one.reason for one in learned if one.reason), "")
        if reason:
            report = Report((), reason, versions=versions(), fail_on=options["fail_on"])
        else:
            left = max(deadline - time.monotonic(), 1e-3)
            same = {"certificate": certificate, "parameters": parameters, **options}
            trained = {one.question.name: one.file for one in learned}
            report = certify(model, spec, timeout=left, out=home if learned else out, **{**same, "surrogates": trained})
        report = replace(report, learned=learned)
        return report if folder is not None or not learned else _without_files(report)


def learn_surrogates(
    model: Path | None, spec: Path, deadline: float, parameters: Mapping[str, str], home: Path
) -> tuple[Learned, ...]:
    """Learn every surrogate of a specification, by ``deadline``, a reading of ``time.monotonic``.

    The specification is read whole first, so that no question is asked for one that is wrong; the first that cannot
    be learned is the last one. Files go into ``home``. Raises ``CertifyError``.
    """
    if special_kind(spec) in ("axioms", "chain"):
        return ()
    questions = read_surrogates(spec, model, parameters, load_model)
    if questions:
        rehearse(model, spec, parameters, questions)
    found: list[Learned] = []
    for question in questions:
        found.append(learn(question, spec, home, deadline))
        if found[-1].reason:
            break
    return tuple(found)


def describe_learning(model: Path | None, spec: Path, parameters: Mapping[str, str]) -> str:
    """A specification with surrogates in words, "" for every other. Raises ``SpecError``."""
    questions = read_surrogates(spec, model, parameters, load_model)
    return rehearse(model, spec, parameters, questions) if questions else ""


def rehearse(
    model: Path | None, spec: Path, parameters: Mapping[str, str], questions: tuple[SurrogateQuestion, ...]
) -> str:
    """Compile the specification with untrained networks in the place of surrogates; in words. Raises ``SpecError``."""
    from specs.language.load_spec import load_spec
    from specs.language.rates.spec import read_statistical_spec
    from verifier.reach import reach

    kind = special_kind(spec)
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        trained = {}
        for one in questions:
            trained[one.name] = surrogate_file(Path(folder), spec, one.name)
            graph: Graph = untrained(one.arch, np.random.default_rng(0)).graph()
            trained[one.name].write_bytes(write_onnx(graph))
        told = [one.describe() for one in questions]
        if kind in ("statistical", "mixed"):
            told.append(read_statistical_spec(spec, model, parameters, load_model, trained).describe())
        if kind != "statistical":
            told.append(load_spec(spec, model, parameters, reach=reach, adjust=adjusted(trained)).describe())
    return "\n".join(told)


def beside(evidence: Path, spec: Path) -> Callable[[SpecFile], SpecFile]:
    """What puts the networks that lie beside a file of evidence into the specification that it is about.

    It raises ``CertificateError`` where one is not there.
    """

    def adjust(section: SpecFile) -> SpecFile:
        names = [name for name, one in section.overseers.items() if one.surrogate is not None]
        return adjusted(networks_beside(evidence, spec, names))(section)

    return adjust


def networks_beside(evidence: Path, spec: Path, names: Sequence[str]) -> dict[str, Path]:
    """The networks of surrogates that lie beside a file of evidence. Raises ``CertificateError`` where one does not."""
    files = {name: surrogate_file(evidence.parent, spec, name) for name in names}
    absent = [file.name for file in files.values() if not file.is_file()]
    if absent:
        raise CertificateError(f"{evidence}: the network that was learned, {absent[0]}, is not beside it")
    return files


def _without_files(report: Report) -> Report:
    """The report without the paths of files in a folder that is about to go."""
    answers = [
        one.without_files() if isinstance(one, StatisticalAnswer) else replace(one, outcome=moved(one.outcome, None))
        for one in report.requirements
    ]
    learned = tuple(replace(one, file=Path()) for one in report.learned)
    return replace(report, requirements=tuple(answers), learned=learned)
