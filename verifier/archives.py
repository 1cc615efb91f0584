"""Archives that evidence is kept in: stored members, always the same bytes for the same members."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that every member bears."""


def write_members(out: IO[bytes], members: Mapping[str, Iterable[bytes]]) -> None:
    """Write the members, each in pieces, in their order and not compressed."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, pieces in members.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3  # the same bytes on every platform
            with archive.open(info, "w") as member:
                for piece in pieces:
                    member.write(piece)


def save_archive(path: Path, members: Mapping[str, bytes]) -> int:
    """Write a file of these members in one step, never half of it; returns its size in bytes."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as out:
        write_members(out, {name: [data] for name, data in members.items()})
    partial.replace(path)
    return path.stat().st_size
