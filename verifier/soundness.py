"""The program against itself: a sampled point that beats a proved bound means that one of the two is wrong."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from specs.property import Requirement, is_counterexample
from verifier.engine.outcome import Outcome

TOLERANCE = 1e-6  # relative; samples are evaluated in plain float64


class SoundnessError(Exception):
    """The toolkit contradicted itself. ``reproducer`` is the folder with everything that shows it."""

    def __init__(self, message: str, reproducer: Path | None = None) -> None:
        self.reproducer = reproducer
        super().__init__(f"{message}; reproducer saved in {reproducer}" if reproducer else message)


def contradiction(requirement: Requirement, outcome: Outcome) -> str:
    """What is contradictory about an outcome, or nothing.

    A proof must not claim more than sampling attained. An attack has to break the property as written exactly when it
    breaks the compiled one on the same numbers.
    """
    if outcome.verdict == "violated":
        return _misread(requirement, outcome)
    if outcome.verdict != "certified":
        return ""
    if outcome.attained >= outcome.proved - TOLERANCE * (1 + abs(outcome.proved)):
        return ""
    return f"a sampled input attains {outcome.attained!r}, below the proved bound {outcome.proved!r}"


def _misread(requirement: Requirement, outcome: Outcome) -> str:
    attack = outcome.attack
    if attack is None or attack.outputs is None or not all(map(math.isfinite, attack.outputs)):
        return ""
    outputs = [Fraction(value) for value in attack.outputs]
    written = requirement.is_violated_at(attack.point, outputs)
    compiled = is_counterexample(requirement.problem, attack.point, outputs)
    if written == compiled:
        return ""
    return f"at {attack.outputs} the property as written {_word(written)} and the compiled one {_word(compiled)}"


def _word(violated: bool) -> str:
    return "fails" if violated else "holds"


def save_reproducer(
    folder: Path, models: Sequence[Path], spec: Path, evidence: list[Path | None], details: dict[str, object]
) -> Path:
    """Copies of the files and what was found, in a new folder below ``folder``."""
    target = folder / "contradiction"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"contradiction-{number}"
    target.mkdir(parents=True)
    for file in (*models, spec, *evidence):
        if file is not None and file.is_file():
            shutil.copy(file, target)
    (target / "details.json").write_text(json.dumps(details, indent=1), encoding="utf-8")
    return target
