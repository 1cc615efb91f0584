"""Answering a question: every requirement decided within one limit of time, evidence moved to its place."""

from __future__ import annotations

import hashlib
import math
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import verifier
from specs.errors import SpecError
from specs.hashes import sha256_of
from specs.language.gates import exactly
from verifier.certificate.checking import CheckerProcess
from verifier.checking import VALUE_OF, audit
from verifier.engine import decide as engine
from verifier.engine.decide import DEFAULT_MEMORY_MB
from verifier.engine.outcome import Outcome, RelaxedAttack
from verifier.engine.phases.drive import Moments
from verifier.engine.scheduler import Progress
from verifier.interruption import Stopped
from verifier.premises import premises, withdrawn
from verifier.question import Question, Requirement
from verifier.report.expanded import contradicted, expansion_in_words
from verifier.report.natural import covers_natural, naturalness_in_words
from verifier.report.report import Answer, Report
from verifier.rests import rechecked, resting_on_chains
from verifier.solving.abstract import carried, of_inputs_in_words, on_inputs
from verifier.solving.kinks import off_kinks
from verifier.solving.meant import as_meant
from verifier.solving.solve import is_sought, solve
from verifier.soundness import SoundnessError, contradiction, save_reproducer

if TYPE_CHECKING:
    from verifier.latent.rounding import Rounded


@dataclass(frozen=True)
class Settings:
    """How to answer. ``place`` tells where a requirement's certificate goes; None: evidence is checked, not kept.

    ``deadline`` is a reading of ``time.monotonic``.
    """

    deadline: float
    workers: int
    seed: int = 0
    branching: str = "gap"
    depth_first: bool = True
    memory_mb: float = DEFAULT_MEMORY_MB
    device: str = "auto"
    methods: tuple[str, ...] = ()
    place: Callable[[str], Path] | None = None
    reproducers: Path = field(default_factory=Path.cwd)
    progress: Callable[[Progress], None] = lambda progress: None
    start_checker: Callable[[Path, Path, int], CheckerProcess] = CheckerProcess.start


def versions() -> dict[str, str]:
    """What took part, for the record."""
    return {"certify": verifier.__version__, "python": platform.python_version(), "numpy": np.__version__}


def answer(question: Question, settings: Settings, seconds: dict[str, float]) -> Report:
    """Decide every requirement. Raises ``SoundnessError`` when sampling contradicts an accepted proof.

    A ``Stopped`` ends the search; what is known by then is reported and what is left is unknown.
    """
    hashes = {**_model_hashes(question), "spec": sha256_of(question.spec)}
    seen = versions()
    chains = rechecked(question.assumptions, settings.deadline)
    answers: list[Answer] = []
    stopped = ""
    for number, requirement in enumerate(question.requirements):
        started = time.monotonic()
        if stopped:
            outcome = Outcome("unknown", stopped, math.inf, -math.inf)
        else:
            share = (settings.deadline - started) / (len(question.requirements) - number)
            limit = min(share, question.engine.seconds or math.inf)
            if is_sought(requirement):
                answers.append(_solved(question, requirement, settings, limit, hashes))
                stopped = answers[-1].reason if answers[-1].outcome.stopped else ""
                continue
            outcome, stopped = _decide(question, requirement, settings, limit, hashes)
            if requirement.stated.concrete is not None and not stopped:
                left = settings.deadline - time.monotonic()
                deciding = partial(_decide, hashes=hashes)
                requirement, outcome = on_inputs(question, requirement, outcome, settings, left, deciding)
        if outcome.verdict == "unknown" and outcome.relaxed is None:
            outcome = replace(outcome, relaxed=_fallback(question, requirement, settings))
        answers.append(Answer(requirement, outcome, time.monotonic() - started, seen, hashes))
    found = {answer.id: answer for answer in answers}
    answers = [carried(one, found) for one in answers]
    answers = [resting_on_chains(one, chains) for one in _resting(question, answers)]
    total = {**seconds, "decide": sum(a.seconds for a in answers)}
    known = {answer.id: answer for answer in answers}
    for answer in filter(partial(contradicted, known=known), answers):
        wrong = f"{answer.requirement.stated.expands} is violated, and {answer.id}, which demands more, is certified"
        raise _contradicted(wrong, question, answer.requirement, settings, answer.outcome)
    told = [replace(answer, natural=_natural(answer, known)) for answer in answers]
    told = [replace(answer, realised=_realised(question, answer, settings, hashes)) for answer in told]
    told = [replace(answer, notes=_notes(question, answer, known)) for answer in told]
    return Report(tuple(told), "", total, seen, hashes, question.gates, listings=question.listings)


