"""Writing a certificate file: deterministic bytes for the same claim and proof."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VERSION = 4


@dataclass(frozen=True)
class Source:
    """A file the claim is about. ``embed``: carry the bytes along, because the user holds no such file."""

    data: bytes
    path: str
    embed: bool


@dataclass(frozen=True)
class Draft:
    """Everything in a certificate: one root chunk per case first, then the chunks they refer to."""

    model: Source
    query: Source
    cases: int
    chunks: list[np.ndarray]
    claim: str
    producer: dict[str, str]

    def to_bytes(self) -> bytes:
        words = np.concatenate([np.empty(0, dtype="<u2"), *(chunk.astype("<u2") for chunk in self.chunks)])
        manifest = {
            "format": "nncert",
            "version": VERSION,
            "semantics": "real",
            "model": entry(self.model),
            "query": entry(self.query),
            "cases": self.cases,
            "chunks": [len(chunk) for chunk in self.chunks],
            "claim": self.claim,
            "producer": self.producer,
        }
        return write_archive(manifest, {"trees.bin": zlib.compress(words.tobytes(), 6)}, self.model, self.query)


def write_archive(manifest: dict[str, object], members: dict[str, bytes], model: Source, query: Source) -> bytes:
    """A deterministic ZIP of stored members: the manifest, ``members``, and the sources that are to be embedded."""
    members = {"manifest.json": json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode(), **members}
    if model.embed:
        members["model.onnx"] = model.data
    if query.embed:
        members["query.vnnlib"] = query.data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # the same bytes on every platform
            archive.writestr(info, data)
    return out.getvalue()


def save(data: bytes, path: Path) -> int:
    """Write a file in one step (never half of it); returns its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return len(data)


def entry(source: Source) -> dict[str, str]:
    return {"sha256": hashlib.sha256(source.data).hexdigest(), "path": source.path}
