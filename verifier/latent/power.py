"""The least radius at which an adversary that writes into a layer makes networks fail, from below and from above.

An adversary that beats even a network with one safe answer for everything is too strong: what it finds says nothing of
the network. One that does not beat a network with random weights is too weak to say much. Sets of a smaller radius are
part of those of a larger one, so a verdict at one radius holds for all on its side, and bisection brackets the least
radius: every lower end is proved and checked, every upper end attained by a state that is replayed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.language.schema.file import Calibration, SpecFile
from specs.loading import load_model
from verifier.answer import Settings, answer
from verifier.latent.baselines import constant_safe, random_init
from verifier.question import Question, read_question
from verifier.report.report import Report

RESOLUTION = 1.05  # of the ends of a bracket
LARGEST = 64  # times the radius of the specification
CANDIDATES = 12  # inputs whose answers are tried as the safe one


@dataclass(frozen=True)
class Bracket:
    """The network fails at the radius ``attained`` (inf: at none that was tried), and at none up to ``proved``.

    ``proved`` is -1 where nothing is proved. ``at`` are the verdicts by radius.
    """

    name: str
    proved: float
    attained: float
    at: Mapping[float, str]


@dataclass(frozen=True)
class Power:
    """Brackets of all networks; ``radius`` is that of the specification, ``asked`` what it says of a baseline."""

    input: str
    radius: float
    brackets: tuple[Bracket, ...]
    asked: Calibration | None

    def fails(self, name: str) -> str:
        """Whether the baselines of this name fail at the radius of the specification: yes, no, or unknown."""
        found = {_at(one, self.radius) for one in self.brackets if one.name.startswith(name)}
        return found.pop() if len(found) == 1 else "unknown" if "unknown" in found else "some"

    @property
    def too_strong(self) -> str:
        return self.fails("constant-safe")

    @property
    def missed(self) -> str:
        """What the specification expects of its baseline and is not so; nothing where all is as expected."""
        if self.asked is None:
            return ""
        found, wanted = self.fails(self.asked.baseline), "yes" if self.asked.must_fail else "no"
        what = "has to fail" if self.asked.must_fail else "must not fail"
        return "" if found == wanted else f"{self.asked.baseline} {what} at {self.radius:g}: {found}"

    def text(self) -> str:
        lines = [f"{'network':<18}{'no failure up to':>18}{'fails at':>14}"]
        for one in self.brackets:
            proved = f"{one.proved:.6g}" if one.proved >= 0 else "-"
            lines.append(f"{one.name:<18}{proved:>18}{f'{one.attained:.6g}' if one.attained < math.inf else '-':>14}")
        strong = {"yes": "too strong", "no": "not too strong"}.get(self.too_strong, "perhaps too strong")
        weak = {"yes": "beats", "no": "does not beat"}.get(self.fails("random-init"), "beats some of the")
        lines.append(f"At {self.radius:g}, the radius of {self.input}, the adversary is {strong}: a network with one "
                     f"safe answer fails: {self.too_strong}. It {weak} networks with random weights.")  # fmt: skip
        return "\n".join(lines + ([f"gate missed: {self.missed}"] if self.missed else []))

    def to_json(self) -> dict[str, Any]:
        return {
            "input": self.input,
            "radius": self.radius,
            "too_strong": self.too_strong,
            "missed": self.missed,
            "networks": [
                {
                    "name": one.name,
                    "proved": one.proved if one.proved >= 0 else None,
                    "attained": one.attained if one.attained < math.inf else None,
                    "at": {f"{radius:g}": verdict for radius, verdict in sorted(one.at.items())},
                }
                for one in self.brackets
            ],
        }


def _at(one: Bracket, radius: float) -> str:
    return "yes" if one.attained <= radius else "no" if one.proved >= radius else "unknown"


def calibrate(
    model: Path | None, spec: Path, parameters: Mapping[str, str], seconds: float, samples: int = 3, seed: int = 0
) -> Power:
    """Brackets for the network itself, ``samples`` networks with random weights, and one with one safe answer.

    Raises ``CertifyError`` where the specification has no ball on what is written into a layer.
    """
    started = time.monotonic()
    asked = _Asked(model, spec, parameters, seed)
    made: list[tuple[str, Callable[[], Graph]]] = [("the network", lambda: asked.graph)]
    made += [
        (f"random-init {k}", lambda k=k: random_init(asked.graph, seed + k))
        for k in range(samples)  # type: ignore[misc]
    ]
    made.append(("constant-safe", lambda: asked.safe(started + seconds)))
    brackets = []
    for number, (name, make) in enumerate(made):
        until = time.monotonic() + (started + seconds - time.monotonic()) / (len(made) - number)
        brackets.append(_bracket(name, asked, make(), until))
    return Power(asked.input, float(asked.radius), tuple(brackets), asked.calibration)


class _Asked:
    """The question at any radius, about any network in the place of the one that is written into."""

    def __init__(self, model: Path | None, spec: Path, parameters: Mapping[str, str], seed: int) -> None:
        self.model, self.spec, self.parameters, self.seed = model, spec, parameters, seed
        self.input, self.radius = "", Fraction(0)
        self.calibration: Calibration | None = None
        self.loaded: dict[Path, Graph] = {}
        self.path = Path()
        self._read(None, None)
        self.graph = self.loaded[self.path]

    def report(self, graph: Graph, radius: Fraction, seconds: float) -> Report:
        """The answer about ``graph`` at ``radius``, of the requirements that depend on what is written."""
        question = self._read(graph, radius)
        settings = Settings(deadline=time.monotonic() + seconds, workers=1, seed=self.seed)
        return answer(question, settings, {})

    def safe(self, deadline: float) -> Graph:
        """A network with one answer, one of the network's own, with which the requirements hold at the radius 0."""
        rng = np.random.default_rng(self.seed)
        given = [one for one in self.given if one.size == self.graph.input_size]
        for k in range(CANDIDATES if given else 0):
            x = _sampled(given[0], k, rng)
            made = constant_safe(self.graph, self.graph.evaluate_flat(x).tolist())
            if time.monotonic() > deadline:
                break
            if self.report(made, Fraction(0), deadline - time.monotonic()).verdict == "certified":
                return made
        raise CertifyError("no answer of the network was found that is safe whatever the input is")

    def _read(self, graph: Graph | None, radius: Fraction | None) -> Question:
        def load(path: Path, **options: Any) -> Graph:
            if path not in self.loaded:
                self.loaded[path] = load_model(path, **options)
            return graph if graph is not None and path == self.path else self.loaded[path]

        def adjust(section: SpecFile) -> SpecFile:
            written = {name: one for name, one in section.inputs.items() if one.inject is not None and one.ball}
            if len(written) != 1:
                raise CertifyError(
                    f"{self.spec}: needs one input with `inject` and a `ball`, whose radius is varied; "
                    f"found {', '.join(written) or 'none'}"
                )
            ((name, one),) = written.items()
            assert one.ball is not None
            if radius is None:
                self.input, self.radius = name, one.ball.eps
                if not self.radius:
                    raise CertifyError(f"{self.spec}: the ball of {name} has the radius 0")
                self.calibration = section.adversary.calibrate_power if section.adversary is not None else None
                return section
            ball = one.ball.model_copy(update={"eps": radius})
            return section.model_copy(
                update={"inputs": {**section.inputs, name: one.model_copy(update={"ball": ball})}}
            )

        question = read_question(self.model, self.spec, self.parameters, load, adjust)
        about = tuple(
            one
            for one in question.requirements
            if one.inputs is not None and self.input in [part.strip() for part in one.inputs.name.split(",")]
        )
        if not about:
            raise CertifyError(f"{self.spec}: no requirement depends on {self.input}")
        if radius is None:
            inputs = [one.inputs for one in about]
            sets = [part for one in inputs for part in getattr(one, "sets", (one,))]
            self.given = [part for part in sets if not part.role]
            role = next(part.role for part in sets if part.name == self.input)
            name = role.rpartition(" of ")[2]
            self.path = question.files[f"model {name}"]
        return Question(question.model, question.spec, question.query, about, question.engine, files=question.files)


