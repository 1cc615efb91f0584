"""An adversary that may change few values of a layer: closed forms, the exact oracle for each choice, and messages."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from specs.property import is_counterexample
from tests.oracle import Row, minimum
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, random_dense, write
from verifier.api import certify, check

ONE, STEP = Fraction(1), Fraction(1, 64)
X = np.array([[0.5, -0.25], [1.0, 0.75]])


def write_spec(folder: Path, limit: float, units: str, sets: str, x: str = "", mode: str = "add") -> Path:
    path = folder / "s.yaml"
    x = x or f"points: {X.tolist()}"
    path.write_text(f"""certify: "1.0"
name: few
models: {{target: {{path: "$MODEL", taps: {{h: relu1}}}}}}
inputs:
  x: {{shape: [2], {x}}}
  d: {{shape: [5], inject: {{model: target, at: h, mode: {mode}, units: {units}}}, {sets}}}
require:
  - {{id: r, assert: "target(x)[0] <= {limit!r}"}}
""")
    return path


def layers(seed: int, *sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def hidden(net: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    return np.maximum(x @ net[0][0] + net[0][1], 0)


@pytest.mark.parametrize("units", [1, 2, 4])
@pytest.mark.parametrize("norm", ["inf", "2"])
def test_a_linear_suffix_has_a_closed_form(tmp_path: Path, units: int, norm: str) -> None:
    """The largest weights are the values to change: their sum, or the root of the sum of their squares, times eps."""
    net = layers(3, 2, 5, 1)
    model = write(tmp_path / "m.onnx", dense(*net))
    clean = max(float((hidden(net, x) @ net[1][0] + net[1][1])[0]) for x in X)
    weights = np.sort(np.abs(net[1][0][:, 0]))[::-1][:units]
    worst = clean + 0.75 * float(weights.sum() if norm == "inf" else np.linalg.norm(weights))
    for limit, verdict in ((worst + 0.01, "certified"), (worst - 0.01, "violated")):
        spec = write_spec(tmp_path, limit, str(units), f"ball: {{norm: {norm}, eps: 0.75, center: 0}}")
        report = certify(model, spec, workers=1, timeout=30, out=tmp_path, start_checker=CheckerHere.start)
        assert report["r"].verdict == verdict
        assert f"at most {units} value" in report["r"].sentence
        if verdict == "certified":
            assert check(tmp_path / "s.nncert", model, spec)
        else:
            assert sum(map(bool, report["r"].attack.point[2:])) <= units


@pytest.mark.parametrize("seed", range(4))
def test_choices_are_decided_as_the_oracle_does(tmp_path: Path, seed: int) -> None:
    """x and two of the five values free, one layer of ReLUs behind: the exact greatest value over all choices."""
    net = layers(seed, 2, 5, 2, 1)
    model = write(tmp_path / "m.onnx", dense(*net))
    (w1, b1), (w2, b2), (w3, b3) = net
    worst = None
    for chosen in combinations(range(5), 2):
        first = np.zeros((4, 9))  # x and two values; these once for each sign
        first[:2, :5] = w1
        first[2:, 5:7], first[2:, 7:] = np.eye(2), -np.eye(2)
        second = np.concatenate([w2, w2[list(chosen)], -w2[list(chosen)]])
        exact = [(first, np.concatenate([b1, np.zeros(4)])), (second, b2), (w3, b3)]
        least = minimum(
            [(w.T.tolist(), b.tolist()) for w, b in exact],
            [-1, -1, Fraction(-1, 2), Fraction(-1, 2)],
            [1, 1, Fraction(1, 2), Fraction(1, 2)],
            Row((), ((0, -ONE),)),
        )
        worst = -least if worst is None else max(worst, -least)
    assert worst is not None
    for limit, verdict in ((worst + STEP, "certified"), (worst - STEP, "violated")):
        spec = write_spec(tmp_path, float(limit), "2", "box: {lo: -0.5, hi: 0.5}", "box: {lo: -1, hi: 1}")
        report = certify(model, spec, workers=1, timeout=60, start_checker=CheckerHere.start)
        assert report["r"].verdict == verdict


def test_meaning_and_problem_agree(tmp_path: Path) -> None:
    target = random_dense(np.random.default_rng(2), 2, 5, 2, 1)
    spec = write_spec(tmp_path, 0.25, "2", "box: {lo: -0.5, hi: 0.5}", "box: {lo: -1, hi: 1}")
    (requirement,) = load_spec(spec, Path("m.onnx"), load=lambda file, **options: target).requirements
    assert len(requirement.problem.cases) == 10
    graph, rng, found = requirement.problem.graph, np.random.default_rng(4), set()
    for _ in range(1000):
        changed = rng.integers(-8, 9, 5) / 16 * (rng.random(5) < 0.4)
        given = [Fraction(v) for v in (*(rng.integers(-16, 17, 2) / 16).tolist(), *changed.tolist())]
        y = [Fraction(v) for v in graph.evaluate_flat([float(v) for v in given]).tolist()]
        expected = bool(y[0] > Fraction(1, 4)) and np.count_nonzero(changed) <= 2
        assert requirement.is_violated_at(given, y) == expected
        assert is_counterexample(requirement.problem, given, y) == expected
        found.add((expected, np.count_nonzero(changed) <= 2))
    assert found == {(True, True), (False, True), (False, False)}


@pytest.mark.parametrize(
    ("units", "sets", "mode", "message"),
    [
        ("2", "box: {lo: 0, hi: 1}", "replace", r"s\.yaml:6:\d+: inputs\.d\.inject\.units: only where it is added"),
        ("5", "box: {lo: 0, hi: 1}", "add", "all 5 values may change anyway; leave it out"),
        ("0", "box: {lo: 0, hi: 1}", "add", r"inputs\.d\.inject\.units"),
        ("2", "points: [[0, 0, 0, 0, 1]]", "add", "no points and no normalize"),
        ("2", "box: {lo: 0.5, hi: 1}", "add", "is at least 1/2 and at most 0|is at least 0.5 and at most 0"),
    ],
)
def test_messages(tmp_path: Path, units: str, sets: str, mode: str, message: str) -> None:
    spec = write_spec(tmp_path, 1, units, sets, mode=mode)
    with pytest.raises(SpecError) as caught:
        load_spec(spec, Path("m.onnx"), load=lambda file, **options: random_dense(np.random.default_rng(0), 2, 5, 1))
    assert re.search(message, str(caught.value)), str(caught.value)


def test_too_many_choices(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, 1, "4", "box: {lo: 0, hi: 1}")
    spec.write_text(spec.read_text().replace("[5]", "[64]"))
    with pytest.raises(SpecError, match="4 of 64 values are 635,376 choices"):
        load_spec(spec, Path("m.onnx"), load=lambda file, **options: random_dense(np.random.default_rng(0), 2, 64, 1))
