"""What deciding one requirement comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from verifier.relaxed.contents import Moments, Outputs, PointAction

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

    def to_json(self) -> dict[str, Any]:
        """Plain data for reports; without a path where it is not kept."""
        return {
            "path": str(self.path) if self.path.name else None,
            "checked": True,
            "bytes": self.bytes,
            "check_seconds": self.check_seconds,
            "leaves": self.leaves,
            "binding": self.binding,
        }


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


class Exploit(NamedTuple):
    """A neuron whose relaxed output is not its ReLU. ``gap``: how far above it (below: negative) the output is.

    The layer after the last one are the model's outputs: of these ``gap`` is how far they are from what it computes.
    ``cost``: what this takes from the row. Over all neurons it is the row's value in the network less its bound.
    """

    layer: int
    neuron: int
    gap: float
    cost: float


@dataclass(frozen=True)
class RelaxedAction:
    """An action of ``relaxation`` on the box [``lower``, ``upper``] under ``splits``, as it goes into a file.

    ``rows`` are the values of the case's rows, ``score`` is ``-weights @ rows``, or ``-max(rows)`` where ``weights`` is
    None; ``note`` says what was left out. It holds within ``tolerance``.
    """

    relaxation: str
    content: PointAction | Moments | Outputs
    note: str
    lower: np.ndarray
    upper: np.ndarray
    rows: np.ndarray
    weights: np.ndarray | None
    score: float
    splits: tuple[tuple[int, int, int], ...] = ()
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Extrapolated:
    """A network on which a relaxed attack is a real one, or ``why`` there is none.

    ``score`` is the adversary's on it, ``replayed`` the same in onnxruntime's float32; ``deviating`` of its
    ``unstable`` units are no ReLUs. ``difference`` is the mean absolute one to the original on the given data.
    """

    path: Path | None = None
    table: Path | None = None
    score: float = 0.0
    replayed: float | None = None
    deviating: int = 0
    unstable: int = 0
    difference: float | None = None
    why: str = ""


@dataclass(frozen=True)
class RelaxedAttack:
    """The best point of the relaxation's enlarged action space: not a counterexample, but why there is no proof.

    ``bound``: the relaxation's value of the best row there (<= 0); ``value``: the real network's value at the same
    input; ``exploits``: the neurons whose relaxation it owes most to. ``path`` is the file of the ``action``,
    ``extrapolated`` the network that was asked for.
    """

    case: int
    point: list[float]
    bound: float
    value: float
    exploits: list[Exploit]
    action: RelaxedAction | None = None
    path: Path | None = None
    extrapolated: Extrapolated | None = None

    @property
    def relaxation(self) -> str:
        """Whose action it is; "" where there is none to store."""
        return self.action.relaxation if self.action is not None else ""


@dataclass(frozen=True)
class Outcome:
    """``attained`` and ``proved`` bracket the least value of the best row over the input set.

    ``stopped``: the whole run was told to end, not only this decision.
    """

    verdict: Verdict
    reason: str
    attained: float
    proved: float
    proof: Proof | None = None
    attack: Attack | None = None
    relaxed: RelaxedAttack | None = None
    stats: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
