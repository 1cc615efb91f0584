"""Where packed parts of a proof are kept: in memory while they are few, then in a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

IN_MEMORY = 1 << 26  # bytes


class Place(NamedTuple):
    """Where a stored piece begins, and its bytes."""

    at: int
    size: int


class Store:
    """Pieces that are put down once and read back in any order, until the store is closed."""

    def __init__(self, folder: Path, in_memory: int = IN_MEMORY) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory, dir=folder)  # noqa: SIM115 - closed on exit
        self._end = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def put(self, data: bytes) -> Place:
        self._file.seek(self._end)
        self._file.write(data)
        self._end += len(data)
        return Place(self._end - len(data), len(data))

    def get(self, place: Place) -> bytes:
        self._file.seek(place.at)
        return self._file.read(place.size)
