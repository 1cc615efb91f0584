"""The frontier for people, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from verifier.engine.frontier.rows import Frontier, Row

HEADER = ("relaxation", "value", "gap", "proof bytes", "solve s", "check s", "attack", "attack s", "exploited")
COLUMNS = (
    *(
        "requirement",
        "relaxation",
        "value",
        "gap",
        "bytes",
        "proof_bytes",
        "solve_seconds",
        "check_seconds",
        "checked_by",
    ),
    *("attack_seconds", "attack", "best_attack", "best_attack_by", "exploited", "unstable", "cases", "file", "note"),
)


def text(found: Frontier) -> str:
    """A table under a few lines on the question, without a final line break."""
    cases = f"{found.cases} case{'s' * (found.cases != 1)}"
    sizes = f"{found.inputs} inputs, {found.neurons} neurons, at most {found.unstable} unstable, {cases}"
    lines = [
        f"{found.id}: {found.claim}",
        f"  {found.domain}; {sizes}; ranges in {found.ranges_seconds:.2f} s",
        f"  {_attack(found)}",
    ]
    return "\n".join([*lines, "", *_table(found)])


def csv_text(frontiers: Sequence[Frontier]) -> str:
    """A line for each requirement and relaxation; what was not measured is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for found in frontiers:
        best = found.attack
        for row in found.rows:
            gap = found.gap(row)
            cells = [
                found.id,
                row.relaxation,
                row.value,
                gap,
                row.bytes,
                row.proof_bytes,
                row.seconds,
                row.check_seconds,
            ]
            cells += [row.checked_by, row.attack_seconds, row.attack, best.score, best.by, row.exploited]
            cells += [found.unstable, found.cases, row.file, row.note]
            writer.writerow(["" if _missing(cell) else cell for cell in cells])
    return out.getvalue()


def json_text(frontiers: Sequence[Frontier]) -> str:
    """Everything; numbers that are missing or infinite are null."""
    whole = {"frontiers": [{**asdict(found), "rows": [_row(found, row) for row in found.rows]} for found in frontiers]}
    return json.dumps(_plain(whole), indent=1) + "\n"


def _attack(found: Frontier) -> str:
    best = found.attack
    if not math.isfinite(best.score):
        return "no attack was tried"
    said = "no input found breaks the property" if best.score < 0 else "the property fails there"
    descent = f"gradients reach {found.descent:.6g} in {found.descent_seconds:.2f} s"
    return f"best attack {best.score:.6g}, the float64 score of a real input, by {best.by} ({descent}): {said}"


def _table(found: Frontier) -> list[str]:
    lines = [HEADER, *(_cells(found, row) for row in found.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    notes = ["note", *(row.note for row in found.rows)]
    aligned = [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths)))
        for line in lines
    ]
    return [f"  {line}  {note}".rstrip() for line, note in zip(aligned, notes, strict=True)]


def _cells(found: Frontier, row: Row) -> tuple[str, ...]:
    return (
        row.relaxation,
        _number(row.value, ".6g"),
        _number(found.gap(row), ".3g"),
        _number(row.proof_bytes, "d"),
        _seconds(row.seconds),
        _seconds(row.check_seconds),
        _number(row.attack, ".6g"),
        _seconds(row.attack_seconds),
        _number(row.exploited, "d"),
    )


def _seconds(seconds: float | None) -> str:
    return _number(seconds, ".2g" if seconds is not None and seconds < 0.1 else ".2f")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or _missing(value) else format(value, form)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _row(found: Frontier, row: Row) -> dict[str, Any]:
    return {**asdict(row), "gap": found.gap(row), "file": None if row.file is None else str(row.file)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if _missing(value) else value
