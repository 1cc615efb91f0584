"""Collecting everything wrong with a file, so that one error names all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from specs.errors import SpecError


@dataclass
class Faults:
    """Faults of one file in the order found; ``raise_if_any`` turns them into a single ``SpecError``."""

    SHOWN: ClassVar[int] = 20

    file: str | Path | None
    found: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, message: str, line: int = 0, column: int = 0) -> None:
        if (line, column, message) not in self.found:
            self.found.append((line, column, message))

    def raise_if_any(self) -> None:
        """Raise ``SpecError`` at the first fault in the file; further ones are listed below it, 20 at most."""
        if not self.found:
            return
        (line, column, message), *others = sorted(self.found)
        for other_line, other_column, other in others[: self.SHOWN - 1]:
            where = ":".join(str(part) for part in (self.file, other_line, other_column) if part)
            message += f"\n{where}: {other}" if where else f"\n{other}"
        if len(others) >= self.SHOWN:
            message += f"\n... and {len(others) - self.SHOWN + 1} more"
        raise SpecError(message, self.file, line, column)
