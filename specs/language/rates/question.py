"""What a statistical requirement asks: an event, who answers, and the law of what is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from specs.hashes import sha256_of
from specs.language.expressions.terms import Extreme, Term
from specs.language.gates import Gates
from specs.language.networks import Posed
from specs.language.schema.statistics import QueryBudget, Statistical
from specs.language.text.decimals import exact
from specs.loading.onnx_writer import write_onnx
from specs.property import Severity
from specs.sets import InputSet

if TYPE_CHECKING:
    from specs.language.rates.relaxed import RelaxedTerms


@dataclass(frozen=True)
class Drawn:
    """Inputs that are drawn independently of each other, each uniformly from its box: one point of all boxes' product.

    Their elements stand one after the other, in a draw as in what composed networks consume.
    """

    sets: tuple[InputSet, ...]

    @property
    def lower(self) -> tuple[Fraction | None, ...]:
        return tuple(end for one in self.sets for end in one.lower)

    @property
    def upper(self) -> tuple[Fraction | None, ...]:
        return tuple(end for one in self.sets for end in one.upper)

    def to_model(self, raw: Sequence[Fraction | float]) -> tuple[Fraction, ...]:
        """What networks consume for a draw, exactly."""
        starts = [sum(one.size for one in self.sets[:k]) for k in range(len(self.sets))]
        return tuple(v for one, at in zip(self.sets, starts) for v in one.to_model(raw[at : at + one.size]))


@dataclass(frozen=True)
class Evaluated:
    """Vectors of terms over inputs and what networks compute of them, for raw values of the inputs in float64.

    Networks run in float64 on what they consume, rounded; what is linear around them is exact, and rounded once.
    """

    inputs: Drawn
    posed: Posed | None
    vectors: tuple[tuple[Term, ...], ...]

    def __call__(self, raw: np.ndarray) -> list[list[float]]:
        x = self.inputs.to_model(raw.tolist())
        y: list[Fraction] = []
        if self.posed is not None:
            found = self.posed.graph.evaluate_flat([float(v) for v in x])
            if not np.isfinite(found).all():
                return [[float("nan")] * len(terms) for terms in self.vectors]
            y = [Fraction(v) for v in found.tolist()]
        return [[float(self._value(term, x, y)) for term in terms] for terms in self.vectors]

    @property
    def sha256(self) -> str:
        """Of all that the vectors follow from, names behind the expressions and normalisation included."""
        told = [_told(term) for terms in self.vectors for term in (*terms, None)]
        told += [f"{one.mean} {one.scale}" for one in self.inputs.sets]
        digest = hashlib.sha256("\n".join(told).encode())
        if self.posed is not None:
            digest.update(str(sorted((self.posed.slots or {}).items())).encode())
            digest.update(write_onnx(self.posed.graph))
        return digest.hexdigest()

    def _value(self, term: Term, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
        if isinstance(term, Extreme):
            parts = [self._value(part, x, y) for part in term.parts]
            return max(parts) if term.kind == "max" else min(parts)
        slots = self.posed.slots or {} if self.posed is not None else {}
        of_inputs = sum((c * x[i] for i, c in term.x.items()), Fraction(0))
        return term.constant + of_inputs + sum((c * y[slots[i]] for i, c in term.y.items()), Fraction(0))


def _told(term: Term | None) -> str:
    """A term in one way of writing; None stands between vectors."""
    if isinstance(term, Extreme):
        return f"{term.kind}({', '.join(map(_told, term.parts))})"
    return "" if term is None else f"{sorted(term.x.items())} {sorted(term.y.items())} {term.constant}"


@dataclass(frozen=True)
class Program:
    """FILE:FUNCTION, with the file's whole path, its name in the specification, and what it may be asked.

    ``ledger`` is the file of its questions and answers, None where each folder of output has one of its own.
    """

    name: str
    python: str
    budget: QueryBudget
    deterministic: bool
    ledger: Path | None = None


@dataclass(frozen=True)
class Lift:
    """``requirement`` proves that what ``call`` computes is at least ``value``, or the ``parameter`` it solves for.

    The event is that an answer is more than ``gap`` below it: so any answer below ``value - gap`` is one.
    """

    requirement: str
    call: str
    gap: Fraction
    value: Fraction | None
    parameter: str


@dataclass(frozen=True)
class StatisticalQuestion:
    """Pr[event] <= max_rate, where the event is that an answer is below ``below``.

    The answer is that of a ``program``, after the draw shown what is ``evaluated``; or, where there is none, the only
    number that is evaluated. Where there is an ``against``, one number, it is taken off the program's answer first; a
    ``lift`` says what proof makes of the event. ``rows`` (count, size) are the examples that are drawn from, if it is
    not the box.
    """

    id: str
    severity: Severity
    text: str
    line: int
    below: Fraction
    program: Program | None
    evaluated: Evaluated
    inputs: Drawn
    law: str
    rows: np.ndarray | None
    terms: Statistical
    models: tuple[tuple[str, Path], ...]
    kappa: Fraction | None = None
    """Draws are an adversary's: the law that is meant has a density of at most this with respect to theirs."""
    relaxed: RelaxedTerms | None = None
    """Draws are of states, which a relaxed checker judges; ``rows`` are the natural inputs it is calibrated on."""
    against: Evaluated | None = None
    lift: Lift | None = None

    @property
    def model_sha256(self) -> str:
        """Of the network that is run; of the hashes of all where there are several, "" where there is none."""
        hashes = [sha256_of(file) for _, file in self.models]
        return (
            hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else ""
        )


@dataclass(frozen=True)
class StatisticalSpec:
    name: str
    file: Path
    description: str
    questions: tuple[StatisticalQuestion, ...]
    seconds: float | None
    seed: int
    gates: Gates

    def describe(self) -> str:
        """The questions in words."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        for one in self.questions:
            terms = one.terms
            lines.append(f"{one.id} ({one.severity}) has to be rare: {one.text}, at a rate of at most {terms.max_rate}")
            lines.append(f"  under {one.law}")
            lines.append(
                f"  bounded by {terms.method} from {terms.queries} draws, confidence {exact(terms.confidence)}"
            )
            if one.relaxed is not None:
                judge = f"{one.relaxed.network.name}, above {one.relaxed.level}"
                count = 0 if one.rows is None else len(one.rows)
                lines.append(f"  of states that {judge} judges, calibrated on all {count} natural inputs")
            if one.lift is not None:
                lines.append(f"  with {one.lift.requirement}, answers below 0 are then as rare")
            if one.program is not None:
                asked = f"{Path(one.program.python).name}, of at most {one.program.budget.queries} questions"
                lines.append(f"  by the answers of {asked}")
            if terms.sides == "upper":
                lines.append("  it cannot be violated, only certified or unknown: say `sides: both` for that")
        return "\n".join([*lines, *self.gates.describe()])
