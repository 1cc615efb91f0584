"""The whole program on balls of the norm 1: verdicts that the exact optimum confirms, witnesses, forged proofs."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import Row
from tests.oracle.files import Layer, TinyNet, decimal, vnnlib_text, write_onnx
from tests.oracle.one_norm import minimum_in_cross
from tests.soundness.certificates import Parts
from tests.soundness.deciding import checker_of, decide_files, exact_verdict, float_verdict
from verifier.checker.__main__ import make_checker
from verifier.checker.container import Certificate, read_evidence
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WAYS = ["inputs", "phases", "both"]
ONE = Fraction(1)
Point = tuple[Fraction, ...]


@dataclass(frozen=True)
class Asked:
    """Is ``y_0 > least`` everywhere in box and ball?"""

    net: TinyNet
    lower: Point
    upper: Point
    center: Point
    weights: Point
    bound: Fraction

    @staticmethod
    def of(seed: int) -> Asked:
        """A small network, and a ball that the box holds, cuts, or leaves the center of outside."""
        rng, numbers = random.Random(seed), np.random.default_rng(seed)
        inputs, widths = rng.choice([2, 3]), [rng.randint(2, 4) for _ in range(rng.choice([1, 2]))]
        layers, read = [], inputs
        for width in (*widths, 1):
            weight = np.round(numbers.normal(size=(width, read)) * 8) / 8
            layers.append(Layer(weight.astype(np.float32), (np.round(numbers.normal(size=width) * 8) / 8).astype("f4")))
            read = width

        def eighths(low: int, up: int) -> Point:
            return tuple(Fraction(rng.randint(low, up), 8) for _ in range(inputs))

        center, weights, bound = eighths(-8, 8), eighths(4, 16), Fraction(rng.randint(4, 12), 8)
        below, above = eighths(-2 if seed % 3 == 2 else 1, 12), eighths(1, 12)
        lower = tuple(c - b for c, b in zip(center, below, strict=True))
        upper = tuple(max(c + a, low) for c, a, low in zip(center, above, lower, strict=True))
        return Asked(TinyNet(inputs, tuple(layers)), lower, upper, center, weights, bound)

    @property
    def optimum(self) -> tuple[Fraction, Point] | None:
        row = Row((), ((0, ONE),))
        return minimum_in_cross(self.net.network(), self.lower, self.upper, row, self.center, self.weights, self.bound)

    def text(self, least: Fraction) -> str:
        row = Row((), ((0, ONE),), -least)
        parts = []
        for i, (c, weight) in enumerate(zip(self.center, self.weights, strict=True)):
            away = f"(- X_{i} {decimal(c)})"
            parts.append(f"(* {decimal(weight)} (ite (>= {away} 0) {away} (- {away})))")
        ball = f"(assert (<= (+ {' '.join(parts)}) {decimal(self.bound)}))\n"
        return vnnlib_text(self.lower, self.upper, 1, [row]) + ball

    def files(self, folder: Path, least: Fraction) -> tuple[Path, Path]:
        query = folder / "ball.vnnlib"
        query.write_text(self.text(least))
        return write_onnx(self.net, folder / "net.onnx"), query

    def spent(self, x: Point) -> Fraction:
        return sum((w * abs(v - c) for w, v, c in zip(self.weights, x, self.center, strict=True)), Fraction(0))


def thousandths(value: Fraction) -> Fraction:
    """The next lower whole number of thousandths."""
    return Fraction(floor(value * 1000), 1000)


def questions(count: int) -> list[Asked]:
    """Some of which the ball and the box meet, without being a single point."""
    found = (Asked.of(seed) for seed in range(1000))
    meeting = (one for one in found if one.optimum is not None and one.lower != one.upper)
    return [next(meeting) for _ in range(count)]


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return questions(30)


@pytest.mark.parametrize("number", range(30))
def test_verdicts_are_those_of_the_exact_optimum(asked: list[Asked], number: int, tmp_path: Path) -> None:
    """Two thousandths below the least value is proved, in rationals too; two above it is refuted in the ball."""
    one, way = asked[number], WAYS[number % 3]
    found = one.optimum
    assert found is not None
    least = thousandths(found[0])
    model, query = one.files(tmp_path, least - Fraction(2, 1000))
    outcome = decide_files(model, query, tmp_path / "proof.nncert", way=way)
    assert outcome.verdict == "certified", outcome.reason
    assert exact_verdict(checker_of(model, query), tmp_path / "proof.nncert").accepted
    model, query = one.files(tmp_path, least + Fraction(3, 1000))
    outcome = decide_files(model, query, tmp_path / "witness.nnwitness", way=way, seconds=10.0)
    assert outcome.verdict == "violated", outcome.reason
    assert outcome.attack is not None
    x = outcome.attack.point
    assert one.spent(x) <= one.bound
    assert all(low <= value <= up for low, value, up in zip(one.lower, x, one.upper, strict=True))


def test_what_is_proved_of_one_ball_is_not_proved_of_another(asked: list[Asked], tmp_path: Path) -> None:
    """The certificate's own tree with a query that is false by a hair: a larger ball, less weight, a moved center."""
    refused = proved = 0
    for one in asked[:20]:
        found = one.optimum
        assert found is not None
        least = thousandths(found[0]) - Fraction(1, 1000)
        model, query = one.files(tmp_path, least)
        place = tmp_path / "proof.nncert"
        if decide_files(model, query, place).verdict != "certified":
            continue
        parts = Parts.of(place.read_bytes(), model.read_bytes(), query.read_bytes())
        assert float_verdict(make_checker(parts.model, parts.query), place).accepted
        proved += 1
        for other in (
            replace(one, bound=one.bound * 2),
            replace(one, bound=one.bound + Fraction(1, 64)),
            replace(one, weights=tuple(w / 2 for w in one.weights)),
            replace(one, center=tuple(c + Fraction(1, 16) for c in one.center)),
        ):
            holds = other.optimum is None or other.optimum[0] > least
            verdict = judged(replace(parts, query=other.text(least).encode()))
            assert not verdict or holds, "a false claim was accepted"
            refused += not holds
        text = one.text(least).encode()
        for old, new in ((b"(- (- X_", b"(- (+ X_"), (b" 0) ", b" 1) "), (b"(ite (>=", b"(ite (<="), (b"ite", b"max")):
            assert old in text
            assert not judged(replace(parts, query=text.replace(old, new, 1)))
    assert proved >= 15
    assert refused >= 15


