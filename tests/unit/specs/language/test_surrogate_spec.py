"""What a specification says of surrogates: read, and refused before anything is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.load_spec import load_spec
from specs.language.rates.surrogates import SurrogateQuestion, read_surrogates
from tests.unit.specs.compose.modules import random_dense

NETWORK = random_dense(np.random.default_rng(3), 2, 3, 1)
SPEC = """certify: "1.0"
name: learning
models: {f: {path: "$MODEL"}}
overseers:
  slow: {python: "slow.py:judge", budget: {queries: 100}}
  fast: {surrogate: {of: slow, arch: [3, 8, 1], queries: 60}}
inputs:
  x: {shape: [2], box: {lo: 0, hi: 1}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
let: {y: f(x)}
require:
  - {id: least, assert: "fast(x, y) >= 0"}
  - {id: rare, severity: benign, statistical: {event: "slow(x, y) < 0", distribution: P, queries: 40, max_rate: 0.3}}
"""


def load(file: Path, **options: object) -> Graph:
    return NETWORK


def read(folder: Path, *changes: tuple[str, str]) -> tuple[SurrogateQuestion, ...]:
    (folder / "slow.py").write_text("def judge(x, y): ...\n")
    text = SPEC
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "spec.yaml").write_text(text)
    return read_surrogates(folder / "spec.yaml", Path("f.onnx"), {}, load)


def test_what_is_shown_is_what_the_calls_show(tmp_path: Path) -> None:
    (question,) = read(tmp_path)
    assert (question.text, question.arch, question.queries, question.select) == (
        "fast(x, y)",
        (3, 8, 1),
        60,
        ("random",),
    )
    x = np.array([0.25, 0.75])
    shown = question.shown(x)
    assert shown[0] == [0.25, 0.75]
    assert shown[1] == pytest.approx(NETWORK.evaluate_flat(x).tolist(), rel=1e-12)
    assert "not about slow" in question.describe()


def test_a_call_in_a_let_or_in_an_event_counts(tmp_path: Path) -> None:
    event = ('event: "slow(x, y) < 0"', 'event: "slow(x, y) < fast(x, y) - 0.1"')
    (question,) = read(tmp_path, ('"fast(x, y) >= 0"', '"y[0] <= 9"'), event)
    assert question.text == "fast(x, y)"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("of: slow", "of: slwo", r"6:26: overseers.fast.surrogate.of: 'slwo' is no program.*Did you mean 'slow'"),
        ("arch: [3, 8, 1]", "arch: [2, 8, 1]", r"6:\d+: .*arch: starts with 2, but fast\(x, y\) shows 3 numbers"),
        ("arch: [3, 8, 1]", "arch: [3, 8]", r"6:\d+: overseers.fast.surrogate.arch: expected sizes of layers"),
        ("arch: [3, 8, 1]", "arch: [3, 99999, 999, 1]", "a million weights"),
        ("queries: 60", "queries: 160", r"6:\d+: .*queries: more than the 100 that slow may be asked"),
        ("queries: 60", "queries: 61", r"13:\d+: .*40 beside 61 to learn from are more than the 100 of the budget"),
        ("queries: 60}", "queries: 60, select: [random, random]}", "each way of selecting once"),
        ("queries: 60}", "queries: 60, select: grid}", r"select.*expected 'random', 'disagreement' or 'attack-guided'"),
        ("queries: 60}", "querries: 60, queries: 60}", "unknown key 'querries'.*Did you mean 'queries'"),
        ("fast(x, y) >= 0", "fast(x, y) + fast(x, 2 * y) >= 0", "called in several ways"),
        ("fast(x, y) >= 0", "fast(y, x) >= 0", "has to be called with an input as the first thing it is shown"),
        ("box: {lo: 0, hi: 1}}", "points: [[0, 1], [1, 0]]}", "is no bounded box"),
        ("fast: {", "fast: {network: {path: f.onnx}, ", r"6:\d+: overseers.fast: is a surrogate and something else"),
    ],
)
def test_faults_are_told_before_anything_is_asked(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        read(tmp_path, (old, new))


def test_nothing_is_learned_where_nothing_is_to_be(tmp_path: Path) -> None:
    plain = ("surrogate: {of: slow, arch: [3, 8, 1], queries: 60}", 'network: {path: "f.onnx"}')
    assert read(tmp_path, plain) == ()


def test_what_does_not_learn_says_so(tmp_path: Path) -> None:
    read(tmp_path)
    with pytest.raises(SpecError, match=r"6:21: overseers.fast.surrogate: is learned from answers of slow"):
        load_spec(tmp_path / "spec.yaml", Path("f.onnx"), load=load)
