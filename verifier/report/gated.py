"""Whether a run has reached what its specification asks of it besides the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from typing import Any

from specs.language.gates import Gates, Miss
from specs.language.regression import Place, Result


def misses(gates: Gates, answers: Sequence[Any]) -> tuple[Miss, ...]:
    """Every gate that was missed: limits of values first, then classes of what is certified, then an earlier run."""
    found = gates.missed(dict(filter(None, map(proved_value, answers))))
    weak = [gates.too_weak(a.id, a.requirement.severity, a.claim_class) for a in answers if a.verdict == "certified"]
    return (*found, *filter(None, weak), *gates.lost(map(result_of, answers)))


def proved_value(answer: Any) -> tuple[Place, Fraction | None] | None:
    """The parameter of an answer with the value that is certified of it, given or found; None where there is none."""
    parameter = answer.parameter
    if parameter is None:
        return None
    name, value = parameter
    return (answer.id, name), value if answer.verdict == "certified" else None


def result_of(answer: Any) -> Result:
    """What two runs are compared by."""
    place, value = proved_value(answer) or (("", ""), None)
    slack = getattr(answer, "slack", None)  # there is none of rates, polynomials and the like
    return Result(
        answer.id,
        answer.requirement.severity,
        answer.verdict,
        answer.question,
        None if slack is None or not isfinite(slack) else Fraction(slack),
        place[1],
        value,
    )


def plain_result(answer: Any) -> dict[str, Any]:
    """The same for a file."""
    one = result_of(answer)
    return {
        "id": one.id,
        "severity": one.severity,
        "verdict": one.verdict,
        "class": answer.claim_class,
        "question": one.question,
        "slack": None if one.slack is None else float(one.slack),
        "parameter": {"name": one.parameter, "proved": None if one.value is None else str(one.value)}
        if one.parameter
        else None,
    }
