"""What deciding one requirement comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

Verdict = Literal["certified", "violated", "unknown"]


@dataclass(frozen=True)
class Proof:
    """A certificate the independent checker accepted; ``exact``: in rational arithmetic as well."""

    path: Path
    bytes: int
    leaves: int
    check_seconds: float
    binding: str
    exact: bool = False


@dataclass(frozen=True)
class Attack:
    """A concrete input on which the property fails.

    ``point``: exact rationals inside the input set. ``outputs``: what the model's own runtime computed there (None when
    it could not run). ``proved``: how the independent checker proved the violation, "" when it did not.
    """

    point: tuple[Fraction, ...]
    outputs: list[float] | None
    case: int
    value: float
    proved: str
    path: Path | None


@dataclass(frozen=True)
class RelaxedAttack:
    """The best point of the relaxation's enlarged action space: not a counterexample, but why there is no proof.

    ``bound``: the relaxation's value of the best row there (<= 0); ``value``: the real network's value at the same
    input; ``exploits``: neurons whose relaxed value is farthest from their real one, as (layer, neuron, gap).
    """

    case: int
    point: list[float]
    bound: float
    value: float
    exploits: list[tuple[int, int, float]]


@dataclass(frozen=True)
class Outcome:
    """``attained`` and ``proved`` bracket the least value of the best row over the input set."""

    verdict: Verdict
    reason: str
    attained: float
    proved: float
    proof: Proof | None = None
    attack: Attack | None = None
    relaxed: RelaxedAttack | None = None
    stats: dict[str, float] = field(default_factory=dict)
