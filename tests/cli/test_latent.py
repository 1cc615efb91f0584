"""An adversary that writes into a layer, from the command line to evidence that is checked again."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network
from tests.oracle import Row as OracleRow
from tests.oracle import minimum

HEAD = 'certify: "1.0"\nname: latent\n'
RNG = np.random.default_rng(21)


def write_spec(folder: Path, x: str, delta: str, condition: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        f"""{HEAD}models:
  target: {{path: "$MODEL", taps: {{h: relu1}}}}
inputs:
  x: {{{x}}}
  delta: {{inject: {{model: target, at: h}}, {delta}}}
require:
  - {{id: safe, assert: "{condition}"}}
"""
    )
    return path


def decided(cli: Cli, folder: Path, *arguments: object) -> dict:
    done = cli(*arguments, "--out", "out", "--json", "r.json")
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return json.loads((folder / "r.json").read_text())["requirements"][0]


# Two hidden units, y = h0 - 2 h1 + 1: with delta in a ball of radius r the least output is y(x) - r sqrt(5).

WEIGHTS = ([[1, 0.5], [-1, 1]], [0.25, 0.5]), ([[1], [-2]], [1])
POINTS = np.array([[0.5, 0.25], [1.0, -1.0], [0.0, 0.0]])


def clean(x: np.ndarray) -> float:
    hidden = np.maximum(x @ np.array(WEIGHTS[0][0]) + np.array(WEIGHTS[0][1]), 0)
    return float((hidden @ np.array(WEIGHTS[1][0]) + 1)[0])


@pytest.mark.parametrize("side", [-1, 1])
def test_a_ball_on_a_linear_suffix_has_a_closed_form(cli: Cli, tmp_path: Path, side: int) -> None:
    """The least output over all points and states, and the question just above and just below it."""
    model = write_network(tmp_path / "m.onnx", *WEIGHTS)
    least = min(map(clean, POINTS)) - 0.375 * 5**0.5
    bound = round(least - side * 0.01, 6)
    listed = ", ".join(f"[{a}, {b}]" for a, b in POINTS)
    spec = write_spec(
        tmp_path, f"shape: [2], points: [{listed}]", "shape: [2], ball: {norm: 2, eps: 0.375, center: 0}",
        f"target(x)[0] >= {bound}",
    )  # fmt: skip
    answer = decided(cli, tmp_path, model, spec)
    assert answer["verdict"] == ("certified" if side > 0 else "violated")
    evidence = "out/spec.nncert" if side > 0 else "out/spec.nnwitness"
    for arguments in ((evidence,), (evidence, "--exact"), (evidence, "--model", model, "--spec", spec)):
        done = cli("check", *arguments)
        assert done.returncode == 0, done.stderr
    if side > 0:
        assert 0.009 <= answer["bracket"][1] <= 0.01 + 1e-6
    else:
        raw = answer["attack"]["input_raw"]
        assert set(raw) == {"x[0]", "x[1]", "delta[0]", "delta[1]"}
        exact = [Fraction(v) for v in answer["attack"]["input_exact"]]
        assert sum(v * v for v in exact[2:]) <= Fraction(9, 64)
        assert [float(v) for v in exact[:2]] == POINTS[np.argmin([clean(x) for x in POINTS])].tolist()
        assert clean(np.array(exact[:2], dtype=float)) + float(exact[2] - 2 * exact[3]) < bound
        assert "delta (added to layer h of target)" in answer["claim"]


@pytest.mark.parametrize("seed", range(6))
def test_boxes_on_both_are_decided_as_the_oracle_does(cli: Cli, tmp_path: Path, seed: int) -> None:
    """x in a box, delta in a box, added between two hidden layers: the exact least value from region enumeration.

    The oracle's network computes the same by hand: its first layer has delta's elements as units of their own, once for
    each sign, and its second layer adds them.
    """
    rng = np.random.default_rng(seed)
    w1, b1 = rng.integers(-8, 9, (2, 3)) / 8, rng.integers(-8, 9, 3) / 8
    w2, b2 = rng.integers(-8, 9, (3, 2)) / 8, rng.integers(-8, 9, 2) / 8
    w3, b3 = rng.integers(-8, 9, (2, 1)) / 8, rng.integers(-8, 9, 1) / 8
    model = write_network(
        tmp_path / "m.onnx", (w1.tolist(), b1.tolist()), (w2.tolist(), b2.tolist()), (w3.tolist(), b3.tolist())
    )
    first = np.zeros((5, 9))
    first[:2, :3] = w1
    first[2:, 3:6], first[2:, 6:] = np.eye(3), -np.eye(3)
    second = np.concatenate([w2, w2, -w2])
    layers = [(first, np.concatenate([b1, np.zeros(6)])), (second, b2), (w3, b3)]
    low, up = [Fraction(-1)] * 2 + [Fraction(-1, 4)] * 3, [Fraction(1)] * 2 + [Fraction(1, 4)] * 3
    least = minimum(
        [(w.T.tolist(), b.tolist()) for w, b in layers], low, up, OracleRow((), ((0, Fraction(1)),), Fraction(0), True)
    )
    for offset, verdict in ((Fraction(1, 64), "certified"), (-Fraction(1, 64), "violated")):
        bound = float(least - offset)
        spec = write_spec(
            tmp_path, "shape: [2], box: {lo: -1, hi: 1}", "shape: [3], box: {lo: -0.25, hi: 0.25}",
            f"target(x)[0] >= {bound!r}",
        )  # fmt: skip
        assert decided(cli, tmp_path, model, spec)["verdict"] == verdict
