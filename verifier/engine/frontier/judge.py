"""Certificates of the frontier: written, measured, and judged by the independent checker."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from specs.errors import CertificateError
from verifier.certificate.checking import CheckerProcess
from verifier.certificate.sources import Sources
from verifier.certificate.words import PHASES
from verifier.certificate.write import Chunk, Draft, save
from verifier.engine.deadline import Deadline
from verifier.engine.frontier.proofs import Trees

TREES = "trees.bin"


@dataclass(frozen=True)
class Judged:
    """``bytes`` is the size of the file, ``proof_bytes`` that of its trees, ``seconds`` what the checker took.

    ``refused`` is empty if it accepts.
    """

    path: Path
    bytes: int
    proof_bytes: int
    seconds: float
    refused: str = ""


class Judge:
    """One checker process for all certificates about the same files; its start is not counted.

    Files are in ``scratch``, on the same file system as where they go, until they are accepted.
    """

    def __init__(
        self, checker: CheckerProcess, bound_to: Sources, claim: str, producer: dict[str, str], scratch: Path
    ) -> None:
        self.checker, self.sources, self.claim, self.producer = checker, bound_to, claim, producer
        self.scratch = scratch
        self._numbers: list[int] = []
        self._count = 0

    def ready(self, cases: int, deadline: Deadline) -> None:
        """Wait for the checker; raises ``CertificateError`` where it cannot read the files as we do."""
        self._numbers, self._count = self.checker.cases(deadline)
        if len(self._numbers) != cases:
            raise CertificateError(f"the checker reads {len(self._numbers)} cases in the query, the search {cases}")

    def numbers(self, cases: Sequence[int]) -> list[int]:
        """The checker's numbers of our cases."""
        return [self._numbers[k] for k in cases]

    def judged(self, trees: Trees, path: Path, deadline: Deadline) -> Judged:
        """The certificate, at ``path`` if it is accepted."""
        roots = [np.zeros(1, dtype=np.int64)] * self._count  # a leaf: of an empty case
        chunks: list[Chunk | np.ndarray] = []
        for cases, chunk in trees:
            place = self._count + len(chunks)
            for number in self.numbers(cases):
                roots[number] = np.array([PHASES, place >> 16, place & 0xFFFF])
            chunks.append(chunk)
        draft = Draft(self.sources.model, self.sources.query, self._count, [*roots, *chunks], self.claim, self.producer)
        written = self.scratch / path.name
        size = save(draft, written)
        with zipfile.ZipFile(written) as archive:
            proof = archive.getinfo(TREES).file_size
        answer = self.checker.check(written, deadline)
        if answer is not None and answer.get("accepted"):
            return Judged(written.replace(path), size, proof, float(answer["seconds"]))
        late = "the time was over before the checker had an answer"
        refused = late if answer is None else str(answer.get("error") or answer["reason"])
        return Judged(path, size, proof, 0.0, refused)
