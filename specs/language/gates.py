"""Gates on values that a specification solves for: how far a proof has to reach besides there being one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from specs.language.decimals import format_decimal

if TYPE_CHECKING:
    from specs.language.source import Source

Place = tuple[str, str]  # of a value: the requirement's id, and the parameter


@dataclass(frozen=True)
class Gates:
    """Limits of values by (requirement, parameter)."""

    at_least: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    at_most: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))

    def missed(self, proved: Mapping[Place, Fraction | None]) -> tuple[str, ...]:
        """The gates that were missed, in words. A value counts only with a proof."""
        found = []
        for limits, words in ((self.at_least, "at least"), (self.at_most, "at most")):
            for (id, name), limit in limits.items():
                value = proved.get((id, name))
                if value is None or (value < limit if words == "at least" else value > limit):
                    told = "nothing is" if value is None else f"{exactly(value)} is"
                    found.append(f"{id}.{name}: {words} {exactly(limit)} is wanted, {told} proved")
        return tuple(found)

    def about(self, id: str) -> bool:
        """Whether there is a gate on a requirement's value."""
        return any(own == id for own, _ in (*self.at_least, *self.at_most))


def read_gates(
    least: Mapping[str, Fraction], most: Mapping[str, Fraction], known: Collection[Place], source: Source
) -> Gates:
    """The gates under ``min`` and ``max``, as in ``{roa.rho: 2.3}``; faults go to ``source``."""
    found: dict[str, dict[Place, Fraction]] = {"min": {}, "max": {}}
    for key, entries in (("min", least), ("max", most)):
        for text, value in entries.items():
            id, _, name = text.rpartition(".")
            if (id, name) in known:
                found[key][id, name] = value
            else:
                names = ", ".join(map(".".join, known)) or "none: nothing is solved for"
                source.fault(f"{text!r} is not solved for ({names})", "gate", key)
    return Gates(found["min"], found["max"])


def exactly(value: Fraction) -> str:
    """A value without any rounding: what is proved for it need not hold for one close to it."""
    return format_decimal(value) or str(value)
