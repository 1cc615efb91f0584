"""The results file: one CSV row per run, appended and flushed as it comes, readable after a crash."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Generic, TypeVar

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
    def title(self) -> str:
        """What it was about, for people."""
        return f"{self.benchmark} {self.model} {self.spec}"

    @property
    def wrong(self) -> bool:
        return self.agrees == "no"

    @property
    def contradicted_itself(self) -> bool:
        return self.exit_code == str(CONTRADICTED_ITSELF)

    @property
    def unproved(self) -> bool:
        """Only an explicit rejection counts: other tools have no certificates to check."""
        return self.verdict == "certified" and self.certificate_checked == "no"


R = TypeVar("R", bound=Row)


def columns(kind: type[Row]) -> list[str]:
    """The header of a file of such rows."""
    return [field.name for field in fields(kind)]


COLUMNS = columns(Row)


def agreement(verdict: str, expected: str) -> str:
    """``yes``, ``no`` or ``na``: the property holds (``certified``) iff its negation is ``unsat``."""
    decided = {"certified": "unsat", "violated": "sat"}.get(verdict)
    if decided is None or expected not in ("sat", "unsat"):
        return "na"
    return "yes" if decided == expected else "no"


class Results(Generic[R]):
    """An open results file; use as a context manager."""

    def __init__(self, path: Path, resume: bool, kind: type[R]) -> None:
        """Creates ``path``, or with ``resume`` continues it; ``rows``, of type ``kind``, are those already there.

        Raises ``SpecError`` when the file exists and is not to be continued, or is not a results file of this kind.
        A last line without its newline is what a crash left half written: it is cut off.
        """
        self.columns = columns(kind)
        self.rows = []
        if resume and path.exists():
            self.rows = read_rows(path, kind)
            _cut(path)
        mode = "a" if resume else "x"
        try:
            self._stream: IO[str] = path.open(mode, newline="", encoding="utf-8")
        except FileExistsError as error:
            raise SpecError("exists already: continue it with --resume or choose another --out", path) from error
        except OSError as error:
            raise SpecError(f"cannot be written: {error.strerror}", path) from error
        self._writer = csv.writer(self._stream, lineterminator="\n")
        if self._stream.tell() == 0:
            self._writer.writerow(self.columns)
            self._stream.flush()

    def append(self, row: R) -> None:
        self.rows.append(row)
        self._writer.writerow([getattr(row, name) for name in self.columns])
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def __enter__(self) -> Results[R]:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """The rows of a results file that were written whole; raises ``SpecError`` where it is none of this kind."""
    header = columns(kind)
    try:
        raw = path.read_bytes()
        table = list(csv.reader(io.StringIO(raw[: raw.rfind(b"\n") + 1].decode("utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"cannot be read: {error}", path) from error
    if table and table[0] != header:
        raise SpecError("is not a results file of this kind and version (its header differs)", path, 1)
    bad = [str(line) for line, cells in enumerate(table, start=1) if len(cells) != len(header)]
    if bad:
        raise SpecError(f"line(s) {', '.join(bad[:20])} do not have {len(header)} cells", path)
    return [kind(*cells) for cells in table[1:]]


def _cut(path: Path) -> None:
    """Without a last line that lacks its end."""
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        os.truncate(path, whole)
