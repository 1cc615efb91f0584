"""``assume`` of a spec.yaml, and how much an error of an overseer would change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from specs.assumption import Assumption
from specs.language.schema.file import SpecFile
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.problem import Case


def read_assumptions(section: SpecFile, source: Source) -> tuple[Assumption, ...]:
    """The assumptions; faults go to ``source``."""
    found: list[Assumption] = []
    ids = [one.id for one in section.require]
    for i, one in enumerate(section.assume):
        if one.id in [known.id for known in found]:
            source.fault(f"the id {one.id!r} is used twice", "assume", i, "id")
        target = one.check.requirement
        if one.kind == "checked" and not target:
            source.fault("says not what checks it: give check: {requirement: ID}", "assume", i)
        if target and one.kind != "checked":
            source.fault("only assumptions of kind checked are", "assume", i, "check", "requirement")
        for name, *path in ((target, "check", "requirement"), *((of, "of") for of in one.of)):
            if name and name not in ids:
                source.fault(f"there is no requirement {name!r}{did_you_mean(name, ids)}", "assume", i, *path)
        error, overseer = Fraction(0), ""
        if one.error is not None:
            overseer, error = one.error.overseer, one.error.at_most
            if overseer not in section.overseers:
                hint = did_you_mean(overseer, section.overseers)
                source.fault(f"there is no overseer {overseer!r}{hint}", "assume", i, "error", "overseer")
        found.append(Assumption(one.id, one.text, one.kind, target, overseer, error, one.of))
    return tuple(found)


def sensitivities(cases: Sequence[Case], answers: Mapping[str, Collection[int] | None]) -> dict[str, Fraction | None]:
    """By overseer: by how much a row changes at most where each of its answers changes by 1.

    ``answers`` are its outputs; None says that something else than a row reads them, so that nothing is known.
    """
    rows = [row for case in cases for row in case.any_of]
    return {
        judge: None
        if own is None
        else max((sum((abs(c) for i, c in row.y if i in own), Fraction(0)) for row in rows), default=Fraction(0))
        for judge, own in answers.items()
    }
