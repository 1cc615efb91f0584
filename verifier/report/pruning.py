"""What is said about a network without the units that data leaves idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifier.attack.pruned import Agreement, Tried

SHOWN = 12  # units of one layer


@dataclass(frozen=True)
class Pruning:
    """``file`` is the pruned network, ``spec`` the question how far it is from the network.

    ``reference`` says what it was compared with on the data: the model's own file, or that as it was read.
    """

    file: Path
    sha256: str
    spec: Path
    min_support: int
    units: Mapping[str, Sequence[int]]
    reference: str
    agreement: Agreement
    attacks: Sequence[Tried]

    def text(self) -> str:
        """Without a final line break."""
        rule = "no example activates" if self.min_support == 1 else f"fewer than {self.min_support} examples activate"
        lines = [f"pruned: ReLU units that {rule}"]
        lines += [f"  {name:<12}{_units(units)}" for name, units in self.units.items()] or ["  none"]
        lines.append(f"  {'network':<12}{self.file} (sha256:{self.sha256})")
        lines.append(f"  {'on the data':<12}{self.agreement.words}, compared with {self.reference}")
        lines.append(f"  {'elsewhere':<12}certify {self.spec} bounds the difference on the box in it")
        lines += [f"  {'attack':<12}{one.words}" for one in self.attacks]
        if any(one.needs == "yes" for one in self.attacks):
            lines.append(
                "  Training on this data cannot have shaped what such units do, unless the weights were written in "
                "another way: say where they come from (an assumption, GD-provenance) before calling the attack benign."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.file),
            "sha256": self.sha256,
            "spec": str(self.spec),
            "min_support": self.min_support,
            "units": {name: list(units) for name, units in self.units.items()},
            "on_data": {
                "compared_with": self.reference,
                "runtime": self.agreement.runtime,
                "examples": self.agreement.examples,
                "different": self.agreement.different,
                "largest": self.agreement.largest,
            },
            "attacks": [{"id": one.id, "needs_unexercised_units": one.needs} for one in self.attacks],
        }


def _units(units: Sequence[int]) -> str:
    more = f" and {len(units) - SHOWN} more" if len(units) > SHOWN else ""
    return f"{len(units)}: {', '.join(map(str, units[:SHOWN]))}{more}"
