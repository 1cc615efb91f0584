"""The report: one frozen value that says everything the command prints or writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from specs.joint import JointSet
from specs.language.gates import Gates, Miss, exactly
from specs.property import Severity
from specs.sets import InputSet
from verifier.engine.outcome import Attack, Extrapolated, Outcome, Proof, RelaxedAttack, Verdict
from verifier.exit_codes import GATE_MISSED, OK, UNKNOWN, VIOLATED
from verifier.premises import Premise, survival_in_words
from verifier.question import Requirement
from verifier.report.gated import misses, plain_result
from verifier.report.sentence import claim_class, sentence
from verifier.solving.solution import Solution

if TYPE_CHECKING:
    from verifier.certificate.monitor import Exported
    from verifier.latent.rounding import Rounded
    from verifier.surrogate.learning import Learned

EXIT_CODES: dict[Verdict, int] = {"certified": OK, "violated": VIOLATED, "unknown": UNKNOWN}
SEVERITIES: tuple[Severity, ...] = ("malign", "benign", "info")
_GRAVEST: tuple[Verdict, ...] = ("violated", "unknown", "certified")


@dataclass(frozen=True, repr=False)
class Answer:
    """What became of one requirement. ``natural`` says whether a proof covers every failure that inputs cause,
    ``notes`` what else is known of it: by another requirement, of data. ``realised`` is what came of looking for an
    input that does what an attack from inside does.

    ``solution`` is there where a parameter was to be found; the requirement is then the one for the best value.
    ``premises`` are what it rests on.
    """

    requirement: Requirement
    outcome: Outcome
    seconds: float
    versions: dict[str, str]
    hashes: dict[str, str]
    natural: str = ""
    notes: tuple[str, ...] = ()
    realised: Rounded | None = None
    solution: Solution | None = None
    premises: tuple[Premise, ...] = ()

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def verdict(self) -> Verdict:
        return self.outcome.verdict

    @property
    def reason(self) -> str:
        return self.outcome.reason

    @property
    def claim_class(self) -> Literal["exact", "sound", "heuristic"]:
        return claim_class(self.outcome)

    @property
    def bracket(self) -> tuple[float, float]:
        """[attained, proved]: the least value seen and the bound; the property holds where the minimum is positive."""
        return self.outcome.attained, self.outcome.proved

    @property
    def question(self) -> str:
        """The claim without a value that was found in the run."""
        claim, stated = self.requirement.claim, self.requirement.stated.solved
        if stated is None or self.solution is None:
            return claim
        return claim.removesuffix(f" WITH {stated.name} = {exactly(stated.value)}")

    @property
    def slack(self) -> float | None:
        """By how much what is certified is proved to hold; infinite where nothing can break it."""
        return max(self.outcome.proved, 0.0) if self.verdict == "certified" else None

    @property
    def parameter(self) -> tuple[str, Fraction | None] | None:
        """The parameter that is given or was to be found, and its best value."""
        stated = self.requirement.stated.solved
        if stated is None:
            return None
        return stated.name, stated.value if self.solution is None else self.solution.proved

    @property
    def certificate(self) -> Proof | None:
        return self.outcome.proof

    @property
    def attack(self) -> Attack | None:
        return self.outcome.attack

    @property
    def relaxed_attack(self) -> RelaxedAttack | None:
        return self.outcome.relaxed

    @property
    def _may_cover(self) -> bool:
        """Whether it is about states that may be all that inputs cause."""
        return bool(self.requirement.stated.covered_by) and self.requirement.stated.concrete is None

    @property
    def sentence(self) -> str:
        survival = survival_in_words(self.requirement, self.outcome)
        words = [premise.words for premise in self.premises]
        told = sentence(self.requirement, self.outcome, self.versions["certify"], self.hashes, words, survival)
        more = [self.natural, *self.notes, "" if self.solution is None else self.solution.sentence]
        return " ".join([told, *(part for part in more if part)])

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}{f' ({self.reason})' if self.reason else ''}>"

    def to_json(self) -> dict[str, Any]:
        requirement = self.requirement
        return {
            "id": self.id,
            "severity": requirement.severity,
            "line": requirement.stated.line or None,
            "verdict": self.verdict,
            "class": self.claim_class,
            "reason": self.reason,
            "claim": requirement.claim,
            "question": self.question,
            "slack": self.slack,
            "sentence": self.sentence,
            "bracket": list(self.bracket),
            "certificate": self.certificate and self.certificate.to_json(),
            "attack": _attack(self.attack, requirement.inputs),
            "relaxed_attack": _relaxed(self.relaxed_attack, self.outcome.attained, requirement.inputs),
            "stats": self.outcome.stats,
            "seconds": self.seconds,
            **({"covers_natural_failures": self.natural.startswith("COVERS")} if self._may_cover else {}),
            **({"expands": requirement.stated.expands} if requirement.stated.expands else {}),
            **({} if self.realised is None else {"realised_by_an_input": self.realised.to_json()}),
            **({} if self.solution is None else {"parameter": self.solution.to_json()}),
            **({"assumptions": [one.to_json() for one in self.premises]} if self.premises else {}),
        }


@dataclass(frozen=True, repr=False)
class Report:
    """Every requirement's answer. ``reason`` says why there is none, when time ran out before a question was read.

    ``gates`` are what the specification asks of a run besides the verdicts. ``monitor`` is what became of the
    monitor that the specification asks for, ``guard`` what became of the guard, ``listings`` the texts of explicit
    cores, by the names of their overseers. ``learned`` are overseers that were learned from answers first.
    ``fail_on`` is the mildest severity that counts for the verdict and the exit code.
    """

    requirements: tuple[Answer, ...]
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    monitor: Exported | None = None
    guard: Exported | None = None
    listings: Mapping[str, str] = field(default_factory=dict)
    fail_on: Severity = "benign"
    learned: tuple[Learned, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Violated if any requirement is, else unknown if any is; those too mild to count do so only when alone."""
        counted = [a for a in self.requirements if self._counts(a.requirement.severity)] or list(self.requirements)
        found = {answer.verdict for answer in counted} or {"unknown"}
        return next(verdict for verdict in _GRAVEST if verdict in found)

    @property
    def exit_code(self) -> int:
        """0 certified, 1 violated, 3 unknown, or certified by claims of too weak a class for the gate on classes.

        4 where all is certified and another gate is missed, or what an earlier run had reached is lost.

        Requirements milder than ``fail_on`` never change it.
        """
        informative = self.requirements and not any(self._counts(one.requirement.severity) for one in self.requirements)
        code = OK if informative else EXIT_CODES[self.verdict]
        missed = self._misses
        if any(miss.lost or (code == OK and not miss.weak) for miss in missed) and code in (OK, UNKNOWN):
            return GATE_MISSED
        return UNKNOWN if code == OK and missed else code

    @property
    def missed(self) -> tuple[str, ...]:
        """Gates that were missed, in words."""
        return tuple(miss.words for miss in self._misses)

    @property
    def _misses(self) -> list[Miss]:
        return [miss for miss in misses(self.gates, self.requirements) if self._counts(miss.severity)]

    def _counts(self, severity: Severity) -> bool:
        return SEVERITIES.index(severity) <= SEVERITIES.index(self.fail_on)

    @property
    def decisive(self) -> Answer | None:
        """The first requirement with the verdict of the whole."""
        return next((answer for answer in self.requirements if answer.verdict == self.verdict), None)

    @property
    def sentence(self) -> str:
        return "\n".join(answer.sentence for answer in self.requirements)

    def __getitem__(self, id: str) -> Answer:
        for answer in self.requirements:
            if answer.id == id:
                return answer
        known = ", ".join(answer.id for answer in self.requirements)
        raise KeyError(f"there is no requirement {id!r}; there are {known}")

    def __repr__(self) -> str:
        inside = " ".join(repr(answer) for answer in self.requirements) or self.reason
        return f"<Report {self.verdict}: {inside}>"

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``; numbers that are not finite are None."""
        first = self.decisive.to_json() if self.decisive else {}
        plain = {
            "verdict": self.verdict,
            "class": first.get("class", "heuristic"),
            "reason": first.get("reason", self.reason),
            "requirements": [answer.to_json() for answer in self.requirements],
            "seconds": self.seconds,
            **{key: first.get(key) for key in ("certificate", "attack", "relaxed_attack")},
            "bracket": first.get("bracket", [None, None]),
            "stats": first.get("stats", {}),
            "versions": self.versions,
            "hashes": self.hashes,
        }
        if self.monitor is not None:
            plain["monitor"] = self.monitor.to_json()
        if self.guard is not None:
            plain["guard"] = self.guard.to_json()
        if self.listings:
            plain["cores"] = dict(self.listings)
        if self.learned:
            plain["learned"] = [one.to_json() for one in self.learned]
        if self.missed:
            plain["gates_missed"] = list(self.missed)
        return dict(_finite(plain))

    def baseline_text(self) -> str:
        """What later runs may be compared with, as JSON."""
        plain = {"requirements": list(map(plain_result, self.requirements)), "versions": self.versions}
        return json.dumps({**plain, "hashes": self.hashes}, indent=1, allow_nan=False) + "\n"

    def json_text(self) -> str:
        return json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n"


def _attack(attack: Attack | None, inputs: InputSet | JointSet | None) -> dict[str, Any] | None:
    if attack is None:
        return None
    return {
        "case": attack.case,
        "input": [float(x) for x in attack.point],
        "input_exact": [str(x) for x in attack.point],
        "input_raw": _raw(attack.point, inputs),
        "outputs": attack.outputs,
        "value": attack.value,
        "proved": attack.proved,
        "witness": str(attack.path) if attack.path else None,
    }


def _relaxed(
    relaxed: RelaxedAttack | None, attained: float, inputs: InputSet | JointSet | None
) -> dict[str, Any] | None:
    if relaxed is None:
        return None
    return {
        "relaxation": relaxed.relaxation or None,
        "case": relaxed.case,
        "input": relaxed.point,
        "input_raw": _raw(relaxed.point, inputs),
        "bound": relaxed.bound,
        "value": relaxed.value,
        "gap": attained - relaxed.bound,
        "exploits": [exploit._asdict() for exploit in relaxed.exploits],
        "file": str(relaxed.path) if relaxed.path else None,
        "extrapolation": _extrapolation(relaxed.extrapolated),
    }


def _extrapolation(made: Extrapolated | None) -> dict[str, Any] | None:
    if made is None:
        return None
    if made.why:
        return {"why": made.why}
    return {
        "file": str(made.path) if made.path else None,
        "table": str(made.table) if made.table else None,
        "value": -made.score,
        "replayed": None if made.replayed is None else -made.replayed,
        "deviating": made.deviating,
        "unstable": made.unstable,
        "difference": made.difference,
    }


def _raw(point: Sequence[Fraction | float], inputs: InputSet | JointSet | None) -> dict[str, float] | None:
    """The input by name in raw units, None when the specification knows neither."""
    if inputs is None:
        return None
    return {inputs.element(i): float(x) for i, x in enumerate(inputs.to_raw(point))}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