def _realised(question: Question, answer: Answer, settings: Settings, hashes: Mapping[str, str]) -> Rounded | None:
    """What comes of looking for an input that does what an attack from inside does; None where none is asked for."""
    attack, inputs = answer.attack, answer.requirement.inputs
    if question.rounding is None or attack is None or not any(one.role for one in getattr(inputs, "sets", ())):
        return None
    from verifier.latent.rounding import rounded

    found = answer.solution
    values = {found.wanted.name: exactly(found.refuted)} if found is not None and found.refuted is not None else {}
    return rounded(
        question, answer.requirement, attack, settings, lambda clean, one: _recorded(clean, hashes, one), values
    )


def _natural(answer: Answer, known: Mapping[str, Answer]) -> str:
    """What a proof about states, or about what an abstraction may give, says of inputs."""
    of_abstraction = answer.requirement.stated.concrete is not None
    return of_inputs_in_words(answer, known) if of_abstraction else covers_natural(answer, known)


def _notes(question: Question, answer: Answer, known: Mapping[str, Answer]) -> tuple[str, ...]:
    realised = "" if answer.realised is None else answer.realised.words
    notes = (expansion_in_words(answer, known), *naturalness_in_words(answer, question.naturals), realised)
    return tuple(note for note in notes if note)


def _resting(question: Question, answers: Sequence[Answer]) -> list[Answer]:
    """The answers with what they rest on; a claim that does not survive an error allowed for is none any more."""
    kept = [_surviving(a, withdrawn(a.requirement, a.outcome, question.assumptions)) for a in answers]
    known = premises(question.assumptions, {a.id: a.verdict for a in kept})
    return [replace(a, premises=tuple(p for p in known if p.assumption.concerns(a.id))) for a in kept]


def _surviving(answer: Answer, outcome: Outcome) -> Answer:
    """The answer with the outcome that survives; what was solved for is then about overseers without errors."""
    lost = answer.verdict == "certified" and outcome.verdict != "certified"
    solution = replace(answer.solution, as_they_are=True) if lost and answer.solution is not None else answer.solution
    return replace(answer, outcome=outcome, solution=solution)


def _solved(
    question: Question, requirement: Requirement, settings: Settings, limit: float, hashes: Mapping[str, str]
) -> Answer:
    """The answer about a requirement with a parameter that is to be found."""
    started = time.monotonic()
    decide, producer = partial(_decide, hashes=hashes), partial(_recorded, question, hashes)
    found, outcome, solution = solve(question, requirement, settings, limit, decide, producer)
    return Answer(found, outcome, time.monotonic() - started, versions(), dict(hashes), solution=solution)


def _decide(
    question: Question, requirement: Requirement, settings: Settings, limit: float, hashes: Mapping[str, str]
) -> tuple[Outcome, str]:
    """The outcome, and why the search was stopped if it was."""
    last = [Progress(math.inf, -math.inf, 0, 0)]

    def watch(progress: Progress) -> None:
        last[0] = progress
        settings.progress(progress)

    try:
        outcome = _evidence(question, requirement, settings, limit, hashes, watch)
        return outcome, outcome.reason if outcome.stopped else ""
    except (Stopped, MemoryError) as stop:
        reason = stop.reason if isinstance(stop, Stopped) else "memory"
        known = last[0]
        outcome = Outcome("unknown", reason, known.attained, known.proved, stats={"nodes": known.nodes})
        return outcome, reason if isinstance(stop, Stopped) else ""
    except SpecError as error:  # the engine knows of no file
        raise SpecError(error.message, question.spec, requirement.stated.line) from None


