"""Writing a relaxed attack: equal attacks give equal bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from verifier.certificate.write import Source, write_archive
from verifier.relaxed.contents import CLAIM, Assignment, Moments, PointAction, PseudoMoments, RelaxedFile, arrays_of

FORMAT, VERSION = "nnrelax", 1


@dataclass(frozen=True)
class RelaxedDraft:
    """What ``verifier.certificate.write.save`` writes to a file."""

    attack: RelaxedFile

    def write(self, out: IO[bytes]) -> None:
        """Write the file to a stream that can seek."""
        attack = self.attack
        members = {"box_lower": attack.lower, "box_upper": attack.upper, **dict(arrays_of(attack.content))}
        nothing = Source(b"", "", False)
        packed = {
            f"{name}.bin": [array.astype("<u2" if name == "exponents" else "<f8").tobytes()]
            for name, array in members.items()
        }
        write_archive(out, manifest_of(attack), packed, nothing, nothing)


def manifest_of(attack: RelaxedFile) -> dict[str, object]:
    """The manifest, as it is told in docs/relaxations/relaxed-attacks.md."""
    content = attack.content
    manifest: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": content.kind,
        "relaxation": attack.relaxation,
        "case": attack.case,
        "splits": [list(split) for split in attack.splits],
        "rows": attack.rows.tolist(),
        "weights": None if attack.weights is None else attack.weights.tolist(),
        "score": attack.score,
        "tolerance": attack.tolerance,
        "model": {"sha256": attack.model.sha256, "path": attack.model.path},
        "query": {"sha256": attack.query.sha256, "path": attack.query.path},
        "claim": CLAIM,
        "note": attack.note,
        "producer": dict(attack.producer),
    }
    match content:
        case PointAction():
            manifest["layers"] = list(content.units.widths) if content.units else None
        case Moments() | PseudoMoments():
            manifest["layers"] = [len(l) for l in content.lower]
            manifest["symbols"] = list(content.symbols)
        case Assignment():
            manifest["values"] = {name: str(value) for name, value in content.values.items()}
    return manifest
