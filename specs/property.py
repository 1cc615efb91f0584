"""A requirement: the problem it compiles to, and its direct meaning at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from specs.joint import JointSet
from specs.problem import Problem
from specs.sets import InputSet
from specs.solved import Solved

if TYPE_CHECKING:
    from specs.language.observations.meant import Meant

Severity = Literal["malign", "benign", "info"]
ClaimClass = Literal["exact", "sound", "statistical", "heuristic"]

Judge = Callable[[Sequence[Fraction], Sequence[Fraction]], bool]
"""Whether a flat model input and output together violate a requirement, computed without the compiled problem."""


@dataclass(frozen=True)
class Requirement:
    """Something that has to hold: ``problem`` decides it; ``text`` is what the user wrote in ``line`` of the file.

    ``vacuous`` says in words why the answer does not depend on the network, and is empty when it does. It is
    ``decided`` where answers in tables alone are the reason that it holds: then a bound of the problem is no slack.
    ``inputs`` is ``None`` for VNN-LIB queries, whose sets are part of the problem; ``output_names`` are the names of
    the flat outputs of the problem's network, empty where they have none. ``covered_by`` is the id of the requirement
    that, if it is proved, makes a proof of this one cover every failure that some input causes by itself. ``expands``
    is the id of the requirement that this one is stronger than: it demands the same, and that nothing of ``counts``
    happens, in words. ``solved`` is the parameter for a value of which the problem is compiled, if there is one.
    ``sensitivity`` is by how much rows change where each answer of an overseer changes by 1, None where an error of it
    does more than that. Where derivatives are read, ``kinks(x)`` is whether a point is so near to where there is none
    that the problem has but an upper bound of it. ``meant`` tells of points whether they are meant, where the problem
    allows more than that. ``concrete`` is the requirement about inputs that one about what an abstraction makes of them
    is there for.
    """

    id: str
    severity: Severity
    problem: Problem
    text: str
    line: int = 0
    where: tuple[str, ...] = ()
    slack: Fraction = Fraction(0)
    accept_class: ClaimClass = "sound"
    vacuous: str = ""
    decided: bool = False
    inputs: InputSet | JointSet | None = None
    output_names: tuple[str, ...] = ()
    covered_by: str = ""
    expands: str = ""
    counts: str = ""
    solved: Solved | None = None
    sensitivity: Mapping[str, Fraction | None] = field(default_factory=dict)
    kinks: Callable[[Sequence[Fraction]], bool] | None = field(default=None, compare=False, repr=False)
    concrete: Requirement | None = field(default=None, compare=False, repr=False)
    meant: Meant | None = field(default=None, compare=False, repr=False)
    judge: Judge | None = field(default=None, compare=False, repr=False)

    def is_violated_at(self, x: Sequence[Fraction | float], y: Sequence[Fraction | float]) -> bool:
        """Whether flat model input ``x`` with flat output ``y`` is a counterexample.

        Judged from the expression as written where there is one, otherwise from the problem. Exact on the numbers
        given; strictness counts.
        """
        exact_x, exact_y = [Fraction(value) for value in x], [Fraction(value) for value in y]
        if self.judge is not None:
            return self.judge(exact_x, exact_y)
        return is_counterexample(self.problem, exact_x, exact_y)


def is_counterexample(problem: Problem, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
    """Whether some case of ``problem`` fails at flat input ``x`` with flat output ``y``, in exact arithmetic."""
    for case in problem.cases:
        inside = all(low <= value <= up for low, value, up in zip(case.box.lower, x, case.box.upper))
        if inside and (case.ball is None or case.ball.holds(x)):
            sums = [
                row.constant + sum(c * x[i] for i, c in row.x) + sum(c * y[i] for i, c in row.y) for row in case.any_of
            ]
            if not any(value > 0 if row.strict else value >= 0 for row, value in zip(case.any_of, sums)):
                return True
    return False


def why_vacuous(problem: Problem) -> str:
    """Why the answer to ``problem`` does not depend on what the network computes, or nothing when it does."""
    if not problem.cases:
        return "it holds whatever the network computes"
    if any(not case.any_of for case in problem.cases):
        return "it fails whatever the network computes"
    if not any(row.y for case in problem.cases for row in case.any_of):
        return "it does not look at the outputs of the network"
    return ""