def _evidence(
    question: Question,
    requirement: Requirement,
    settings: Settings,
    limit: float,
    hashes: Mapping[str, str],
    watch: Callable[[Progress], None],
) -> Outcome:
    """The engine's outcome, its files moved to their place once accepted: no unchecked file ever bears the name."""
    home = settings.place(requirement.id) if settings.place is not None else None
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=home.parent if home else None) as folder:
        recorded = _recorded(question, hashes, requirement)
        outcome = engine.decide(
            _asked(question, requirement),
            engine.Options(
                max(limit, 0.0),
                settings.workers,
                settings.seed,
                settings.branching,
                settings.depth_first,
                _pgd(settings),
                settings.memory_mb,
                settings.device,
                _moments(settings),
                tuple(name for name in settings.methods if name in OF_WHOLE_BOXES),
                _searches(settings),
            ),
            Path(folder) / (home.name if home else "proof.nncert"),
            recorded,
            watch,
            settings.start_checker,
        )
        if outcome.proof is not None and "exact" in _wanted(question, requirement):
            outcome = _audited(outcome, requirement, settings)
        if outcome.verdict == "violated" and requirement.stated.kinks is not None:
            outcome = off_kinks(question, requirement, outcome, Path(folder), recorded, settings)
        if requirement.stated.decided and outcome.proof is not None:
            outcome = replace(outcome, attained=0.0, proved=0.0)
        if outcome.verdict == "violated" and requirement.stated.meant is not None:
            outcome = as_meant(question, requirement, outcome, Path(folder), recorded, settings, limit)
        wrong = contradiction(requirement.stated, outcome)
        if wrong:
            raise _contradicted(wrong, question, requirement, settings, outcome)
        return moved(_extrapolated(outcome, question, requirement, settings), home)


def _extrapolated(outcome: Outcome, question: Question, requirement: Requirement, settings: Settings) -> Outcome:
    """The outcome with the extrapolation of its relaxed attack, where one is asked for."""
    relaxed = outcome.relaxed
    if question.extrapolate is None or relaxed is None or relaxed.path is None:
        return outcome
    from verifier.relaxed.emit import emit_extrapolation

    left = max(settings.deadline - time.monotonic(), 0.0)
    stated = requirement.stated
    made = emit_extrapolation(stated.problem, stated.inputs, relaxed.path, question.extrapolate, left)
    return replace(outcome, relaxed=replace(relaxed, extrapolated=made))


def _fallback(question: Question, requirement: Requirement, settings: Settings) -> RelaxedAttack | None:
    """The relaxed attack of a requirement that was not decided at all, or whose proof was not good enough."""
    home = settings.place(requirement.id) if settings.place is not None else None
    with tempfile.TemporaryDirectory(prefix=".certify-", dir=home.parent if home else None) as folder:
        certificate = Path(folder) / (home.name if home else "proof.nncert")
        try:
            relaxed = engine.fallback(_asked(question, requirement), certificate, versions())
        except (Stopped, MemoryError):
            return None
        if relaxed is None or relaxed.path is None:
            return relaxed
        return replace(relaxed, path=relaxed.path.replace(home.parent / relaxed.path.name) if home else None)


def _asked(question: Question, requirement: Requirement) -> engine.Question:
    return engine.Question(requirement.stated.problem, question.model, question.query, requirement.claim)


def _wanted(question: Question, requirement: Requirement) -> tuple[str, str]:
    """The weakest class of claim that settles a requirement, and the one that the gates ask for."""
    stated = requirement.stated
    return stated.accept_class, question.gates.require_class.get(stated.severity, "heuristic")


