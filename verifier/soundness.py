"""The program against itself: a sampled point that beats a proved bound means that one of the two is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from verifier.engine.outcome import Outcome

TOLERANCE = 1e-6  # relative; samples are evaluated in plain float64


class SoundnessError(Exception):
    """The toolkit contradicted itself. ``reproducer`` is the folder with everything that shows it."""

    def __init__(self, message: str, reproducer: Path | None = None) -> None:
        self.reproducer = reproducer
        super().__init__(f"{message}; reproducer saved in {reproducer}" if reproducer else message)


def contradiction(outcome: Outcome) -> str:
    """What is contradictory about a certified outcome, or nothing."""
    if outcome.verdict != "certified":
        return ""
    if outcome.attained >= outcome.proved - TOLERANCE * (1 + abs(outcome.proved)):
        return ""
    return f"a sampled input attains {outcome.attained!r}, below the proved bound {outcome.proved!r}"


def save_reproducer(folder: Path, model: Path, spec: Path, certificate: Path | None, details: dict[str, object]) -> Path:
    """Copies of the files and what was found, in a new folder below ``folder``."""
    target = folder / "contradiction"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"contradiction-{number}"
    target.mkdir(parents=True)
    for file in (model, spec, certificate):
        if file is not None and file.is_file():
            shutil.copy(file, target)
    (target / "details.json").write_text(json.dumps(details, indent=1), encoding="utf-8")
    return target
