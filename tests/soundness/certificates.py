"""Valid certificates to tamper with, and taking a certificate apart and putting it together again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.soundness.deciding import decide_files
from tests.soundness.seeds import seeds
from tests.strategies import Question, question


@dataclass(frozen=True)
class Parts:
    """A certificate file in pieces: its manifest, its tree words by chunk, and the two files the claim is about."""

    manifest: dict[str, Any]
    chunks: list[list[int]]
    model: bytes
    query: bytes

    @staticmethod
    def of(data: bytes, model: bytes, query: bytes) -> Parts:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            words = np.frombuffer(zlib.decompress(archive.read("trees.bin")), dtype="<u2").tolist()
        chunks, start = [], 0
        for length in manifest["chunks"]:
            chunks.append(words[start : start + length])
            start += length
        return Parts(manifest, chunks, model, query)

    def members(self, embed: bool = True) -> dict[str, bytes]:
        """Members of the archive, with chunk lengths and hashes that fit what is stored."""
        manifest = {
            **self.manifest,
            "chunks": [len(chunk) for chunk in self.chunks],
            "model": {**self.manifest["model"], "sha256": hashlib.sha256(self.model).hexdigest()},
            "query": {**self.manifest["query"], "sha256": hashlib.sha256(self.query).hexdigest()},
        }
        words = np.array([word for chunk in self.chunks for word in chunk], dtype="<u2")
        members = {"manifest.json": json.dumps(manifest).encode(), "trees.bin": zlib.compress(words.tobytes())}
        return members | ({"model.onnx": self.model, "query.vnnlib": self.query} if embed else {})

    def to_bytes(self, embed: bool = True) -> bytes:
        return zipped(self.members(embed))

    def with_chunk(self, number: int, words: list[int]) -> Parts:
        return replace(self, chunks=[*self.chunks[:number], words, *self.chunks[number + 1 :]])


@dataclass(frozen=True)
class Proved:
    """A question that holds, and a certificate which the checker accepts; ``parts`` embeds the question's files."""

    question: Question
    parts: Parts
    folder: Path


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return out.getvalue()


def proved_questions(count: int, folder: Path, stream: int = 2, way: str = "inputs") -> list[Proved]:
    """Certificates of tiny questions, each with more than a leaf and at most a few hundred words."""
    found: list[Proved] = []
    for seed in seeds(10_000, stream):
        q = question(seed, placement="near")
        if not q.holds:
            continue
        place = folder / str(seed)
        place.mkdir()
        model, query = q.write(place)
        certificate = place / "proof.nncert"
        if decide_files(model, query, certificate, seconds=1.0, way=way).verdict != "certified":
            continue
        parts = Parts.of(certificate.read_bytes(), model.read_bytes(), query.read_bytes())
        if 3 <= sum(map(len, parts.chunks)) <= 300:
            found.append(Proved(q, parts, place))
        if len(found) == count:
            return found
    raise AssertionError("too few questions hold")


def false_questions(count: int, stream: int = 3) -> list[Question]:
    """Questions that do not hold, each in another way: some by a hair, some exactly at the threshold."""
    placements = ("just below", "at", "near", "far")
    found: list[Question] = []
    for seed in seeds(10_000, stream):
        q = question(seed, placement=placements[len(found) % len(placements)], strict=True)
        if not q.holds:
            found.append(q)
        if len(found) == count:
            return found
    raise AssertionError("too few questions fail")
