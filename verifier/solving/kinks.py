"""Violations of claims about derivatives: a point at a kink has none, so that one beside it is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from verifier.attack.witness import inside, outputs_at
from verifier.engine.outcome import Outcome
from verifier.question import Question, Requirement
from verifier.solving.witness import witness_at

if TYPE_CHECKING:
    from verifier.answer import Settings

SHARES = (0.003, 0.01, 0.03, 0.1)  # of the box, that points are moved by at most
POINTS = 8  # of each
SECONDS = 5.0  # for the check of a point found


def off_kinks(
    question: Question,
    requirement: Requirement,
    outcome: Outcome,
    folder: Path,
    producer: Mapping[str, str],
    settings: Settings,
) -> Outcome:
    """A violation at a point that is off all kinks, or unknown: at a kink it is a bound that is violated."""
    kinks, attack = requirement.stated.kinks, outcome.attack
    assert kinks is not None
    if attack is None or not kinks(attack.point):
        return outcome
    problem = requirement.stated.problem
    case, rng = problem.cases[attack.case], np.random.default_rng(settings.seed)
    start, low, up = (np.array([float(v) for v in part]) for part in (attack.point, case.box.lower, case.box.upper))
    for share in SHARES:
        for step in rng.uniform(-share, share, (POINTS, len(start))):
            point = inside(case, np.clip(start + step * (up - low), low, up))
            if kinks(point) or not requirement.stated.is_violated_at(point, outputs_at(problem, point)):
                continue
            place = folder / "beside.nncert"
            found = witness_at(question, requirement, point, place, producer, settings.start_checker, SECONDS)
            if found is not None:
                return replace(outcome, attack=found, attained=min(outcome.attained, found.value))
    reason = "borderline: the violation found is at a kink of the network, where there is no derivative"
    return replace(outcome, verdict="unknown", reason=reason)
