"""Gates: what a run has to reach besides its verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

from specs.language.regression import Place, Regression, Result, check_same, read_regression, unsupported
from specs.language.text.decimals import format_decimal
from specs.property import ClaimClass, Severity

if TYPE_CHECKING:
    from specs.language.schema.gate import Gate
    from specs.language.text.source import Source

CLASSES: tuple[ClaimClass, ...] = get_args(ClaimClass)
"""The strongest class of claims first."""


class Miss(NamedTuple):
    """A gate that was missed, in words.

    ``severity`` is how bad a violation of the requirement would be that it is about; a gate that always counts is
    malign. ``lost`` says whether it is about something that an earlier run had reached, ``weak`` whether about the
    class of what is proved.
    """

    words: str
    severity: Severity = "malign"
    lost: bool = False
    weak: bool = False


@dataclass(frozen=True)
class Gates:
    """Limits of values by (requirement, parameter), the weakest class of claim by severity, an earlier run.

    ``writes_baseline`` says whether this run is to be one for later runs.
    """

    at_least: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    at_most: Mapping[Place, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    require_class: Mapping[Severity, ClaimClass] = field(default_factory=lambda: MappingProxyType({}))
    regression: Regression | None = None
    writes_baseline: bool = False

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
        return Miss(f"{id}: a {severity} requirement has to be proved {wanted}, it is {claimed}", severity, weak=True)

    def lost(self, results: Iterable[Result]) -> list[Miss]:
        """What an earlier run had certified and this one has not, or by less than is allowed for."""
        losses = [] if self.regression is None else self.regression.losses(results)
        return [Miss(one.words, one.severity, lost=True) for one in losses]

    def describe(self) -> list[str]:
        """The gates in words."""
        found = [
            f"the value of {id}.{name} has to be {words} {exactly(limit)}"
            for limits, words in ((self.at_least, "at least"), (self.at_most, "at most"))
            for (id, name), limit in limits.items()
        ]
        found += [f"a proof of a {one} requirement has to be {kind}" for one, kind in self.require_class.items()]
        if self.regression is not None:
            known = [id for id, one in self.regression.earlier.items() if one.is_certified]
            found.append(f"what was certified earlier has to be certified again: {', '.join(known) or 'nothing'}")
        return [f"gate: {one}" for one in found]

    def about(self, id: str) -> bool:
        """Whether there is a gate on a requirement's value."""
        return any(own == id for own, _ in (*self.at_least, *self.at_most))


def class_of(claimed: str) -> ClaimClass:
    """The class of a claim, without the confidence that stands in brackets behind it."""
    return next(one for one in CLASSES if one == claimed.partition("(")[0])


class _File(Protocol):
    """A spec.yaml of any kind."""

    @property
    def gate(self) -> Gate: ...
    @property
    def emit(self) -> tuple[Any, ...]: ...
    @property
    def require(self) -> Sequence[Any]: ...


def read_gates(section: _File, maximize: Mapping[Place, bool], source: Source, more: Sequence[str] = ()) -> Gates:
    """The gates of a file; faults go to ``source``.

    ``maximize`` are the values solved for, and whether larger ones are better; ``more`` are ids of answers beside those
    of the requirements.
    """
    found: dict[str, dict[Place, Fraction]] = {"min": {}, "max": {}}
    for key, entries in (("min", section.gate.min), ("max", section.gate.max)):
        for text, value in entries.items():
            id, _, name = text.rpartition(".")
            if (id, name) in maximize:
                found[key][id, name] = value
            else:
                names = ", ".join(map(".".join, maximize)) or "none: nothing is solved for"
                source.fault(unsupported(text) or f"{text!r} is not solved for ({names})", "gate", key)
    regression = read_regression(section.gate.regression, maximize, Path(source.faults.file or ".").parent, source)
    check_same(regression, (*(one.id for one in section.require), *more), source)
    classes = MappingProxyType(dict(section.gate.require_class))
    return Gates(found["min"], found["max"], classes, regression, "baseline" in section.emit)


def exactly(value: Fraction) -> str:
    """A value without any rounding: what is proved for it need not hold for one close to it."""
    return format_decimal(value) or str(value)
