"""The question of a rate by way of a relaxed checker: what is known of it before anything is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.rates.question import Evaluated, Program, StatisticalQuestion
from specs.language.schema.file import Overseer
from specs.language.schema.relaxed_checker import RelaxedChecker
from specs.language.schema.statistics import PythonOverseer, Statistical, StatisticalFile
from specs.language.text.source import Source


@dataclass(frozen=True)
class RelaxedTerms:
    """A ``network`` judges states drawn from a box; one is flagged above ``level``.

    ``embedding`` gives the state of an input, as ``text`` says.
    """

    network: Path
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    level: Fraction
    embedding: Evaluated
    text: str


def bounds_of(given: Any, size: int) -> tuple[float, ...] | None:
    """One bound for each element of a state, from one number or a list; None where the numbers do not fit."""
    if isinstance(given, list | tuple):
        if len(given) != size or any(isinstance(one, list | tuple) for one in given):
            return None
        return tuple(float(one) for one in given)
    return (float(given),) * size


def least_bound(level: Fraction, kappa: Fraction, states: int, inputs: int) -> float:
    """About what is proved where nothing is flagged and nothing missed: each half has half of the error level."""
    logarithm = math.log(float(level) / 2)
    return float(kappa) * -math.expm1(logarithm / states) - math.expm1(logarithm / inputs)


def kappa_of(
    source: Source, section: StatisticalFile, i: int, terms: Statistical, rows: np.ndarray | None
) -> Fraction | None:
    """By how much nature's law may exceed that of the draws, None where the draws are nature's own."""
    given, path = section.adversary, ("require", i, "statistical", "nature")
    if not terms.nature:
        if given is not None and not any(one.statistical.nature for one in section.require):
            why = "which law is dominated? add nature: its name to a statistical requirement"
            source.fault(why, "adversary", "kappa")
        return None
    if given is None:
        why = "how does it compare with the draws? add adversary: {kappa: K}, or say distribution instead"
        source.fault(why, *path)
    elif (rows is not None) != (section.engine.relaxed_checker is not None):
        why = (
            "no law has a density with respect to the rows of a file: draw from a box"
            if rows is not None
            else "a relaxed checker is calibrated on natural inputs: distribution: their .npz file"
        )
        source.fault(why, *path)
    elif terms.sides == "both" or terms.method != "clopper-pearson":
        source.fault("another law's rate is bounded from above, after all draws: no sides, no method", *path)
    else:
        return Fraction(given.kappa)
    return None


def relaxed_terms(
    source: Source,
    folder: Path,
    given: RelaxedChecker,
    program: Program | None,
    below: Fraction,
    evaluated: Callable[[Expression], Evaluated],
) -> RelaxedTerms | None:
    """The relaxed checker, None after adding what is wrong with it. Raises ``ExpressionFault`` about the event."""
    if program is None or below != 0:
        raise ExpressionFault("a relaxed checker stands for a program, as in panel(x, y) < 0", 0)
    path = ("engine", "relaxed_checker")
    sees = source.parse(given.sees, *path, "sees")
    network = folder / given.network
    if not network.is_file():
        source.fault(f"there is no file {given.network!r}", *path, "network")
        return None
    try:
        embedding = None if sees is None else evaluated(sees)
    except ExpressionFault as fault:
        source.expression_fault(fault, *path, "sees")
        return None
    if embedding is None:
        return None
    ends = [bounds_of(end, len(embedding.vectors[0])) for end in (given.states.lo, given.states.hi)]
    if ends[0] is None or ends[1] is None or not all(l < u for l, u in zip(*ends)):
        why = f"expected a lower and a larger upper bound for each of {len(embedding.vectors[0])} elements of a state"
        source.fault(why, *path, "states")
        return None
    return RelaxedTerms(network, ends[0], ends[1], Fraction(given.level), embedding, given.sees)


def check_halves(
    source: Source, i: int, terms: Statistical, kappa: Fraction, rows: int, program: Program | None
) -> None:
    """A fault where not even the best outcome would show the rate, or the budget is too small."""
    least = least_bound(1 - Fraction(terms.confidence), kappa, terms.queries, rows)
    if least > terms.max_rate:
        why = f"even if nothing is flagged or missed, {terms.queries} states and {rows} inputs show {least:.4f} only"
        source.fault(why, "require", i, "statistical", "queries")
    if program is not None and rows > program.budget.queries:
        why = f"all {rows} natural inputs are asked about, and {program.name} may be asked {program.budget.queries}"
        source.fault(why, "overseers", program.name, "budget", "queries")


def check_alone(source: Source, section: StatisticalFile, questions: Sequence[StatisticalQuestion]) -> None:
    """Calibration has a ledger of its own, so whoever is asked in it is asked by one requirement only."""
    overseers = section.overseers.items()
    for one in questions:
        if one.relaxed is not None and one.program is not None:
            name = one.program.name
            asked = [other.id for other in questions if other.program == one.program]
            asked += [key for key, by in overseers if not isinstance(by, PythonOverseer) and _learns(by, name)]
            if asked != [one.id]:
                told = f"one budget for {' and '.join(asked)}"
                why = f"{told}: by way of a relaxed checker only one may ask {name}"
                source.fault(why, "overseers", name, "budget")
            if one.program.ledger is not None:
                why = "by way of a relaxed checker its ledger is in the folder of --out; leave this out"
                source.fault(why, "overseers", name, "cache")


def _learns(overseer: Overseer, program: str) -> bool:
    return overseer.surrogate is not None and overseer.surrogate.of == program
