"""Every error a user can cause, in the user's terms: what, where, why, what to do.

CertifyError
├── SpecError               a specification that cannot be read or does not fit the model
├── ModelError              a model file that cannot be loaded
│   ├── UnsafeModelFileError   it would have to be trusted to be read: refused
│   └── UnsupportedOpError     operators without a meaning here, all of them at once
└── CertificateError        a certificate that cannot be read
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class CertifyError(Exception):
    """Base of all errors that are the input's fault and are shown without a traceback."""


class SpecError(CertifyError):
    """``file:line:column: message``; ``line`` and ``column`` count from 1, 0 when unknown."""

    def __init__(self, message: str, file: str | Path | None = None, line: int = 0, column: int = 0) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        where = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{where}: {message}" if where else message)


class ModelError(CertifyError):
    """``file: message``."""

    def __init__(self, message: str, file: str | Path | None = None) -> None:
        self.message, self.file = message, file
        super().__init__(f"{file}: {message}" if file else message)


class UnsafeModelFileError(ModelError):
    """The file holds something that only executing or unbounded unpacking could read."""


class UnsupportedOpError(ModelError):
    """``offenders`` pairs each unsupported operator with the node where it stands; ``listed`` says it in words."""

    def __init__(self, offenders: Sequence[tuple[str, str]], file: str | Path | None = None, hint: str = "") -> None:
        self.offenders = tuple(offenders)
        self.listed = "; ".join(f"{op} at node {node!r}" for op, node in self.offenders) + (f". {hint}" if hint else "")
        super().__init__(f"unsupported operator(s): {self.listed}", file)


class CertificateError(CertifyError):
    """A certificate file that is not one, or not of a version this program knows."""
