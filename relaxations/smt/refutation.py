"""Refutations of linear formulas: cases of their disjunctions, and a Farkas certificate in each; nobody is trusted.

This proves again what a solver calls unsatisfiable. ``refutes`` is all that has to be believed, with ``farkas``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from relaxations.smt import farkas
from relaxations.smt.answers import Satisfied
from relaxations.smt.encode import zeros
from relaxations.smt.farkas import Constraint
from relaxations.smt.formula import All, Assertions, Formula, Some, names, true_at
from relaxations.smt.limits import Deadline
from relaxations.smt.simplex import Conflict, Problem, satisfy


@dataclass(frozen=True)
class Impossible:
    """Multipliers of the constraints that hold here, in the order in which they came up."""

    multipliers: tuple[Fraction, ...]


@dataclass(frozen=True)
class Cases:
    """One of the disjunctions that are left, by its place among them, and a refutation for each of its parts."""

    choice: int
    parts: tuple[Refutation, ...]


Refutation = Impossible | Cases


@dataclass(frozen=True)
class Facts:
    """What holds in a case: constraints, and disjunctions that have not been used."""

    constraints: tuple[Constraint, ...] = ()
    choices: tuple[Some, ...] = ()

    def plus(self, formulas: Iterable[Formula]) -> Facts:
        """With more formulas that hold, conjunctions taken apart."""
        constraints, choices = list(self.constraints), list(self.choices)
        stack = list(formulas)[::-1]
        while stack:
            match stack.pop():
                case All(parts):
                    stack += reversed(parts)
                case Some() as choice:
                    choices.append(choice)
                case constraint:
                    constraints.append(constraint)
        return Facts(tuple(constraints), tuple(choices))

    def cases(self, choice: int) -> list[Facts]:
        """What holds in each case of a disjunction."""
        rest = Facts(self.constraints, self.choices[:choice] + self.choices[choice + 1 :])
        return [rest.plus([part]) for part in self.choices[choice].parts]

    def box(self) -> dict[Hashable, tuple[Fraction, Fraction]]:
        """The variables that constraints bound from both sides, and within what."""
        lower: dict[Hashable, Fraction] = {}
        upper: dict[Hashable, Fraction] = {}
        for constraint in self.constraints:
            if len(constraint.terms) == 1:
                ((variable, c),) = constraint.terms.items()
                end = -constraint.constant / c
                if c > 0:
                    lower[variable] = max(end, lower.get(variable, end))
                else:
                    upper[variable] = min(end, upper.get(variable, end))
        return {v: (l, upper[v]) for v, l in lower.items() if v in upper and l <= upper[v]}


def refutes(assertions: Assertions, refutation: Refutation) -> bool:
    """Whether the refutation proves that the assertions cannot hold together: every case is impossible."""
    stack = [(Facts().plus(assertions.values()), refutation)]
    while stack:
        facts, node = stack.pop()
        if isinstance(node, Impossible):
            if not farkas.refutes(facts.constraints, node.multipliers, facts.box()):
                return False
        else:
            stack += zip(facts.cases(node.choice), node.parts, strict=True)
    return True


def size(refutation: Refutation) -> int:
    """How many cases are shown to be impossible."""
    return 1 if isinstance(refutation, Impossible) else sum(map(size, refutation.parts))


def decide(assertions: Assertions, seconds: float = np.inf) -> Satisfied | Refutation:
    """A model or a refutation, exactly; raises ``OutOfTime``.

    Cases are made only of disjunctions that the constraints' own solution violates.
    """
    variables = names(list(assertions.values()))
    search = _Search(variables, Deadline.within(seconds))
    answer = search.refute(Facts().plus(assertions.values()))
    return Satisfied(search.model) if answer is None else answer


@dataclass
class _Search:
    variables: Sequence[str]
    deadline: Deadline
    model: dict[str, Fraction] = field(default_factory=dict)

    def refute(self, facts: Facts) -> Refutation | None:
        """None where there is a model, which is then kept."""
        problem, strict = self._problem(facts)
        found = satisfy(problem, strict, self.deadline)
        if isinstance(found, Conflict):
            return Impossible(tuple(found.multipliers))
        values = dict(zip(self.variables, found.point))
        violated = [i for i, choice in enumerate(facts.choices) if not true_at(choice, values)]
        if not violated:
            self.model = values
            return None
        choice = min(violated, key=lambda i: len(facts.choices[i].parts))
        parts: list[Refutation] = []
        for case in facts.cases(choice):
            part = self.refute(case)
            if part is None:
                return None
            parts.append(part)
        return Cases(choice, tuple(parts))

    def _problem(self, facts: Facts) -> tuple[Problem, list[bool]]:
        """The constraints; those that only bound a variable within the box say nothing beyond it."""
        place = {name: j for j, name in enumerate(self.variables)}
        box = facts.box()
        forms = []
        for constraint in facts.constraints:
            form = zeros(len(place))
            if constraint.strict or len(constraint.terms) != 1 or next(iter(constraint.terms)) not in box:
                for variable, c in constraint.terms.items():
                    form[place[str(variable)]] = c
                constant = constraint.constant
            else:
                constant = Fraction(0)
            forms.append((form, constant))
        sides = [box.get(name, (None, None)) for name in self.variables]
        problem = Problem([f for f, _ in forms], [c for _, c in forms], [l for l, _ in sides], [u for _, u in sides])
        return problem, [constraint.strict for constraint in facts.constraints]
