"""What a solver says about assertions. Only a model can be believed without more: it is checked by putting it in."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Satisfied:
    """Exact values of all variables at which the assertions hold."""

    values: dict[str, Fraction]


@dataclass(frozen=True)
class Contradicted:
    """The solver says that these assertions, by name, cannot hold together."""

    core: tuple[str, ...]


@dataclass(frozen=True)
class Unanswered:
    """The solver gave up."""

    reason: str