def _audited(outcome: Outcome, requirement: Requirement, settings: Settings) -> Outcome:
    """A certified outcome whose proof was checked in rational arithmetic too, where that worked.

    Where it did not, the outcome is unknown if the requirement accepts exact proofs only; a gate does not change it.
    """
    assert outcome.proof is not None
    left = settings.deadline - time.monotonic()
    if left > 0 and audit(outcome.proof.path, left):
        return replace(outcome, proof=replace(outcome.proof, exact=True))
    if requirement.stated.accept_class != "exact":
        return outcome
    reason = "class: proved in outward-rounded float64, but not in rational arithmetic within the time"
    return Outcome("unknown", reason, outcome.attained, outcome.proved, stats=outcome.stats)


OF_WHOLE_BOXES = ("sdp", "lp", "milp", "smt")
ALONE = ("lp", "milp", "smt")  # with nothing else named but an attack, no search follows


def _searches(settings: Settings) -> bool:
    """Whether boxes and phases are split."""
    alone = set(settings.methods) & set(ALONE)
    return not alone or bool(set(settings.methods) - {"pgd", *ALONE})


def _pgd(settings: Settings) -> bool:
    return not settings.methods or "pgd" in settings.methods


def _moments(settings: Settings) -> Moments:
    """Where methods are named Shor's relaxation comes first or not at all."""
    if not settings.methods:
        return "later"
    return "first" if "sdp" in settings.methods else "never"


def moved(outcome: Outcome, home: Path | None) -> Outcome:
    """The outcome with its files where they belong; with paths that are empty when nothing is kept."""
    proof, attack, relaxed = outcome.proof, outcome.attack, outcome.relaxed
    if proof is not None:
        proof = replace(proof, path=proof.path.replace(home) if home else Path())
    if attack is not None:
        attack = replace(attack, path=_placed(attack.path, home))
    if relaxed is not None:
        made = relaxed.extrapolated
        if made is not None:
            made = replace(made, path=_placed(made.path, home), table=_placed(made.table, home))
        relaxed = replace(relaxed, path=_placed(relaxed.path, home), extrapolated=made)
    return replace(outcome, proof=proof, attack=attack, relaxed=relaxed)


def _placed(file: Path | None, home: Path | None) -> Path | None:
    """The file moved beside the place of the certificate; None where nothing is kept."""
    return file.replace(home.parent / file.name) if file is not None and home is not None else None


def _contradicted(
    wrong: str, question: Question, requirement: Requirement, settings: Settings, outcome: Outcome
) -> SoundnessError:
    details = {
        "requirement": requirement.id,
        "claim": requirement.claim,
        "attained": outcome.attained,
        "proved": outcome.proved,
        "seed": settings.seed,
        "workers": settings.workers,
        "branching": settings.branching,
        "versions": versions(),
    }
    evidence = [part.path for part in (outcome.proof, outcome.attack) if part is not None]
    folder = save_reproducer(settings.reproducers, question.models, question.spec, evidence, details)
    return SoundnessError(f"requirement {requirement.id}: {wrong}", folder)


def _model_hashes(question: Question) -> dict[str, str]:
    """Of every model's file; a model that has none is known by the canonical copy its certificates embed."""
    if question.model is None:
        return {name: sha256_of(file) for name, file in question.files.items()}
    if question.model.is_file() or not question.requirements:
        return {"model": sha256_of(question.model)}
    from specs.loading.onnx_writer import write_onnx

    return {"model": hashlib.sha256(write_onnx(question.requirements[0].stated.problem.graph)).hexdigest()}


def _recorded(question: Question, hashes: Mapping[str, str], requirement: Requirement) -> dict[str, str]:
    """What evidence says of where it comes from, for the record: versions, a parameter's value, composed files."""
    solved = requirement.stated.solved
    value = {} if solved is None else {VALUE_OF + solved.name: exactly(solved.value)}
    files = {f"sha256 of {name}": digest for name, digest in hashes.items()} if question.model is None else {}
    return {**versions(), **value, **files}
