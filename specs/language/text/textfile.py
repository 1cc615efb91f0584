"""Specification files as text: plain or gzip, UTF-8, of bounded size."""

from __future__ import annotations

import zlib
from pathlib import Path

from specs.errors import SpecError

_MAX_BYTES = 256 * 1024 * 1024


def read_text(path: Path) -> str:
    """Text of ``path``, unpacked when it is gzip data. Raises ``SpecError`` for all but up to 256 MiB of UTF-8 text."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", path) from error
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data, path)
    if len(data) > _MAX_BYTES:
        raise SpecError(f"is larger than {_MAX_BYTES >> 20} MiB; specifications are read whole", path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError("is not UTF-8 text; is it a specification at all?", path, line) from error


def _gunzip(data: bytes, path: Path) -> bytes:
    parts, size = [], 0
    try:
        while data:
            unpacker = zlib.decompressobj(wbits=31)
            part = unpacker.decompress(data, _MAX_BYTES + 1 - size)
            parts.append(part)
            size += len(part)
            if size > _MAX_BYTES:
                break
            if not unpacker.eof:
                raise SpecError("ends in the middle of its gzip data; was the copy cut off?", path)
            data = unpacker.unused_data
    except zlib.error as error:
        raise SpecError(f"is damaged gzip data ({error})", path) from error
    return b"".join(parts)
