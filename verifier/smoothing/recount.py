"""Whether the votes that a statement rests on are those of a network: every draw again, through the network."""

from __future__ import annotations

import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from specs.overseer.python_overseer import OverseerError
from verifier.smoothing.radius import SMOOTHING, VOTES
from verifier.smoothing.votes import Noise
from verifier.smoothing.votes import Votes as Voters
from verifier.statistics.statement import LEDGER


def recounted(statement: Path, model: Path) -> str:
    """That the answers of the ledger are those of this network, in words.

    The statement has to be one that the checker has accepted. Raises ``CertificateError`` where an answer is another,
    which float64 of another machine may make so at a tie.
    """
    with zipfile.ZipFile(statement) as archive:
        manifest = json.loads(archive.read(SMOOTHING))
        with zipfile.ZipFile(io.BytesIO(archive.read(VOTES))) as inner:
            lines: list[dict[str, Any]] = [json.loads(line) for line in inner.read(LEDGER).splitlines()]
    center = tuple(map(Fraction, manifest["center"]))
    votes = Voters(Noise(model, center, Fraction(manifest["sigma"])), manifest["class"])
    if votes.noise.model != manifest["model"]:
        raise CertificateError(f"{statement}: it is about another model than {model} (SHA-256 differs)")
    answers = [line for line in lines if line["kind"] == "answer"]
    for line in answers:
        asked = lines[line["to"]]
        ranks = [[float.fromhex(v) for v in values] for values in asked["arguments"]]
        try:
            answer = votes.ask(ranks, asked["limit"]).hex()
        except OverseerError:
            answer = None
        if line["answer"] is not None and answer != line["answer"]:
            raise CertificateError(f"{statement}: the vote of draw {asked['draw']} is not that of {model}")
    return f"all {len(answers)} votes are those of {model.name}, computed again"