def _bracket(name: str, asked: _Asked, graph: Graph, until: float) -> Bracket:
    """Bisection, from the radius of the specification on."""
    proved, attained = Fraction(-1), math.inf
    at: dict[float, str] = {}

    def ask(radius: Fraction) -> str:
        nonlocal proved, attained
        left = until - time.monotonic()
        if left <= 0:
            return "unknown"
        report = asked.report(graph, radius, max(left / 3, min(left, 1.0)))
        at[float(radius)] = report.verdict
        if report.verdict == "certified":
            proved = max(proved, radius)
        elif report.verdict == "violated":
            attained = min(attained, float(radius))
        return report.verdict

    radius = asked.radius
    verdict = ask(radius)
    while verdict == "certified" and radius < LARGEST * asked.radius:
        radius *= 2
        verdict = ask(radius)
    if verdict == "violated" and proved < 0:
        verdict = ask(Fraction(0))
    low, high = proved, attained
    while (
        verdict != "unknown"
        and low >= 0
        and high < math.inf
        and high > RESOLUTION * max(float(low), 1e-3 * float(asked.radius))
    ):
        middle = Fraction(round((float(low) + high) / 2 * 2**20 / float(asked.radius)), 2**20) * asked.radius
        verdict = ask(middle)
        low, high = proved, attained
    return Bracket(name, float(proved), attained, at)


def _sampled(one: Any, k: int, rng: np.random.Generator) -> list[float]:
    """The ``k``-th candidate input, as networks consume it."""
    if one.points:
        raw = one.points[k % len(one.points)]
    else:
        low, up = ([float(v) for v in side] for side in (one.lower, one.upper))
        raw = [a + (b - a) * (0.5 if k == 0 else rng.random()) for a, b in zip(low, up)]
    return [float(v) for v in one.to_model(raw)]
