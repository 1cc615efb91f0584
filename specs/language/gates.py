"""Gates: what a run has to reach besides its verdicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, get_args

from specs.language.decimals import format_decimal
from specs.property import ClaimClass, Severity

if TYPE_CHECKING:
    from specs.language.schema import Gate
    from specs.language.source import Source

Place = tuple[str, str]  # of a value: the requirement's id, and the parameter

CLASSES: tuple[ClaimClass, ...] = get_args(ClaimClass)
"""The strongest class of claims first."""


class Miss(NamedTuple):
    """A gate that was missed, in words.

    ``severity`` is how bad a violation of the requirement would be that it is about; a gate that always counts is
    malign.
    """

    words: str
    severity: Severity = "malign"


@dataclass(frozen=True)
class Gates:
    """Limits of values by (requirement, parameter), and the weakest class of claim by severity."""

    at_least: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    at_most: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    require_class: Mapping[Severity, ClaimClass] = field(default_factory=lambda: MappingProxyType({}))

    def missed(self, proved: Mapping[Place, Fraction | None]) -> list[Miss]:
        """The limits that were missed. A value counts only with a proof."""
        found = []
        for limits, words in ((self.at_least, "at least"), (self.at_most, "at most")):
            for (id, name), limit in limits.items():
                value = proved.get((id, name))
                if value is None or (value < limit if words == "at least" else value > limit):
                    told = "nothing is" if value is None else f"{exactly(value)} is"
                    found.append(Miss(f"{id}.{name}: {words} {exactly(limit)} is wanted, {told} proved"))
        return found

    def too_weak(self, id: str, severity: Severity, claimed: str) -> Miss | None:
        """The gate on classes, where a claim of the class ``claimed``, as in ``statistical(0.99)``, misses it."""
        wanted = self.require_class.get(severity)
        if wanted is None or CLASSES.index(class_of(claimed)) <= CLASSES.index(wanted):
            return None
        return Miss(f"{id}: a {severity} requirement has to be proved {wanted}, it is {claimed}", severity)

    def about(self, id: str) -> bool:
        """Whether there is a gate on a requirement's value."""
        return any(own == id for own, _ in (*self.at_least, *self.at_most))


def class_of(claimed: str) -> ClaimClass:
    """The class of a claim, without the confidence that stands in brackets behind it."""
    return next(one for one in CLASSES if one == claimed.partition("(")[0])


def read_gates(section: Gate, known: Collection[Place], source: Source) -> Gates:
    """The gates under ``gate``; ``known`` are the values solved for. Faults go to ``source``."""
    found: dict[str, dict[Place, Fraction]] = {"min": {}, "max": {}}
    for key, entries in (("min", section.min), ("max", section.max)):
        for text, value in entries.items():
            id, _, name = text.rpartition(".")
            if (id, name) in known:
                found[key][id, name] = value
            else:
                names = ", ".join(map(".".join, known)) or "none: nothing is solved for"
                source.fault(f"{text!r} is not solved for ({names})", "gate", key)
    return Gates(found["min"], found["max"], MappingProxyType(dict(section.require_class)))


def exactly(value: Fraction) -> str:
    """A value without any rounding: what is proved for it need not hold for one close to it."""
    return format_decimal(value) or str(value)
