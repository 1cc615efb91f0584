"""The question of a rate by way of a relaxed checker: what is known of it before anything is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.language.statistical_question import Evaluated


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
