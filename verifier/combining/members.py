"""The files that are to be combined, read as the checker reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from specs.errors import CertificateError, CertifyError
from verifier.checker.__main__ import checker_of
from verifier.checker.combined import CERTIFICATE, STATISTICAL, Sampled
from verifier.checker.container import Certificate, Source, read_evidence, read_source, unpack
from verifier.checker.errors import CheckError
from verifier.checker.network import Network
from verifier.checker.onnx import read_network
from verifier.checker.statistics import is_about_statistics, read_statement, verdict_on_statement
from verifier.checker.vnnlib import QueryCase


@dataclass(frozen=True)
class Claim:
    """One file. A certificate has ``cases``, and ``query`` where it carries no question; a rate is ``sampled``."""

    file: Path
    data: bytes
    cases: tuple[QueryCase, ...] = ()
    query: bytes | None = None
    sampled: Sampled | None = None

    @property
    def suffix(self) -> str:
        return CERTIFICATE if self.sampled is None else STATISTICAL

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def told(self) -> str:
        """Its name, and what is known of its strength."""
        if self.sampled is None:
            return f"{self.file.name} (sha256:{self.sha256[:12]}, proof)"
        boxes, confidence = len(self.sampled.boxes), float(self.sampled.confidence)
        return f"{self.file.name} (sha256:{self.sha256[:12]}, rates in {boxes} box(es), confidence {confidence:g})"


@dataclass(frozen=True)
class Claims:
    """All files; the certificates are about ``model``, a network of these sizes."""

    all: tuple[Claim, ...]
    model: Source
    inputs: int
    outputs: int

    @property
    def boxes(self) -> list[tuple[tuple[Fraction, ...], tuple[Fraction, ...]]]:
        """What the files are about."""
        found = [(case.lower, case.upper) for claim in self.all for case in claim.cases if not case.empty]
        rates = [claim.sampled for claim in self.all if claim.sampled is not None]
        return found + [box for sampled in rates for box, _ in sampled.boxes]


def read_claims(files: Sequence[Path], model: Path | None) -> Claims:
    """The claims in ``files``. Raises ``CertifyError`` for what is no certificate or rate, or about another model."""
    network: Network | None = None
    source: Source | None = None
    first: Path | None = None
    claims: list[Claim] = []
    for file in files:
        data = _read(file)
        try:
            if is_about_statistics(data):
                claims.append(_statistical(file, data))
                continue
            evidence = read_evidence(data)
            if not isinstance(evidence, Certificate):
                raise CertifyError(f"{file} shows that something fails; only proofs and bounds of rates are combined")
            if source is None or network is None:
                network = read_network(unpack(read_source(evidence.model, model, "model"), "model"))
                source, first = evidence.model, file
            elif evidence.model.sha256 != source.sha256:
                raise CertifyError(f"{file} is about another model than {first} (SHA-256 differs)")
            query = read_source(evidence.query, None, "query")
            cases = checker_of(network, query).cases
            claims.append(Claim(file, data, cases, None if evidence.query.embedded is not None else query))
        except CheckError as error:
            raise CertificateError(f"{file}: {error}") from None
    known: dict[str, Path] = {}
    for claim in claims:
        if claim.sha256 in known:
            raise CertifyError(f"{claim.file} is the same file as {known[claim.sha256]}")
        known[claim.sha256] = claim.file
    if source is None or network is None:
        raise CertifyError("name at least one certificate (.nncert)")
    rates = [(claim.file, claim.sampled) for claim in claims if claim.sampled is not None]
    for file, sampled in rates:
        if sampled.event != rates[0][1].event:
            raise CertifyError(f"{file} is about another event than {rates[0][0]}: {sampled.event}")
        if sampled.size != network.sizes[0]:
            raise CertifyError(f"{file} draws {sampled.size} numbers, not {network.sizes[0]}")
    return Claims(tuple(claims), source, network.sizes[0], network.sizes[-1])


def _statistical(file: Path, data: bytes) -> Claim:
    statement = read_statement(data)
    verdict = verdict_on_statement(statement)
    if not verdict.accepted:
        raise CertifyError(f"{file} is rejected: {verdict.reason}")
    return Claim(file, data, sampled=Sampled.of(statement))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertifyError(f"{file} cannot be read: {error.strerror}") from None
