"""The statements D1, and the two halves of D2, from the first question to the file that ``certify check`` judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from verifier.relaxed_checker.adversary import Adversary
from verifier.relaxed_checker.asking import Flags, Misses, Runs
from verifier.relaxed_checker.checkers import RelaxedChecker
from verifier.relaxed_checker.plans import calibration_plan, search_plan
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Arguments, Budget, Overseer, Queries, ask_all
from verifier.statistics.statement import SUFFIX, Statement, rounded_up, write_statement


@dataclass(frozen=True)
class Stated:
    """A statement and its file; its ledger lies beside it."""

    file: Path
    statement: Statement


@dataclass(frozen=True)
class Searched(Stated):
    """D1: ``upper`` bounds the probability that a run of the adversary succeeds."""

    runs: Runs
    tau: Fraction

    @property
    def claim(self) -> str:
        found, states = self.statement, self.runs.adversary.states
        rests = ", ".join(f"A{k} {text}" for k, text in enumerate(found.assumptions, 1))
        return (
            f"Pr over seeds[a run of {self.runs.adversary.name} in {_sides(states.lower, states.upper)} finds a state "
            f"that {self.runs.checker.name} flags above {self.tau}] <= {rounded_up(found.bounds.upper)}, CLASS "
            f"{found.claim_class} ({found.answered} runs, {found.failures} of them successful). RESTS ON: {rests}. "
            "DOES NOT SAY: that there is no such state, or that another adversary finds none; anything about natural "
            "inputs; that what is flagged is a catastrophe, or what is not is none."
        )


def search(
    folder: Path, name: str, checker: RelaxedChecker, adversary: Adversary, runs: int, tau: Fraction,
    confidence: Fraction,
) -> Searched:  # fmt: skip
    """Run the adversary with the seeds 0 to ``runs`` - 1 and state how often it succeeds, however often it did."""
    asked = Runs(checker, adversary)
    found = ask(folder, asked, search_plan(name, runs, tau, confidence), lambda seed: [seed.tolist()])
    return Searched(found.file, found.statement, asked, tau)


def flag(folder: Path, checker: RelaxedChecker, plan: Plan) -> Stated:
    """Ask the relaxed checker about every state that the plan draws: see ``plans``."""
    return ask(folder, Flags(checker), plan, lambda state: [state.tolist()])


def calibrate(
    folder: Path, name: str, misses: Misses, natural: np.ndarray, respond: Callable[[np.ndarray], Arguments],
    nature: str, confidence: Fraction, budget: Budget | None = None, model: str = "",
) -> Stated:  # fmt: skip
    """Ask about every natural input (N, d) that was held out whether the relaxed checker is blind there.

    ``respond`` makes the overseer's arguments, the input first; ``model`` is the hash of what it runs.
    """
    plan = calibration_plan(name, natural, nature, confidence, model)
    return ask(folder, misses, plan, respond, natural, budget)


def ask(
    folder: Path, overseer: Overseer, plan: Plan, respond: Callable[[np.ndarray], Arguments],
    data: np.ndarray | None = None, budget: Budget | None = None,
) -> Stated:  # fmt: skip
    """Ask about every draw of the plan, in a ledger of its own in ``folder``, and write the statement.

    A ledger that is there already is gone on with. Raises ``BudgetSpent`` where the budget (default: one question a
    draw) ends first, and ``LedgerError`` where the ledger is of another overseer or plan.
    """
    ledger = folder / f"{plan.name}.ledger.jsonl"
    with Queries(ledger, overseer, budget or Budget(plan.queries)) as queries:
        ask_all(queries, plan, respond, data)
    file = folder / f"{plan.name}{SUFFIX}"
    return Stated(file, write_statement(file, ledger, plan.name, data))


def _sides(lower: tuple[float, ...], upper: tuple[float, ...]) -> str:
    return " x ".join(f"[{l!r}, {u!r}]" for l, u in zip(lower, upper))
