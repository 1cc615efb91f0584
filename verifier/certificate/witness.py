"""Writing a counterexample as a file the independent checker accepts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import IO

from verifier.certificate.write import VERSION, Source, entry, write_archive


@dataclass(frozen=True)
class WitnessDraft:
    """A point of case ``case`` at which every row fails."""

    model: Source
    query: Source
    case: int
    point: tuple[Fraction, ...]
    claim: str
    producer: dict[str, str]

    def write(self, out: IO[bytes]) -> None:
        """Write the file to a stream that can seek."""
        manifest = {
            "format": "nnwitness",
            "version": VERSION,
            "semantics": "real",
            "model": entry(self.model),
            "query": entry(self.query),
            "case": self.case,
            "x": [str(value) for value in self.point],
            "claim": self.claim,
            "producer": self.producer,
        }
        write_archive(out, manifest, {}, self.model, self.query)
