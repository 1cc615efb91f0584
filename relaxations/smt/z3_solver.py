"""z3: models as exact rationals, unsatisfiable cores, optima. The only file that knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from relaxations.smt.answers import Contradicted, Satisfied, Unanswered
from relaxations.smt.farkas import Constraint
from relaxations.smt.formula import All, Assertions, Formula, Some, Values, names
from relaxations.smt.limits import Deadline
from relaxations.solvers import required


def solve(assertions: Assertions, seconds: float = np.inf) -> Satisfied | Contradicted | Unanswered:
    """A model of all assertions, or the names of some that contradict each other."""
    z3 = _z3()
    context = z3.Context()
    solver = z3.SolverFor("QF_LRA", ctx=context)
    solver.set(unsat_core=True)
    _limit(solver, seconds)
    for name, formula in assertions.items():
        solver.assert_and_track(_term(z3, context, formula), name)
    answer = solver.check()
    if answer == z3.sat:
        return Satisfied(_values(z3, solver.model(), context, names(list(assertions.values()))))
    if answer == z3.unsat:
        found = {str(tracked) for tracked in solver.unsat_core()}
        return Contradicted(tuple(name for name in assertions if name in found))
    return Unanswered(_reason(solver))


def minimise(
    assertions: Assertions, objective: Values, seconds: float = np.inf
) -> tuple[Fraction, Satisfied] | Contradicted | Unanswered:
    """A model in which the objective is least, and its value there; unanswered if it has no least value."""
    z3 = _z3()
    context = z3.Context()
    solver = z3.Optimize(ctx=context)
    _limit(solver, seconds)
    for formula in assertions.values():
        solver.add(_term(z3, context, formula))
    handle = solver.minimize(_sum(z3, context, objective, Fraction(0)))
    answer = solver.check()
    if answer == z3.unsat:
        return Contradicted(tuple(assertions))
    value = handle.value() if answer == z3.sat else None
    if value is None or not (z3.is_rational_value(value) or z3.is_int_value(value)):
        return Unanswered("there is no least value" if answer == z3.sat else _reason(solver))
    variables = names([*assertions.values(), Constraint(objective, Fraction(0))])
    return Fraction(str(value)), Satisfied(_values(z3, solver.model(), context, variables))


def minimal(assertions: Assertions, core: Iterable[str], seconds: float = np.inf) -> tuple[str, ...]:
    """A core of which nothing can be left out, in z3's opinion; what the time does not decide stays in."""
    deadline = Deadline.within(seconds)
    kept = list(core)
    for name in list(kept):
        rest = {other: assertions[other] for other in kept if other != name}
        answer = solve(rest, deadline.left)
        if isinstance(answer, Contradicted):
            kept = [other for other in kept if other in answer.core]
    return tuple(kept)


def _z3() -> Any:
    return required("z3", "SMT solving needs z3", "z3-solver")


def _limit(solver: Any, seconds: float) -> None:
    if np.isfinite(seconds):
        solver.set("timeout", max(1, int(seconds * 1000)))


def _term(z3: Any, context: Any, formula: Formula) -> Any:
    match formula:
        case All(parts):
            return z3.And([_term(z3, context, part) for part in parts] + [z3.BoolVal(True, context)])
        case Some(parts):
            return z3.Or([_term(z3, context, part) for part in parts] + [z3.BoolVal(False, context)])
    total = _sum(z3, context, formula.terms, formula.constant)
    return total > 0 if formula.strict else total >= 0


def _sum(z3: Any, context: Any, terms: Mapping[Any, Fraction], constant: Fraction) -> Any:
    products = [_number(z3, context, c) * z3.Real(str(variable), context) for variable, c in terms.items()]
    return z3.Sum([_number(z3, context, constant), *products])


def _number(z3: Any, context: Any, value: Fraction) -> Any:
    return z3.Q(value.numerator, value.denominator, context)


def _values(z3: Any, model: Any, context: Any, variables: list[str]) -> dict[str, Fraction]:
    found = {}
    for name in variables:
        value = model.eval(z3.Real(name, context), model_completion=True)
        found[name] = Fraction(value.numerator_as_long(), value.denominator_as_long())
    return found


def _reason(solver: Any) -> str:
    reason = solver.reason_unknown()
    return "the time is over" if reason in ("timeout", "canceled") else f"z3 gave up: {reason}"
