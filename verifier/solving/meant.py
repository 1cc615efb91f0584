"""Violations of a question that allows more than is meant: a real one is looked for near what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from specs.language.observations.meant import Meant, Point
from specs.problem import Problem
from verifier.attack.witness import outputs_at
from verifier.engine.deadline import Deadline
from verifier.engine.outcome import Attack, Outcome, RelaxedAttack
from verifier.question import Question, Requirement
from verifier.solving.witness import witness_at

if TYPE_CHECKING:
    from verifier.answer import Settings

POINTS = 64  # rounded at random
SECONDS = 10.0  # for the descent, and again for the check of what it finds
REASON = (
    "relaxed: the violation found is at a point that no input causes, of a question that allows more than is meant; "
    "near it no input was found that violates"
)


def as_meant(
    question: Question,
    requirement: Requirement,
    outcome: Outcome,
    folder: Path,
    producer: Mapping[str, str],
    settings: Settings,
    seconds: float,
) -> Outcome:
    """A violation at a point that is meant, or unknown, with the one that is not as a relaxed attack.

    Starts at points rounded from it, and goes down from the best of them, one level of one element at a time.
    """
    meant, attack = requirement.stated.meant, outcome.attack
    assert meant is not None
    if attack is None or meant.holds(attack.point):
        return outcome
    until = Deadline.after(min(SECONDS, max(seconds, 1.0)))
    problem, best, least = requirement.stated.problem, None, math.inf
    for point, value in _descent(problem, meant, attack.point, settings.seed, until):
        if value < least:
            best, least = point, value
        if value <= 0 and requirement.stated.is_violated_at(point, outputs_at(problem, point)):
            home = settings.place(requirement.id) if settings.place is not None else None
            place = folder / (home.name if home is not None else "proof.nncert")
            found = witness_at(question, requirement, point, place, producer, settings.start_checker, SECONDS)
            if found is not None:
                return replace(outcome, attack=found, attained=found.value)
    return replace(
        outcome, verdict="unknown", reason=REASON, attained=least, proved=-math.inf, attack=None,
        relaxed=_relaxed(attack, best, least),
    )  # fmt: skip


def _relaxed(attack: Attack, best: Point | None, least: float) -> RelaxedAttack:
    """What was found, as a relaxed attack; the value of the network is that of the best point that is meant."""
    return RelaxedAttack(attack.case, [float(v) for v in attack.point], attack.value, least if best else math.inf, [])


def _descent(
    problem: Problem, meant: Meant, point: Sequence[Fraction], seed: int, until: Deadline
) -> Iterator[tuple[Point, float]]:
    """Points that are meant and their values: rounded ones, then better and better neighbours of the best."""
    at, least = None, math.inf
    for found in meant.around(point, seed, POINTS):
        value = value_at(problem, found)
        yield found, value
        if value < least:
            at, least = found, value
        if until.over:
            return
    while at is not None:
        start = least
        for found in meant.beside(at, seed):
            value = value_at(problem, found)
            yield found, value
            if value < least:
                at, least = found, value
                break
            if until.over:
                return
        if least >= start:
            return


def value_at(problem: Problem, point: Sequence[Fraction]) -> float:
    """The least value of the best row of the cases that a point is in; in float64."""
    x = [float(value) for value in point]
    y = problem.graph.evaluate_flat(x).tolist()
    least = math.inf
    for case in problem.cases:
        if not all(low <= v <= up for low, v, up in zip(case.box.lower, point, case.box.upper)):
            continue
        if case.ball is not None and not case.ball.holds(point):
            continue
        rows = (
            float(row.constant) + sum(float(c) * x[i] for i, c in row.x) + sum(float(c) * y[j] for j, c in row.y)
            for row in case.any_of
        )
        least = min(least, max(rows, default=0.0))
    return least
