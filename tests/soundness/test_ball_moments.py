"""Proofs by moments on balls: the whole program, both checkers, and certificates whose claim is spoilt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.checker.phase_words import MULTIPLIERS, float32
from tests.oracle.files import Layer, TinyNet, write_onnx
from tests.soundness.certificates import Parts
from tests.soundness.deciding import checker_of, decide_files, exact_verdict, float_verdict
from verifier.checker.check import Checker, Verdict
from verifier.checker.container import Certificate, Witness, read_evidence
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit

Evidence = Certificate | Witness
Judge = Callable[[Checker, Evidence], Verdict]
INPUTS = 6
BY_FLOAT = pytest.param(lambda checker, evidence: checker.check(evidence, None), id="float")
BY_FRACTIONS = pytest.param(audit, id="exact")


def network(folder: Path) -> Path:
    """``|x_0| + ... + |x_5|`` by twelve ReLUs: on a ball of radius r at most r sqrt 6, on its box 6 r."""
    first = np.concatenate([np.eye(INPUTS), -np.eye(INPUTS)]).astype(np.float32)
    last = Layer(np.ones((1, 2 * INPUTS), np.float32), np.zeros(1, np.float32))
    return write_onnx(TinyNet(INPUTS, (Layer(first, np.zeros(2 * INPUTS, np.float32)), last)), folder / "norm.onnx")


def query(folder: Path, at_least: str, square: str = "1.0", center: str = "0.0", ball: bool = True) -> Path:
    """Is ``Y_0 >= at_least`` possible in the ball around ``center`` (in X_0), within 1.1 of 0?"""
    lines = [f"(declare-const X_{i} Real)" for i in range(INPUTS)] + ["(declare-const Y_0 Real)"]
    for i in range(INPUTS):
        lines += [f"(assert (<= X_{i} 1.1))", f"(assert (>= X_{i} (- 1.1)))"]
    parts = [f"(- X_{i} {center if i == 0 else '0.0'})" for i in range(INPUTS)]
    squares = " ".join(f"(* {part} {part})" for part in parts)
    if ball:
        lines.append(f"(assert (<= (+ {squares}) {square}))")
    path = folder / "ball.vnnlib"
    path.write_text("\n".join([*lines, f"(assert (>= Y_0 {at_least}))"]) + "\n")
    return path


@dataclass(frozen=True)
class Proof:
    """A certificate for 2.46 on the unit ball (sqrt 6 is 2.449...), its words, and the multiplier in them."""

    folder: Path
    model: Path
    parts: Parts
    number: int  # of the chunk with the item
    at: int  # of the multiplier's first word in it
    kappa: float

    def evidence(self, kappa: float) -> Evidence:
        chunk = list(self.parts.chunks[self.number])
        chunk[self.at : self.at + 2] = float32(kappa)
        return self.with_chunk(chunk)

    def with_chunk(self, chunk: list[int]) -> Evidence:
        return read_evidence(self.parts.with_chunk(self.number, chunk).to_bytes())

    def checker(self, at_least: str = "2.46", **asked: object) -> Checker:
        (self.folder / "other").mkdir(exist_ok=True)
        return checker_of(self.model, query(self.folder / "other", at_least, **asked))


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("moments")
    model, asked = network(folder), query(folder, "2.46")
    options = {"seconds": 30, "way": "phases", "attack": False, "moments": "first"}
    outcome = decide_files(model, asked, folder / "proof.nncert", **options)
    assert outcome.verdict == "certified", outcome.reason
    checker = checker_of(model, asked)
    assert float_verdict(checker, folder / "proof.nncert").accepted
    assert exact_verdict(checker, folder / "proof.nncert").accepted
    parts = Parts.of((folder / "proof.nncert").read_bytes(), model.read_bytes(), asked.read_bytes())
    # The root's item: case, a weight, the columns, that it is quadratic, then twelve times five numbers, and this one.
    [(number, start)] = [
        (number, i)
        for number, chunk in enumerate(parts.chunks)
        for i in range(len(chunk) - 18)
        if chunk[i] == MULTIPLIERS and chunk[i + 1] == 0 and chunk[i + 4] == 12 and chunk[i + 17] == 1
    ]
    at = start + 18 + 2 * 5 * 12
    kappa = float(np.array(parts.chunks[number][at : at + 2], "<u2").view("<f4")[0])
    return Proof(folder, model, parts, number, at, kappa)


def test_the_multiplier_is_the_one_of_the_closed_form(proof: Proof) -> None:
    """``s - sum |x_i| - kappa (1 - |x|^2)`` is a square for kappa = sqrt 6 / 2."""
    assert proof.kappa == pytest.approx(np.sqrt(6) / 2, abs=0.1)


@pytest.mark.parametrize("judge", [BY_FLOAT, BY_FRACTIONS])
def test_only_what_is_true_is_accepted_whatever_the_multiplier(proof: Proof, judge: Judge) -> None:
    """The claim stays; another multiplier may prove it or not. None proves what is false by less than a thousandth."""
    here, false = proof.checker(), proof.checker("2.449")
    accepted = []
    for kappa in (0.0, 1e-3, 1.0, 1.2, proof.kappa, 1.25, 1.5, 10.0, 1e6, 1e29):
        if judge(here, proof.evidence(kappa)).accepted:
            accepted.append(kappa)
        assert not judge(false, proof.evidence(kappa)).accepted
    assert proof.kappa in accepted
    assert 0.0 not in accepted
    assert 10.0 not in accepted


@pytest.mark.parametrize("judge", [BY_FLOAT, BY_FRACTIONS])
@pytest.mark.parametrize("kappa", [-1e-3, -1.0, float("nan"), float("inf"), 1e31])
def test_a_multiplier_that_is_none_is_refused(proof: Proof, judge: Judge, kappa: float) -> None:
    with pytest.raises(CheckError, match="multiplier"):
        judge(proof.checker(), proof.evidence(kappa))


@pytest.mark.parametrize("judge", [BY_FLOAT, BY_FRACTIONS])
def test_another_ball_or_none_makes_it_false(proof: Proof, judge: Judge) -> None:
    """The exact optimum is ``|c| + r sqrt 6``: each of these is above 2.46, and so is the box's, 6.6."""
    evidence = proof.evidence(proof.kappa)
    assert judge(proof.checker(), evidence).accepted
    spoilt = ({"square": "1.02"}, {"square": "1.2"}, {"center": "0.1"}, {"center": "(- 0.1)"}, {"ball": False})
    for asked in spoilt:
        assert not judge(proof.checker(**asked), evidence).accepted, asked


