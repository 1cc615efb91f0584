"""Assertions settled for good: by a model that is put in, or by a refutation of a core that is checked in rationals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.smt import refutation, z3_solver
from relaxations.smt.answers import Contradicted, Satisfied, Unanswered
from relaxations.smt.formula import Assertions, true_at
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.refutation import Refutation


@dataclass(frozen=True)
class Refuted:
    """The assertions named in ``core`` cannot hold together; ``proof`` has been checked.

    None of them can be left out, in the solver's opinion: they are what the claim rests on.
    """

    core: tuple[str, ...]
    proof: Refutation


def settle(assertions: Assertions, seconds: float = np.inf) -> Satisfied | Refuted | Unanswered:
    """Ask z3, and believe neither answer: models are evaluated, what is called unsatisfiable is proved again."""
    deadline = Deadline.within(seconds)
    answer = z3_solver.solve(assertions, deadline.left)
    if isinstance(answer, Contradicted):
        return prove_again(assertions, z3_solver.minimal(assertions, answer.core, deadline.left), deadline.left)
    if isinstance(answer, Satisfied) and not all(true_at(f, answer.values) for f in assertions.values()):
        return Unanswered("the solver's model is none")
    return answer


def prove_again(assertions: Assertions, core: tuple[str, ...], seconds: float = np.inf) -> Refuted | Unanswered:
    """A refutation of the core, without the solver."""
    chosen = {name: assertions[name] for name in core}
    try:
        proof = refutation.decide(chosen, seconds)
    except OutOfTime:
        return Unanswered("there was no time to prove again what the solver says")
    if isinstance(proof, Satisfied) or not refutation.refutes(chosen, proof):
        return Unanswered("what the solver says could not be proved")
    return Refuted(core, proof)
