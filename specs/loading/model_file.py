"""The bytes of a model file: plain or gzip-compressed, and never more of them than a model plausibly has."""

from __future__ import annotations

import zlib
from pathlib import Path

from specs.errors import ModelError, UnsafeModelFileError

MAX_BYTES = 4 << 30
"""Largest model read, unpacked."""
FREE_BYTES = 1 << 30
"""Size up to which a compressed model may unpack freely (mostly-zero weights shrink a thousandfold)..."""
MAX_RATIO = 100
"""...and the factor it may grow by beyond."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's code for a 32 kB window inside a gzip container


def read_model_file(path: Path) -> bytes:
    """Content of ``path``, unpacked if it is gzip data.

    Raises ``ModelError`` when it is missing, empty, no regular file, damaged; ``UnsafeModelFileError`` when it is or
    unpacks to more than ``MAX_BYTES``, or unpacks to more than ``FREE_BYTES`` and ``MAX_RATIO`` times its size.
    """
    try:
        if path.is_dir():
            raise ModelError("is a directory: name the model file inside it", path)
        if not path.exists():
            raise ModelError("there is no such file", path)
        if not path.is_file():
            raise ModelError("is not a regular file", path)
        if path.stat().st_size > MAX_BYTES:
            raise UnsafeModelFileError(f"is larger than {MAX_BYTES >> 30} GiB", path)
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path) from None
    if not data:
        raise ModelError("is empty", path)
    return _unpacked(data, path) if data.startswith(_GZIP_MAGIC) else data


def _unpacked(data: bytes, path: Path) -> bytes:
    limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * len(data)))
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise ModelError(f"is damaged gzip data: {error}", path) from None
    if len(content) > limit:
        raise UnsafeModelFileError(f"unpacks to more than {limit:,} bytes from {len(data):,}: refused", path)
    if not inflater.eof:
        raise ModelError("is gzip data cut short", path)
    if inflater.unused_data.strip(b"\0"):
        raise ModelError("holds something after the gzip data", path)
    return content
