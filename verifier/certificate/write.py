"""Writing a certificate file: deterministic bytes for the same claim and proof."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from verifier.archives import write_members

VERSION = 7


@dataclass(frozen=True)
class Source:
    """A file the claim is about. ``embed``: carry the bytes along, because the user holds no such file."""

    data: bytes
    path: str
    embed: bool


class Chunk(Protocol):
    """The words of one tree, which need not be in memory at once."""

    def __len__(self) -> int:
        """How many they are."""
        ...

    def pieces(self) -> Iterable[np.ndarray]:
        """All of them, in order."""
        ...


class Writable(Protocol):
    """What can be written to a file."""

    def write(self, out: IO[bytes]) -> None: ...


@dataclass(frozen=True)
class Draft:
    """Everything in a certificate: one root chunk per case first, then the chunks they refer to.

    ``pairs`` are layers, by number, whose differences the checker is to bound in trees over boxes.
    """

    model: Source
    query: Source
    cases: int
    chunks: Sequence[np.ndarray | Chunk]
    claim: str
    producer: dict[str, str]
    pairs: Sequence[tuple[int, int]] = ()

    def write(self, out: IO[bytes]) -> None:
        """Write the file to a stream that can seek."""
        manifest = {
            "format": "nncert",
            "version": VERSION,
            "semantics": "real",
            "model": entry(self.model),
            "query": entry(self.query),
            "cases": self.cases,
            "chunks": [len(chunk) for chunk in self.chunks],
            "pairs": [list(pair) for pair in self.pairs],
            "claim": self.claim,
            "producer": self.producer,
        }
        write_archive(out, manifest, {"trees.bin": self._packed()}, self.model, self.query)

    def _packed(self) -> Iterator[bytes]:
        packer = zlib.compressobj(6)
        for chunk in self.chunks:
            for piece in [chunk] if isinstance(chunk, np.ndarray) else chunk.pieces():
                yield packer.compress(piece.astype("<u2").tobytes())
        yield packer.flush()


def write_archive(
    out: IO[bytes],
    manifest: dict[str, object],
    members: Mapping[str, Iterable[bytes]],
    model: Source,
    query: Source,
) -> None:
    """A deterministic ZIP of stored members: the manifest, ``members``, and the sources that are to be embedded."""
    everything = {"manifest.json": [json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()], **members}
    if model.embed:
        everything["model.onnx"] = [model.data]
    if query.embed:
        everything["query.vnnlib"] = [query.data]
    write_members(out, everything)


def save(evidence: Writable, path: Path) -> int:
    """Write a file in one step (never half of it); returns its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w+b") as out:
        evidence.write(out)
    partial.replace(path)
    return path.stat().st_size


def entry(source: Source) -> dict[str, str]:
    return {"sha256": hashlib.sha256(source.data).hexdigest(), "path": source.path}
