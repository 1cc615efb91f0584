"""What R and R+ say of each other, for every pair of verdicts; and which pair is a contradiction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import random_dense, write
from verifier.api import certify
from verifier.report.expanded import contradicted, expansion_in_words
from verifier.report.report import Answer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """R is certified, R+ violated: y <= 99, and not (h >= 0 everywhere)."""
    folder = tmp_path_factory.mktemp("both")
    model = write(folder / "m.onnx", random_dense(np.random.default_rng(0), 2, 3, 1))
    spec = folder / "s.yaml"
    spec.write_text("""certify: "1.0"
name: both
models: {target: {path: "$MODEL"}}
inputs: {x: {shape: [2], box: {lo: -1, hi: 1}}}
require: [{id: r, assert: "target(x)[0] <= 99"}]
adversary: {expand_catastrophe: {counts_when: "sum(tap(target, relu1)(x)) >= 0"}}
""")
    report = certify(model, spec, workers=1, timeout=20, start_checker=CheckerHere.start)
    return {answer.id: answer for answer in report.requirements}


def having(both: dict[str, Answer], plain: str, more: str) -> dict[str, Answer]:
    return {
        id: replace(both[id], outcome=replace(both[id].outcome, verdict=verdict))  # type: ignore[arg-type]
        for id, verdict in (("r", plain), ("r+", more))
    }


def words(known: dict[str, Answer], id: str) -> str:
    return expansion_in_words(known[id], known)


def test_as_they_are(both: dict[str, Answer]) -> None:
    assert (both["r"].verdict, both["r+"].verdict) == ("certified", "violated")
    assert words(both, "r") == ""
    told = words(both, "r+")
    assert told.startswith("COUNTS AS A CATASTROPHE, beside a violation of r: that sum(tap(target, relu1)(x)) >= 0.")
    assert "r HOLDS AT THIS INPUT" in told
    assert told in both["r+"].sentence


@pytest.mark.parametrize(
    ("plain", "more", "of_plain", "of_more", "wrong"),
    [
        ("certified", "certified", "", "IMPLIES r, which demands less", False),
        ("unknown", "certified", "BUT r+, which demands more, is certified (sound)", "IMPLIES r", False),
        ("unknown", "unknown", "", "A proof would imply r; a violation of that would be one of this", False),
        ("violated", "unknown", "", "a violation of that would be one of this", False),
        ("violated", "violated", "", "r HOLDS AT THIS INPUT", False),
        ("violated", "certified", "", "IMPLIES r", True),
    ],
)
def test_every_pair(both: dict[str, Answer], plain: str, more: str, of_plain: str, of_more: str, wrong: bool) -> None:
    known = having(both, plain, more)
    if more == "certified":
        proof = both["r"].outcome.proof
        known["r+"] = replace(known["r+"], outcome=replace(known["r+"].outcome, proof=proof))
    assert words(known, "r").startswith(of_plain)
    assert bool(words(known, "r")) == bool(of_plain)
    assert of_more in words(known, "r+")
    assert contradicted(known["r+"], known) == wrong
    assert not contradicted(known["r"], known)
