"""First-order mode: the adversary may be any function that fits the axioms and every answer so far.

An attack here is a model: a point, and a value there that no answer excludes. The loop asks the real function exactly
there, and ends with a proof (every function that fits is acceptable everywhere), a real attack, or an empty budget. A
solver finds the models; that there is none is proved again without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from relaxations.smt import cover, z3_solver
from relaxations.smt.answers import Contradicted, Satisfied, Unanswered
from relaxations.smt.axioms import Axioms, Known, Linear, Point, Term
from relaxations.smt.bounds import Ranges, root_ranges
from relaxations.smt.cover import Cover, Uncovered
from relaxations.smt.encode import Question
from relaxations.smt.farkas import Constraint
from relaxations.smt.formula import All, Formula, Some, at_most, below_zero, network, row_terms, within
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.refutation import Refutation
from relaxations.smt.settle import prove_again

TIGHT = (
    "proved with no slack: the least value is the threshold or only approached, "
    "so every requirement that asks for more, by however little, has a model that fails"
)
VALUE = "g"  # the variable that stands for the function's value at the attack
Rule = Literal["frontier", "lowest", "any"]
Ask = Callable[[Point], Fraction]
AskedAt = Callable[[Point, Mapping[str, Fraction]], Point]
"""Where the function is really asked for a model's place and its other variables, as a runtime has but float64."""


@dataclass(frozen=True)
class Setting:
    """Where the function is used: at ``place``, linear in variables that ``domain`` restricts.

    ``g >= 0`` is acceptable, or ``g > 0`` if ``strict``. ``box`` is that of the place, where it is a box of its own.
    """

    axioms: Axioms
    place: tuple[Linear, ...]
    domain: Mapping[str, Formula]
    strict: bool = False
    box: tuple[Point, Point] | None = None

    @staticmethod
    def on_box(axioms: Axioms, lower: Point, upper: Point, strict: bool = False) -> Setting:
        """``g(x)`` for every x of a box."""
        domain = {f"input {k}": within(f"x{k}", l, u) for k, (l, u) in enumerate(zip(lower, upper))}
        place = tuple(Linear.variable(f"x{k}") for k in range(axioms.dimension))
        return Setting(axioms, place, domain, strict, (lower, upper))

    @staticmethod
    def after(axioms: Axioms, question: Question, ranges: Ranges | None = None, strict: bool = False) -> Setting:
        """``g(f(x))`` for every x of the question's box, where f are the question's rows (which need not fail)."""
        found = network(question, root_ranges(question) if ranges is None else ranges)
        domain = {name: formula for name, formula in found.items() if not name.startswith("row ")}
        rows = range(len(question.strict))
        place = tuple(Linear(tuple(row_terms(question, r).items()), question.rows.bias[r]) for r in rows)
        return Setting(axioms, place, domain, strict)

    def assertions(self, known: tuple[Known, ...]) -> dict[str, Formula]:
        """Satisfiable exactly if some function fits the axioms and the answers and is not acceptable somewhere."""
        terms = {f"answer {i}": Term.of(one) for i, one in enumerate(known)}
        terms["attack"] = Term(self.place, Linear.variable(VALUE))
        one = {VALUE: Fraction(1)}
        attack = at_most(one) if self.strict else below_zero(one)
        return {**self.domain, **self.axioms.instances(terms), "failure": attack}

    def place_at(self, values: Mapping[str, Fraction]) -> Point:
        """Where the function is used in a model."""
        return tuple(p.constant + sum(c * values[v] for v, c in p.terms) for p in self.place)

    def accepts(self, value: Fraction) -> bool:
        return value > 0 if self.strict else value >= 0


@dataclass(frozen=True)
class Proved:
    """Every function with these axioms and answers is acceptable everywhere.

    ``proof`` has been checked in rationals: a cover by all answers, or a refutation of the assertions in ``rests_on``,
    none of which can be left out in the solver's opinion. ``tight`` tells that only the strictness of a constraint
    excludes a failure: there is none in the reals, but one with infinitesimals, and no slack at all.
    """

    known: tuple[Known, ...]
    proof: Cover | Refutation
    rests_on: tuple[str, ...]
    tight: bool = False

    @property
    def note(self) -> str:
        """What to say beside the claim about finite and infinitesimal models; "" if there is nothing."""
        return TIGHT if self.tight else ""


@dataclass(frozen=True)
class Attack:
    """The real function is not acceptable at the last point of ``known``."""

    known: tuple[Known, ...]


@dataclass(frozen=True)
class Fictitious:
    """The budget is empty. A function that fits all answers has this value at this point: where to ask next."""

    known: tuple[Known, ...]
    point: Point
    value: Fraction


@dataclass(frozen=True)
class AxiomsBroken:
    """These answers of the real function contradict the axioms: nothing follows from them."""

    known: tuple[Known, ...]
    culprits: tuple[Known, ...]


