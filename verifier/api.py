"""The whole public API: ``certify`` answers a question, ``check`` judges a certificate, ``load`` reads a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.errors import CertifyError
from specs.graph import Graph
from specs.language.kinds import mentions_surrogate, special_kind
from specs.loading import load_model
from specs.property import Severity
from verifier.answer import Settings, answer
from verifier.certificate.checking import CheckerProcess
from verifier.checking import CheckResult, run_checker
from verifier.engine.decide import DEFAULT_MEMORY_MB, ORDERS
from verifier.engine.phases.tier import DEVICES
from verifier.engine.scheduler import Progress
from verifier.files import is_yaml
from verifier.places import make_folder, places
from verifier.processors import processors
from verifier.question import Question, read_question
from verifier.report.report import SEVERITIES, Report
from verifier.special import answer_rates, answer_special, joined

if TYPE_CHECKING:
    from specs.language.guards import GuardPlan
    from specs.language.monitors import MonitorPlan
    from specs.language.schema.file import SpecFile

__all__ = ["CheckResult", "Report", "certify", "check", "load"]


def certify(
    model: Any,
    spec: str | Path,
    *,
    example_inputs: Sequence[Any] | None = None,
    timeout: float = 60.0,
    workers: int | None = None,
    seed: int | None = None,
    certificate: str | Path | None = None,
    out: str | Path | None = None,
    parameters: Mapping[str, str] | None = None,
    methods: Sequence[str] = (),
    branching: str = "gap",
    order: str = "depth-first",
    memory_mb: float | None = None,
    device: str = "auto",
    fail_on: Severity = "benign",
    progress: Callable[[Progress], None] = lambda progress: None,
    start_checker: Callable[[Path, Path, int], CheckerProcess] = CheckerProcess.start,
    surrogates: Mapping[str, Path] | None = None,
) -> Report:
    """Decide every requirement of ``spec`` about ``model`` within ``timeout`` seconds, the checks included.

    ``model`` is a file, None when the specification names it or is about polynomials, or a ``torch.nn.Module``, which
    is then exported with ``example_inputs``. Certificates go to ``certificate`` (one per requirement, the id inserted
    when there are several) or into the folder ``out``; without either they are checked and not kept.
    ``parameters`` are values of the specification's parameters, ``workers`` processes (default: the processors).
    ``branching`` names the rule that picks the input to split, ``order`` which open boxes come first (``depth-first``,
    ``best-first``); ``memory_mb`` bounds the search tree.
    ``device`` (``auto``, ``cpu``, ``gpu``) is where long searches run what JAX compiles; proofs do not depend on it.
    ``fail_on`` is the mildest severity that counts for the verdict of the whole (``malign``, ``benign``, ``info``).
    ``progress`` is called now and then during the search; ``start_checker`` may hand over a checker already running.
    ``surrogates`` are the networks of overseers that are learned from answers, by name; None: they are learned first.

    Raises ``CertifyError`` when the question cannot be read and ``SoundnessError`` when a sampled input contradicts an
    accepted proof. Running out of time or memory is a result: ``unknown``.
    """
    given = dict(locals())
    if surrogates is None and example_inputs is None and is_yaml(Path(spec)) and mentions_surrogate(Path(spec)):
        from verifier.surrogate.answer import learn_and_certify

        return learn_and_certify(certify, **given)
    started = time.monotonic()
    if not timeout > 0:
        raise CertifyError(f"the timeout has to be a positive number of seconds, not {timeout}")
    if workers is not None and workers < 1:
        raise CertifyError(f"the number of workers has to be at least 1, not {workers}")
    if model is None and example_inputs is None and is_yaml(Path(spec)):
        from specs.language.polynomials.spec import is_polynomial_spec

        if is_polynomial_spec(Path(spec)):
            from verifier.polynomials.answer import answer_polynomials

            report = answer_polynomials(
                Path(spec), started + timeout, parameters or {}, methods, seed, _path(certificate), _path(out)
            )
            return _finished(report, fail_on, _path(out))
    kind = special_kind(Path(spec)) if is_yaml(Path(spec)) else ""
    if kind and example_inputs is None:
        options = {"workers": workers, "seed": seed, "device": device}
        until = started + timeout
        special = answer_special(
            kind, _path(model), Path(spec), until, parameters or {}, certify, options, _path(out), surrogates
        )
        if special is not None:
            return _finished(special, fail_on, _path(out))
    if example_inputs is not None:
        if kind in ("statistical", "mixed"):
            raise CertifyError("a statistical requirement names its model by a hash: save the module to a file first")
        question = read_question(MODULE, Path(spec), parameters or {}, _module_loader(model, example_inputs))
    else:
        question = read_question(_path(model), Path(spec), parameters or {}, adjust=_adjust(surrogates))
    ids = [requirement.id for requirement in question.requirements]
    place = places(_path(certificate), _path(out), Path(spec), ids)
    settings = Settings(
        deadline=started + timeout,
        workers=workers or question.engine.workers or processors(),
        seed=seed if seed is not None else question.engine.seed or 0,
        branching=known_branching(branching),
        depth_first=known_order(order) == "depth-first",
        memory_mb=memory_mb or question.engine.memory_mb or DEFAULT_MEMORY_MB,
        device=known_device(device),
        methods=known_methods(methods or question.engine.methods),
        place=place,
        reproducers=Path(out) if out else Path.cwd(),
        progress=progress,
        start_checker=start_checker,
    )
    known_severity(fail_on)
    read = {"read": time.monotonic() - started}
    rates = None
    if kind == "mixed":
        half = started + timeout / 2
        rates = answer_rates(_path(model), Path(spec), half, parameters or {}, _path(out), surrogates)
    if rates is not None and rates.reason:  # it was stopped
        settings = replace(settings, deadline=time.monotonic())
    report = answer(question, settings, read)
    report = report if rates is None else joined(report, rates)
    report = _finished(report, fail_on, _path(out))
    report = report if question.monitor is None else _monitored(report, question.monitor, _path(out))
    return report if question.guard is None else _guarded(report, question, question.guard, _path(out))


def _finished(report: Report, fail_on: Severity, out: Path | None) -> Report:
    """The report with what counts in it. A baseline that is asked for is written into ``out`` if no gate is missed."""
    report = replace(report, fail_on=known_severity(fail_on))
    if report.gates.writes_baseline and out is not None and not report.missed:
        (make_folder(out) / BASELINE).write_text(report.baseline_text(), encoding="utf-8")
    return report


def _monitored(report: Report, plan: MonitorPlan, out: Path | None) -> Report:
    """The report with the monitor, written into ``out`` where its requirement is certified."""
    from verifier.certificate.monitor import export_monitor

    found = report[plan.requirement]
    return replace(report, monitor=export_monitor(plan, found.requirement, found.verdict == "certified", out))


def _guarded(report: Report, question: Question, plan: GuardPlan, out: Path | None) -> Report:
    """The report with the guard, written into ``out`` where its requirement is certified."""
    from verifier.certificate.guard import export_guard

    found = report[plan.requirement]
    assert question.guard_at is not None
    certified = found.verdict == "certified"
    return replace(report, guard=export_guard(plan, question.guard_at, found.requirement, certified, out))


def check(
    certificate: str | Path,
    model: str | Path | None = None,
    spec: str | Path | None = None,
    *,
    exact: bool = False,
    parameters: Mapping[str, str] | None = None,
) -> CheckResult:
    """The independent checker's judgement of a certificate or witness, from a fresh process.

    With ``model`` and ``spec`` the file also has to be about exactly these. ``exact`` proves every leaf a second time
    in rational arithmetic. Raises ``CertificateError`` when the file, the model or the query cannot be read.
    """
    return run_checker(Path(certificate), _path(model), _path(spec), exact, parameters or {})


def load(path: str | Path) -> Graph:
    """The graph of a model file. Raises ``ModelError``; nothing in the file is executed."""
    return load_model(path)


BASELINE = "baseline.json"
MODULE = Path("module")  # stands for the file that a model in memory has not got
METHODS = ("pgd", "ibp", "crown", "alpha-crown", "lp", "sdp", "milp", "smt", "bab")


def _module_loader(module: Any, example_inputs: Sequence[Any]) -> Callable[..., Graph]:
    from specs.loading.torchscript import from_module

    def load(path: Path, **options: Any) -> Graph:
        if options:
            raise CertifyError(f"a module in memory takes no {', '.join(options)} in its specification")
        return from_module(module, example_inputs, type(module).__name__)

    return load


def _adjust(surrogates: Mapping[str, Path] | None) -> Callable[[SpecFile], SpecFile] | None:
    """What puts the networks of surrogates into a specification."""
    if not surrogates:
        return None
    from specs.language.rates.trained import adjusted

    return adjusted(surrogates)


def _path(file: str | Path | None) -> Path | None:
    return None if file is None else Path(file)


def known_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """The methods, or an error that names every one that is not known."""
    _known("method", methods, METHODS)
    return tuple(methods)


def known_order(order: str) -> str:
    """The order, or an error that names the known ones."""
    _known("order", [order], ORDERS)
    return order


def known_device(device: str) -> str:
    """The device, or an error that names the known ones."""
    _known("device", [device], DEVICES)
    return device


def known_severity(severity: Severity) -> Severity:
    """The severity, or an error that names the known ones."""
    _known("severity", [severity], SEVERITIES)
    return severity


def known_branching(rule: str) -> str:
    from verifier.engine.branching import RULES

    _known("branching rule", [rule], tuple(RULES))
    return rule


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    wrong = [name for name in names if name not in known]
    if wrong:
        from specs.language.text.suggest import did_you_mean

        told = "; ".join(f"unknown {what} {name!r}{did_you_mean(name, known)}" for name in wrong)
        raise CertifyError(f"{told} (known are {', '.join(known)})")
