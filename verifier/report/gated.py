"""Whether a run has reached what its specification asks of it besides the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from specs.language.gates import Gates, Miss, Place


def misses(gates: Gates, answers: Sequence[Any]) -> tuple[Miss, ...]:
    """Every gate that was missed: limits of values first, then classes of what is certified."""
    found = gates.missed(dict(filter(None, map(proved_value, answers))))
    weak = [gates.too_weak(a.id, a.requirement.severity, a.claim_class) for a in answers if a.verdict == "certified"]
    return (*found, *filter(None, weak))


def proved_value(answer: Any) -> tuple[Place, Fraction | None] | None:
    """The parameter of an answer with the value that is certified of it, given or found; None where there is none."""
    parameter = answer.parameter
    if parameter is None:
        return None
    name, value = parameter
    return (answer.id, name), value if answer.verdict == "certified" else None
