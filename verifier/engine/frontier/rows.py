"""What is measured: a row for each relaxation, and the best attack that all of them are compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attacked:
    """The best score of a real input, computed by the network in float64, and what found it.

    ``point`` is the input, and ``case`` the case; -inf and empty where none was tried.
    """

    score: float = -math.inf
    by: str = ""
    case: int = 0
    point: tuple[float, ...] = ()


@dataclass(frozen=True)
class Row:
    """One relaxation. ``value`` bounds the score of all inputs in all cases, by float64 and the solver's word; NaN if
    there is none, and ``note`` then says why.

    ``seconds`` solved all cases, ``attack_seconds`` turned their best actions into real inputs, of which the best has
    the score ``attack``. ``exploited`` counts the relaxed constraints that the best action of the worst case breaks.
    ``bytes``, ``check_seconds`` and ``file`` are those of a certificate for all cases that ``checked_by`` accepts: the
    independent checker, or "evaluation" for a list of all inputs, which is read and evaluated again. ``proof_bytes``
    of the file are the proof itself, without model, query and manifest.
    ``values`` are those of the cases.
    """

    relaxation: str
    value: float = math.nan
    seconds: float | None = None
    attack: float | None = None
    attack_seconds: float | None = None
    exploited: int | None = None
    bytes: int | None = None
    proof_bytes: int | None = None
    check_seconds: float | None = None
    checked_by: str = ""
    file: Path | None = None
    note: str = ""
    values: tuple[float, ...] = ()

    @property
    def measured(self) -> bool:
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Frontier:
    """All rows about requirement ``id``, loosest relaxation first and those without a value last.

    ``domain`` says in words which inputs the attack and the list of all inputs may take. ``ranges_seconds`` found the
    pre-activation ranges that all relaxations start from; ``descent`` is what gradients alone have reached.
    ``stopped`` says why everything was told to end, if it was.
    """

    id: str
    claim: str
    domain: str
    inputs: int
    neurons: int
    unstable: int
    cases: int
    ranges_seconds: float
    attack: Attacked
    descent: float
    descent_seconds: float
    rows: tuple[Row, ...]
    stopped: str = ""

    def gap(self, row: Row) -> float:
        """How far a relaxation's value is above the best attack; NaN where either is missing."""
        return row.value - self.attack.score if row.measured and math.isfinite(self.attack.score) else math.nan