@pytest.mark.parametrize("judge", [BY_FLOAT, BY_FRACTIONS])
def test_words_of_the_chunk_may_be_spoilt(proof: Proof, judge: Judge) -> None:
    """Held against a claim that is false: no change of a single word makes a proof of it."""
    false, chunk = proof.checker("2.449"), proof.parts.chunks[proof.number]
    rng = np.random.default_rng(0)
    for at in {*range(proof.at - 4, proof.at + 6), *rng.integers(0, len(chunk), 30).tolist()}:
        for word in {chunk[at] ^ 1, chunk[at] ^ 0x8000, chunk[at] ^ 0x0400, int(rng.integers(0, 1 << 16))}:
            with contextlib.suppress(CheckError):
                assert not judge(false, proof.with_chunk([*chunk[:at], word, *chunk[at + 1 :]])).accepted


@pytest.mark.parametrize("judge", [BY_FLOAT, BY_FRACTIONS])
def test_a_ball_of_one_point_has_no_multiplier(proof: Proof, judge: Judge) -> None:
    """What the item says is true there, but an item with such a multiplier holds nothing, for either checker."""
    ball = proof.checker(square="0.0").cases[0].ball
    assert ball is not None
    assert ball.bound == 0
    assert not judge(proof.checker(square="0.0"), proof.evidence(proof.kappa)).accepted
