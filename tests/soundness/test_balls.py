"""The whole program on balls: proofs that the exact checker accepts, witnesses in the ball, and neither."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.oracle.files import Layer, TinyNet, write_onnx
from tests.soundness.deciding import checker_of, decide_files, exact_verdict
from verifier.engine.outcome import Outcome

RADIUS = Fraction(1, 2)
CENTER = (Fraction(1, 4), Fraction(-1, 2))
WAYS = ["inputs", "phases", "both"]


def norm_network(folder: Path) -> Path:
    """``|x_0 - 1/4| + |x_1 + 1/2|`` by four ReLUs, on a ball of radius r around (1/4, -1/2) at most r sqrt 2."""
    first = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    bias = np.array([-0.25, 0.25, 0.5, -0.5], np.float32)
    last = Layer(np.ones((1, 4), np.float32), np.zeros(1, np.float32))
    return write_onnx(TinyNet(2, (Layer(first, bias), last)), folder / "norm.onnx")


def question(folder: Path, at_least: str, side: str = "2.0") -> Path:
    """Is ``Y_0 >= at_least`` possible in the ball, and within ``side`` of its centre?"""
    lines = ["(declare-const X_0 Real)", "(declare-const X_1 Real)", "(declare-const Y_0 Real)"]
    for i, c in enumerate(("0.25", "(- 0.5)")):
        lines += [f"(assert (<= X_{i} (+ {c} {side})))", f"(assert (>= X_{i} (- {c} {side})))"]
    squares = "(* (- X_0 0.25) (- X_0 0.25)) (* (+ X_1 0.5) (+ X_1 0.5))"
    lines += [f"(assert (<= (+ {squares}) 0.25))", f"(assert (>= Y_0 {at_least}))"]
    path = folder / "ball.vnnlib"
    path.write_text("\n".join(lines) + "\n")
    return path


def decided(folder: Path, at_least: str, way: str, **options: float | str) -> tuple[Outcome, Path, Path]:
    model, query = norm_network(folder), question(folder, at_least)
    return decide_files(model, query, folder / "proof.nncert", way=way, **options), model, query


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at_least", ["0.75", "0.71"])
def test_the_most_on_the_ball_is_proved(tmp_path: Path, way: str, at_least: str) -> None:
    """It is ``sqrt 2 / 2``, 0.7071...; on the box of the ball it would be 1, and 4 on the box of the question."""
    outcome, model, query = decided(tmp_path, at_least, way)
    assert outcome.verdict == "certified", outcome.reason
    assert exact_verdict(checker_of(model, query), tmp_path / "proof.nncert").accepted


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at_least", ["0.5", "0.7"])
def test_a_violation_is_a_point_of_the_ball_exactly(tmp_path: Path, way: str, at_least: str) -> None:
    outcome, _, _ = decided(tmp_path, at_least, way)
    assert outcome.verdict == "violated", outcome.reason
    assert outcome.attack is not None
    point = outcome.attack.point
    assert sum((x - c) ** 2 for x, c in zip(point, CENTER, strict=True)) <= RADIUS**2
    assert sum(abs(x - c) for x, c in zip(point, CENTER, strict=True)) >= Fraction(at_least)


def test_what_is_left_open_is_not_called_either(tmp_path: Path) -> None:
    """The bound is the optimum's first digits: no proof is found in no time, and no attack was allowed."""
    outcome, _, _ = decided(tmp_path, "0.70710679", "inputs", seconds=0.01, attack=False)
    assert outcome.verdict == "unknown"
