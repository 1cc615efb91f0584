"""PyTorch's zip container, read as data: stored members only, never more bytes than the file has."""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from specs.errors import ModelError, UnsafeModelFileError

MAX_MEMBERS = 100_000


class TorchZip:
    """The members of a file written by ``torch.save``, ``torch.jit.save`` or ``torch.export.save``.

    Guarantees: nothing is unpacked to disk; a compressed, encrypted, ambiguous (two members of one name) or
    escaping (``..``) member refuses the whole file; all reads together return at most as many bytes as the file
    holds, so no file can grow in memory. Names are relative to the archive's single top folder.
    """

    def __init__(self, file: Path | BinaryIO, label: str) -> None:
        self.label = label
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError) as why:
            raise ModelError(f"not a readable zip archive ({why}); save the model again", label) from None
        assert self._zip.fp is not None
        self._budget = self._zip.fp.seek(0, 2)
        self._members = self._index(self._zip.infolist())

    def _index(self, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(infos) > MAX_MEMBERS:
            raise UnsafeModelFileError(f"{len(infos)} members; more than {MAX_MEMBERS} are refused", self.label)
        problems = []
        for info in infos:
            if info.filename.startswith("/") or "\\" in info.filename or ".." in info.filename.split("/"):
                problems.append(f"{info.filename!r} points outside the archive")
            if info.flag_bits & 1:
                problems.append(f"{info.filename!r} is encrypted")
        counts = Counter(info.filename for info in infos)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            problems.append(f"more than one member is called {', '.join(map(repr, twice[:5]))}")
        roots = {name.partition("/")[0] for name in counts if "/" in name}
        if len(roots) > 1:
            problems.append(f"members in several top folders {sorted(roots)[:5]}; PyTorch writes one")
        if problems:
            raise UnsafeModelFileError("; ".join(problems[:10]), self.label)
        return {info.filename.partition("/")[2] or info.filename: info for info in infos}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def read(self, name: str) -> bytes:
        """The member's bytes. Raises ``ModelError`` when absent or damaged, ``UnsafeModelFileError`` when it would
        have to be decompressed or when the file repeats the same bytes under many names."""
        info = self._members.get(name)
        if info is None:
            raise ModelError(f"the archive has no member {name!r}", self.label)
        if info.compress_type != zipfile.ZIP_STORED:
            raise UnsafeModelFileError(
                f"member {name!r} is compressed and could unpack to any size; PyTorch stores models uncompressed",
                self.label,
            )
        if info.file_size > self._budget:
            raise UnsafeModelFileError(f"member {name!r} claims more bytes than the file has", self.label)
        self._budget -= info.file_size
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, ValueError) as why:
            raise ModelError(f"member {name!r} is damaged ({why})", self.label) from None

    def little_endian(self) -> bool:
        """Byte order of the tensors; PyTorch before 2.1 did not say and wrote little-endian on every supported CPU."""
        if "byteorder" not in self.names:
            return True
        order = self.read("byteorder").strip()
        if order not in (b"little", b"big"):
            raise ModelError(f"unknown byte order {order[:20]!r}", self.label)
        return order == b"little"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
