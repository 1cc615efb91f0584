"""An append-only file of queries and answers, each line bound to the one before it by a hash.

A line is a JSON object whose last key ``sha256`` is the hash of the previous line's hash, a line feed, and the bytes of
the line before that key. Changing, dropping or moving any line breaks the chain there or changes its end.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from specs.errors import CertifyError

FORMAT, VERSION = "certify-ledger", 1
START = "0" * 64
TAIL = b',"sha256":"'


class LedgerError(CertifyError):
    """A ledger that was edited, is of another overseer, or is in use."""


def sealed(body: dict[str, Any], previous: str) -> tuple[bytes, str]:
    """The line (without line feed) and its hash."""
    text = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()[:-1]
    digest = hashlib.sha256(previous.encode() + b"\n" + text).hexdigest()
    return text + TAIL + digest.encode() + b'"}', digest


def read_lines(data: bytes, name: str) -> tuple[list[dict[str, Any]], str]:
    """All lines and the hash of the last; raises ``LedgerError`` at the first that does not follow from the one before.

    ``data`` has to end with a line feed.
    """
    lines, previous = [], START
    for number, raw in enumerate(data.split(b"\n")[:-1]):
        text, tail, rest = raw.rpartition(TAIL)
        digest = hashlib.sha256(previous.encode() + b"\n" + text).hexdigest()
        if not tail or rest != digest.encode() + b'"}':
            raise LedgerError(f"{name}: line {number + 1} was changed: its hash is not that of its content")
        body = json.loads(text + b"}")
        if body.get("n") != number:
            raise LedgerError(f"{name}: line {number + 1} has the number {body.get('n')!r}")
        lines.append(body)
        previous = digest
    return lines, previous


class Ledger:
    """The file, open for this process alone. ``lines`` is what it holds."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Open or start the ledger. A last line without its line feed, cut off by a crash, is removed.

        Raises ``LedgerError`` if another process has it open, a line was changed, or its first line is another header.
        """
        self.path = path
        path.touch()
        self._file: BinaryIO = open(path, "r+b")  # noqa: SIM115 - open as long as the ledger
        try:
            self._open(header)
        except BaseException:
            self._file.close()
            raise

    def _open(self, header: dict[str, Any]) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LedgerError(f"{self.path}: another process is using this ledger") from None
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        self._file.seek(0, os.SEEK_END)
        self.lines, self.head = read_lines(whole, str(self.path))
        first = {"n": 0, "kind": "open", "format": FORMAT, "version": VERSION, **header}
        if not self.lines:
            self.append({key: value for key, value in first.items() if key != "n"})
        elif self.lines[0] != json.loads(json.dumps(first)):
            differs = sorted(key for key in first if self.lines[0].get(key) != json.loads(json.dumps(first[key])))
            raise LedgerError(f"{self.path}: this ledger was started with another {', '.join(differs) or 'header'}")

    def append(self, body: dict[str, Any]) -> int:
        """Write one line through to the disk; returns its number."""
        number = len(self.lines)
        body = {"n": number, **body}
        line, digest = sealed(body, self.head)
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.append(body)
        self.head = digest
        return number

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
