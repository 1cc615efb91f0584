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

VERSION = 1


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
        words = np.concatenate([*self.chunks, np.empty(0, dtype=np.int64)]).astype("<u2")
        manifest = {
            "format": "nncert",
            "version": VERSION,
            "semantics": "real",
            "model": _entry(self.model),
            "query": _entry(self.query),
            "cases": self.cases,
            "chunks": [len(chunk) for chunk in self.chunks],
            "claim": self.claim,
            "producer": self.producer,
        }
        members = {
            "manifest.json": json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode(),
            "trees.bin": zlib.compress(words.tobytes(), 6),
        }
        if self.model.embed:
            members["model.onnx"] = self.model.data
        if self.query.embed:
            members["query.vnnlib"] = self.query.data
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), data)
        return out.getvalue()

    def save(self, path: Path) -> int:
        """Write the file in one step (never half of it); returns its size in bytes."""
        data = self.to_bytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(data)
        partial.replace(path)
        return len(data)


def _entry(source: Source) -> dict[str, str]:
    return {"sha256": hashlib.sha256(source.data).hexdigest(), "path": source.path}
