"""The results file: one CSV row per run, appended and flushed as it comes, readable after a crash."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from specs.errors import SpecError

VERDICTS = ("certified", "violated", "unknown", "error", "killed")
CONTRADICTED_ITSELF = 70  # certify's exit code when a sampled point beats one of its own bounds


@dataclass(frozen=True)
class Row:
    """One run; every field is a CSV column, in this order, and text. An empty cell means not known.

    ``agrees`` is ``yes`` or ``no`` where a known answer meets a decision, else ``na``. ``seconds`` is the wall time of
    the whole process; ``check_seconds`` the part that checked the certificate; ``certificate_checked`` is ``yes`` when
    the checker accepted it.
    """

    benchmark: str
    model: str
    spec: str
    verdict: str
    reason: str
    expected: str
    agrees: str
    seconds: str
    cpu_seconds: str
    check_seconds: str
    certificate_bytes: str
    certificate_checked: str
    peak_memory_mb: str
    exit_code: str
    certify: str
    python: str
    numpy: str
    seed: str
    machine: str
    timeout: str
    command: str

    @property
    def question(self) -> tuple[str, ...]:
        """What makes two runs the same run: instance, time allowed and command."""
        return (self.benchmark, self.model, self.spec, self.timeout, self.command)

    @property
    def wrong(self) -> bool:
        return self.agrees == "no"

    @property
    def contradicted_itself(self) -> bool:
        return self.exit_code == str(CONTRADICTED_ITSELF)


COLUMNS = [field.name for field in fields(Row)]


def agreement(verdict: str, expected: str) -> str:
    """``yes``, ``no`` or ``na``: the property holds (``certified``) iff its negation is ``unsat``."""
    decided = {"certified": "unsat", "violated": "sat"}.get(verdict)
    if decided is None or expected not in ("sat", "unsat"):
        return "na"
    return "yes" if decided == expected else "no"


class Results:
    """An open results file; use as a context manager."""

    def __init__(self, path: Path, resume: bool) -> None:
        """Creates ``path``, or with ``resume`` continues it; ``rows`` are those already there.

        Raises ``SpecError`` when the file exists and is not to be continued, or is not a results file.
        A last line without its newline is what a crash left half written: it is cut off.
        """
        self.rows = _read(path) if resume and path.exists() else []
        mode = "a" if resume else "x"
        try:
            self._stream: IO[str] = path.open(mode, newline="", encoding="utf-8")
        except FileExistsError as error:
            raise SpecError("exists already: continue it with --resume or choose another --out", path) from error
        except OSError as error:
            raise SpecError(f"cannot be written: {error.strerror}", path) from error
        self._writer = csv.writer(self._stream, lineterminator="\n")
        if self._stream.tell() == 0:
            self._writer.writerow(COLUMNS)
            self._stream.flush()

    def append(self, row: Row) -> None:
        self.rows.append(row)
        self._writer.writerow([getattr(row, name) for name in COLUMNS])
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _read(path: Path) -> list[Row]:
    try:
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        table = list(csv.reader(io.StringIO(whole.decode("utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"cannot be continued: {error}", path) from error
    if table and table[0] != COLUMNS:
        raise SpecError("is not a results file of this version (its header differs); choose another --out", path, 1)
    bad = [str(line) for line, cells in enumerate(table, start=1) if len(cells) != len(COLUMNS)]
    if bad:
        raise SpecError(f"line(s) {', '.join(bad[:20])} do not have {len(COLUMNS)} cells; choose another --out", path)
    if len(whole) < len(raw):
        os.truncate(path, len(whole))
    return [Row(*cells) for cells in table[1:]]