@dataclass(frozen=True)
class Unfinished:
    """Out of time, or the solver's word could not be proved again."""

    known: tuple[Known, ...]
    reason: str


Outcome = Proved | Attack | Fictitious | AxiomsBroken | Unfinished


def query_the_attack(
    setting: Setting,
    ask: Ask,
    budget: int,
    seconds: float = np.inf,
    rule: Rule = "frontier",
    known: tuple[Known, ...] = (),
    asked_at: AskedAt = lambda point, model: point,
) -> Outcome:
    """Ask ``ask`` where a model of the axioms fails, until none does; at most ``budget`` times.

    ``rule`` says which model: any, one of the lowest value, or (``frontier``) one of the lowest value among the points
    where no function is below minus the least answer so far. If the next answer is no worse than that one, what it
    makes safe joins what is safe already, and hardly overlaps it. ``known`` are answers from before. A place that is
    ``asked_at`` twice ends the loop: its answer was no news.
    """
    deadline = Deadline.within(seconds)
    asked = 0
    while True:
        if culprits := setting.axioms.contradiction(known):
            return AxiomsBroken(known, culprits)
        found = _model(setting, known, rule, deadline)
        if isinstance(found, Contradicted):
            return _proved(setting, known, found, deadline)
        if not isinstance(found, tuple):
            return Unfinished(known, found)
        point, value, model = found
        if asked == budget:
            return Fictitious(known, point, value)
        place = asked_at(point, model)
        if any(one.point == place for one in known):
            return Unfinished(known, "the next place to ask about is closer to one asked about than its numbers tell")
        known, asked = (*known, Known(place, Fraction(ask(place)))), asked + 1
        if not setting.accepts(known[-1].value):
            return Attack(known)


def closure(formula: Formula) -> Formula:
    """The formula with every constraint as it is in the limit: at least 0 in place of above 0."""
    match formula:
        case All(parts):
            return All(tuple(map(closure, parts)))
        case Some(parts):
            return Some(tuple(map(closure, parts)))
    return Constraint(formula.terms, formula.constant, name=formula.name)


def _model(
    setting: Setting, known: tuple[Known, ...], rule: Rule, deadline: Deadline
) -> tuple[Point, Fraction, Mapping[str, Fraction]] | Contradicted | str:
    assertions = setting.assertions(known)
    answer = z3_solver.solve(assertions, deadline.left)
    if isinstance(answer, Contradicted):
        return answer
    if not isinstance(answer, Satisfied):
        return f"no answer: {answer.reason}"
    if not known and setting.box is not None:
        middle = tuple((l + u) / 2 for l, u in zip(*setting.box))
        return middle, answer.values[VALUE], answer.values
    if rule != "any":
        answer = _lowest(setting, assertions, known, rule, deadline) or answer
    return setting.place_at(answer.values), answer.values[VALUE], answer.values


def _lowest(
    setting: Setting, assertions: dict[str, Formula], known: tuple[Known, ...], rule: Rule, deadline: Deadline
) -> Satisfied | None:
    """A model of the lowest value; None if there is no lowest one."""
    one = {VALUE: Fraction(1)}
    if rule == "frontier" and known:
        least, place = min(answer.value for answer in known), Term(setting.place, Linear.variable(VALUE))
        near = [setting.axioms.near(Term.of(answer), place, answer.value + least) for answer in known]
        found = z3_solver.minimise({**assertions, "frontier": Some(tuple(near))}, one, deadline.left)
        if isinstance(found, tuple):
            return found[1]
    found = z3_solver.minimise(assertions, one, deadline.left)
    return found[1] if isinstance(found, tuple) else None


def _proved(setting: Setting, known: tuple[Known, ...], claim: Contradicted, deadline: Deadline) -> Outcome:
    assertions = setting.assertions(known)
    core = z3_solver.minimal(assertions, claim.core, deadline.left)
    try:
        proof: Cover | Refutation | None = _cover(setting, known, deadline)
    except OutOfTime:
        return Unfinished(known, "the solver says that no function fails; there was no time to prove it")
    if proof is None:
        again = prove_again(assertions, core, deadline.left)
        if isinstance(again, Unanswered):
            return Unfinished(known, again.reason)
        proof = again.proof
    limit = z3_solver.solve({name: closure(formula) for name, formula in assertions.items()}, deadline.left)
    return Proved(known, proof, core, tight=not isinstance(limit, Contradicted))


def _cover(setting: Setting, known: tuple[Known, ...], deadline: Deadline) -> Cover | None:
    """A cover that has been checked, where the function is used on a box and there is one."""
    if setting.box is None:
        return None
    found = cover.find(setting.axioms, known, *setting.box, setting.strict, deadline)
    if isinstance(found, Uncovered):
        return None
    return found if cover.covers(setting.axioms, known, *setting.box, found, setting.strict) else None