def judged(parts: Parts) -> bool:
    """Whether the checker accepts a certificate about these files; the exact one then has to as well."""
    try:
        evidence = read_evidence(parts.to_bytes())
        assert isinstance(evidence, Certificate)
        checker = make_checker(parts.model, parts.query)
        accepted = checker.check(evidence, None).accepted
    except CheckError:
        return False
    assert not accepted or audit(checker, evidence).accepted
    return accepted


@pytest.mark.parametrize("way", WAYS)
def test_changed_trees_prove_nothing_false(asked: list[Asked], way: str, tmp_path: Path) -> None:
    """Words changed at random, on a question that is false by a thousandth."""
    rng, tried = random.Random(way), 0
    for one in asked[:12]:
        found = one.optimum
        assert found is not None
        least = thousandths(found[0])
        model, query = one.files(tmp_path, least - Fraction(1, 1000))
        place = tmp_path / "proof.nncert"
        if decide_files(model, query, place, way=way).verdict != "certified":
            continue
        parts = Parts.of(place.read_bytes(), model.read_bytes(), query.read_bytes())
        false = replace(parts, query=one.text(least + Fraction(1, 1000)).encode())
        assert not judged(false)
        for _ in range(15):
            chunk = rng.randrange(len(parts.chunks))
            words = list(parts.chunks[chunk])
            if words:
                words[rng.randrange(len(words))] = rng.choice([0, 1, 2, 16, rng.randrange(1 << 16)])
                assert not judged(false.with_chunk(chunk, words))
                tried += 1
    assert tried >= 100


RADIUS, CENTER = Fraction(1, 2), (Fraction(1, 4), Fraction(-1, 2))


def distance(folder: Path) -> Path:
    """``|x_0 - 1/4| + |x_1 + 1/2|`` by four ReLUs, on a ball of radius r around (1/4, -1/2) at most r."""
    first = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    bias = np.array([-0.25, 0.25, 0.5, -0.5], np.float32)
    last = Layer(np.ones((1, 4), np.float32), np.zeros(1, np.float32))
    return write_onnx(TinyNet(2, (Layer(first, bias), last)), folder / "norm.onnx")


def question(folder: Path, at_least: str) -> Path:
    """Is ``Y_0 >= at_least`` possible in the ball of radius 1/2?"""
    lines = ["(declare-const X_0 Real)", "(declare-const X_1 Real)", "(declare-const Y_0 Real)"]
    lines += [f"(assert (<= X_{i} 2.0)) (assert (>= X_{i} (- 2.0)))" for i in range(2)]
    sizes = [f"(ite (>= {t} 0.0) {t} (- {t}))" for t in ("(- X_0 0.25)", "(+ X_1 0.5)")]
    lines += [f"(assert (<= (+ {' '.join(sizes)}) 0.5))", f"(assert (>= Y_0 {at_least}))"]
    path = folder / "ball.vnnlib"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("way", WAYS)
def test_the_most_on_the_ball_is_proved_and_attained(tmp_path: Path, way: str) -> None:
    """It is 1/2; on the disc it would be 0.707, on the box of the ball 1."""
    model = distance(tmp_path)
    query = question(tmp_path, "0.5001")
    outcome = decide_files(model, query, tmp_path / "proof.nncert", way=way)
    assert outcome.verdict == "certified", outcome.reason
    assert exact_verdict(checker_of(model, query), tmp_path / "proof.nncert").accepted
    outcome = decide_files(model, question(tmp_path, "0.499"), tmp_path / "witness.nnwitness", way=way)
    assert outcome.verdict == "violated", outcome.reason
    assert outcome.attack is not None
    spent = sum(abs(x - c) for x, c in zip(outcome.attack.point, CENTER, strict=True))
    assert Fraction("0.499") <= spent <= RADIUS
