"""Reading evidence files: a plain ZIP of a JSON manifest, the tree words of a certificate, and embedded questions.

docs/reference/certificate-format.md is the specification. Everything read here is data from a stranger: sizes are
capped before anything is unpacked, members are taken by exact name, unknown versions and keys are refused.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError
from verifier.checker.json_object import json_object
from verifier.checker.pairs import Pairs

CERTIFICATE, WITNESS, VERSION = "nncert", "nnwitness", 7
MANIFEST, TREES, MODEL, QUERY = "manifest.json", "trees.bin", "model.onnx", "query.vnnlib"
LARGEST_MEMBER = 1 << 30
LARGEST_MANIFEST = 1 << 23
LARGEST_TREES = 1 << 29  # bytes unpacked
LONGEST_NUMBER = 2000  # characters of one coordinate of a witness
KEYS = {
    CERTIFICATE: {"format", "version", "semantics", "model", "query", "cases", "chunks", "pairs", "claim", "producer"},
    WITNESS: {"format", "version", "semantics", "model", "query", "case", "x", "claim", "producer"},
}


@dataclass(frozen=True)
class Source:
    """A file the claim is about: its SHA-256, where the producer found it, and its bytes when embedded."""

    sha256: str
    path: str
    embedded: bytes | None


@dataclass(frozen=True)
class Certificate:
    """``cases`` roots come first among the ``chunks``; the other chunks are reached by reference.

    ``pairs`` are layers whose neurons' differences are bounded in trees over boxes.
    """

    model: Source
    query: Source
    cases: int
    chunks: tuple[NDArray[np.uint16], ...]
    claim: str
    pairs: Pairs = ()


@dataclass(frozen=True)
class Witness:
    """A point at which every row of case ``case`` is claimed to fail, in exact rationals."""

    model: Source
    query: Source
    case: int
    point: tuple[Fraction, ...]
    claim: str


def has_member(source: bytes | Path, name: str) -> bool:
    """Whether this is an archive, or the path of one, with such a member in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            return name in archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError):
        return False


def read_evidence(data: bytes) -> Certificate | Witness:
    """Parse a certificate or a witness; raises CheckError for anything that is not exactly of its format."""
    members = _members(data)
    manifest = _manifest(members[MANIFEST])
    model = _source(manifest["model"], members.get(MODEL))
    query = _source(manifest["query"], members.get(QUERY))
    claim = "".join(c if c.isprintable() else "?" for c in str(manifest["claim"]))  # it will meet a terminal
    if manifest["format"] == WITNESS:
        return Witness(model, query, _natural(manifest["case"], "case"), _point(manifest["x"]), claim)
    chunks = _chunks(members.get(TREES, b""), manifest["chunks"])
    cases = _natural(manifest["cases"], "cases")
    if cases > len(chunks):
        raise CheckError("manifest: more cases than chunks")
    return Certificate(model, query, cases, chunks, claim, _pairs(manifest["pairs"]))


def _members(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            if len(infos) != len(archive.infolist()) or not {MANIFEST} <= set(infos) <= {MANIFEST, TREES, MODEL, QUERY}:
                raise CheckError(f"not a certificate: members are {sorted(infos)[:6]}")
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in infos.values()):
                raise CheckError("a member is compressed or larger than 1 GiB")
            return {name: archive.read(info) for name, info in infos.items()}
    except (zipfile.BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError) as error:
        raise CheckError(f"not a certificate: {error}") from None


def _manifest(data: bytes) -> dict[str, object]:
    if len(data) > LARGEST_MANIFEST:
        raise CheckError("manifest is larger than 8 MiB")
    manifest = json_object(data, "manifest")
    kind, version, semantics = (manifest.get(key) for key in ("format", "version", "semantics"))
    if kind not in (CERTIFICATE, WITNESS) or type(version) is not int or version != VERSION or semantics != "real":
        raise CheckError(
            f"format {kind!r} version {version!r} semantics {semantics!r}: this checker knows "
            f"{CERTIFICATE!r} and {WITNESS!r} version {VERSION} semantics 'real'"
        )
    if set(manifest) != KEYS[kind]:
        raise CheckError(f"manifest does not have exactly the keys {sorted(KEYS[kind])}")
    return manifest


