"""An earlier run to compare with: what it certified, and by how much that may get worse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from specs.language.text.decimals import exact
from specs.language.text.suggest import did_you_mean
from specs.property import Severity

if TYPE_CHECKING:
    from specs.language.schema.gate import Regression as Section
    from specs.language.text.source import Source

Place = tuple[str, str]  # of a value: the requirement's id, and the parameter
SLACK = "slack"
_OF_SWEEPS = ("clean_accuracy", "attack_accuracy", "certified_accuracy", "mean_certified_radius", "unknown")
_VERDICTS = ("certified", "violated", "unknown")


@dataclass(frozen=True)
class Result:
    """What a run found of one requirement.

    ``question`` is its claim without what the run found itself. ``slack`` is by how much it is proved to hold, None
    where that is not known or without bound; ``value`` what is proved of the ``parameter``.
    """

    id: str
    severity: Severity
    verdict: str
    question: str
    slack: Fraction | None = None
    parameter: str = ""
    value: Fraction | None = None

    @property
    def is_certified(self) -> bool:
        return self.verdict == "certified"


@dataclass(frozen=True)
class Loss:
    """Something that the earlier run had and this one has not, in words."""

    severity: Severity
    words: str


@dataclass(frozen=True)
class Regression:
    """The earlier run, and how much worse this one may be: by place of a value, and in ``slack`` if that counts.

    ``maximize`` tells of each value whether larger ones are better.
    """

    earlier: Mapping[str, Result]
    drops: Mapping[Place, Fraction]
    maximize: Mapping[Place, bool]
    slack: Fraction | None = None

    def losses(self, results: Iterable[Result]) -> list[Loss]:
        """What was certified and is no more, or by less than is allowed for. New requirements lose nothing."""
        now = {one.id: one for one in results}
        found = []
        for was in self.earlier.values():
            words = self._loss(was, now.get(was.id)) if was.is_certified else ""
            if words:
                severity = now[was.id].severity if was.id in now else was.severity
                found.append(Loss(severity, f"{was.id}: {words}"))
        return found

    def _loss(self, was: Result, now: Result | None) -> str:
        if now is None:
            return "certified in the baseline, and not asked any more"
        if now.question != was.question:
            return f"not what the baseline is about, which is {was.question}"
        if not now.is_certified:
            return f"certified in the baseline, {now.verdict} now"
        place = (was.id, was.parameter)
        if was.value is not None and place in self.maximize:
            told = f"{was.parameter} = {exact(was.value)} in the baseline, "
            allowed = self.drops.get(place, Fraction(0))
            if now.value is None:
                return told + "not solved for now"
            worse = was.value - now.value if self.maximize[place] else now.value - was.value
            if worse > allowed:
                return f"{told}{exact(now.value)} now: it may get worse by {exact(allowed)}"
        return self._loss_of_slack(was.slack, now.slack)

    def _loss_of_slack(self, was: Fraction | None, now: Fraction | None) -> str:
        if self.slack is None or was is None or now is None or was - now <= self.slack:
            return ""
        told = f"slack {float(was):.6g} in the baseline, {float(now):.6g} now"
        return f"{told}: it may get worse by {exact(self.slack)}"


def read_regression(
    section: Section | None, maximize: Mapping[Place, bool], folder: Path, source: Source
) -> Regression | None:
    """The section under ``gate.regression``; faults go to ``source``."""
    if section is None:
        return None
    drops: dict[Place, Fraction] = {}
    for key, value in section.max_drop.items():
        id, _, name = key.rpartition(".")
        if (id, name) in maximize:
            drops[id, name] = value
        elif key != SLACK:
            source.fault(_unknown(key, maximize), "gate", "regression", "max_drop")
    try:
        earlier = read_results(folder / section.baseline)
    except ValueError as error:
        source.fault(f"{section.baseline} {error}", "gate", "regression", "baseline")
        return None
    return Regression(earlier, drops, maximize, section.max_drop.get(SLACK))


def check_same(regression: Regression | None, ids: Iterable[str], source: Source) -> None:
    """A baseline that is about none of the requirements is that of something else."""
    if regression is not None and not set(ids) & set(regression.earlier):
        other = ", ".join(list(regression.earlier)[:4]) or "nothing"
        source.fault(f"is about other requirements: {other}", "gate", "regression", "baseline")


def unsupported(key: str) -> str:
    """Why there is no gate on a number of a sweep, "" for all other keys."""
    name = key.partition("@")[0]
    return f"{name}: sweeps over data sets are not supported yet" if name in _OF_SWEEPS else ""


def _unknown(key: str, known: Mapping[Place, bool]) -> str:
    names = [SLACK, *map(".".join, known)]
    return unsupported(key) or f"{key!r} is none of {', '.join(names)}{did_you_mean(key, names)}"


def read_results(path: Path) -> dict[str, Result]:
    """What a run has found, from its ``report.json`` or ``baseline.json``. Raises ``ValueError`` with what is wrong."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(
            "cannot be read; a first run without gate.regression and with emit: [baseline] writes one"
        ) from None
    except (ValueError, RecursionError):
        raise ValueError("is no JSON file") from None
    entries = plain.get("requirements") if isinstance(plain, dict) else None
    if not isinstance(entries, list):
        raise ValueError("is no report of certify")
    found = [_result(one) for one in entries]
    if len({one.id for one in found}) < len(found):
        raise ValueError("is no report of certify: an id is used twice")
    return {one.id: one for one in found}


def _result(plain: Any) -> Result:
    try:
        parameter, slack = plain.get("parameter"), plain.get("slack")
        name, value = (parameter["name"], parameter["proved"]) if parameter else ("", None)
        found = Result(
            plain["id"],
            plain["severity"],
            plain["verdict"],
            plain["question"],
            None if slack is None or not isfinite(slack) else Fraction(slack),
            name,
            None if value is None else Fraction(value),
        )
        texts = all(isinstance(one, str) for one in (found.id, found.question, found.parameter))
        if texts and found.severity in get_args(Severity) and found.verdict in _VERDICTS:
            return found
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        pass
    raise ValueError("is no report of certify, or one of another version")
