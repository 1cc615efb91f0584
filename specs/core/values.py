"""What a name of a core can hold while it is traced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union

from specs.core.forms import Affine

Data = Union[int, float, Affine, "Condition", tuple[Any, ...]]
"""What a name can hold: a constant, a number that depends on the input, a condition on it, or a sequence."""


@dataclass(frozen=True)
class Below:
    """``form <= 0``, or ``< 0``: what hangs on it has to be continuous, so that the border does not matter."""

    form: Affine


@dataclass(frozen=True)
class Both:
    left: Condition
    right: Condition


@dataclass(frozen=True)
class Opposite:
    part: Condition


Condition = Below | Both | Opposite