def _natural(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CheckError(f"manifest: {name!r} is not a natural number")
    return value


def _pairs(values: object) -> Pairs:
    if not isinstance(values, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in values):
        raise CheckError("manifest: 'pairs' is not a list of pairs")
    return tuple((_natural(one, "pairs"), _natural(two, "pairs")) for one, two in values)


def _point(values: object) -> tuple[Fraction, ...]:
    """Coordinates written as integers or quotients of integers."""
    if not isinstance(values, list) or not all(
        isinstance(v, str) and len(v) <= LONGEST_NUMBER and re.fullmatch(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?", v)
        for v in values
    ):
        raise CheckError("manifest: 'x' is not a list of rational numbers")
    return tuple(Fraction(v) for v in values)


def _chunks(data: bytes, lengths: object) -> tuple[NDArray[np.uint16], ...]:
    if not isinstance(lengths, list) or any(_natural(n, "chunks") < 1 for n in lengths):
        raise CheckError("manifest: 'chunks' is not a list of lengths")
    size = 2 * sum(lengths)
    if size > LARGEST_TREES:
        raise CheckError(f"trees are larger than {LARGEST_TREES >> 20} MiB")
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise CheckError(f"trees: {error}") from None
    if len(raw) != size or not unpacker.eof or unpacker.unused_data:
        raise CheckError("trees: not the number of words the manifest tells")
    words = np.frombuffer(raw, dtype="<u2").astype(np.uint16, copy=False)
    return tuple(np.split(words, np.cumsum(lengths)[:-1])) if lengths else ()


def _source(entry: object, embedded: bytes | None) -> Source:
    if not isinstance(entry, dict) or set(entry) != {"sha256", "path"}:
        raise CheckError("manifest: a source needs exactly 'sha256' and 'path'")
    source = Source(str(entry["sha256"]), str(entry["path"]), embedded)
    if embedded is not None and hashlib.sha256(embedded).hexdigest() != source.sha256:
        raise CheckError("an embedded file does not have the hash the manifest states")
    return source


@dataclass(frozen=True)
class Origin:
    """Where a file was taken from: ``given`` by the user, ``embedded`` in the evidence, or at its ``recorded`` path.

    ``path`` is empty for an embedded file. A stranger wrote a recorded one: ``str`` escapes it.
    """

    taken: str
    path: str
    sha256: str

    @staticmethod
    def of(source: Source, given: Path | None) -> Origin:
        """What ``read_source`` reads."""
        if given is not None:
            return Origin("given", str(given), source.sha256)
        if source.embedded is not None:
            return Origin("embedded", "", source.sha256)
        return Origin("recorded", source.path, source.sha256)

    def __str__(self) -> str:
        where = f" {self.path!a}" if self.path else ""
        return f"{self.taken}{where}, SHA-256 {self.sha256}"


def read_source(source: Source, given: Path | None, what: str) -> bytes:
    """The bytes a claim is about, from the user's file, else the embedded copy, else the recorded path."""
    if given is None and source.embedded is not None:
        return source.embedded
    path = given if given is not None else Path(source.path)
    try:
        if given is None and not path.is_file():  # a stranger's path could name a device or a pipe
            raise FileNotFoundError(errno.ENOENT, "no such file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: the path holds characters no path can
        told = error.strerror if isinstance(error, OSError) else error
        raise CheckError(f"cannot read the {what} {str(path)!a} ({told}); name it with --{what}") from None
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise CheckError(f"{path}: this is not the {what} the certificate is about (SHA-256 differs)")
    return data


def unpack(data: bytes, what: str) -> bytes:
    """gzip undone where the magic number says so, capped."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            out = stream.read(LARGEST_MEMBER + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CheckError(f"{what}: {error}") from None
    if len(out) > LARGEST_MEMBER:
        raise CheckError(f"{what} unpacks to more than 1 GiB")
    return out
