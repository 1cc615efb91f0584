"""The example on rounded, noisy and averaged readings says what its README says; truths by NumPy."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path

import numpy as np
import pytest

from specs.graph import ops
from specs.loading import load_model
from tests.oracle import Row as OracleRow
from tests.oracle import minimum

ROOT = Path(__file__).parents[2]
HERE = ROOT / "docs" / "examples" / "observations"
LIMIT = 0.15


def run(folder: Path, *arguments: object) -> tuple[int, list[dict]]:
    command = [sys.executable, "-m", "verifier", HERE / "thermostat.onnx", *arguments, "--json", folder / "r.json"]
    done = subprocess.run(
        [*map(str, command), "--out", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads((folder / "r.json").read_text())["requirements"]


def constants(name: str) -> list[np.ndarray]:
    graph = load_model(HERE / name)
    return [np.asarray(n.op.value, dtype=float) for n in graph.nodes if isinstance(n.op, ops.Constant)]


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    return constants("thermostat.onnx")


def power(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2, w3, b3 = weights
    return (np.maximum(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0) @ w3 + b3)[..., 0]


def shown(levels: int) -> np.ndarray:
    """All combinations of levels that some reading is rounded to with the room 0.1 warmer and at most 1/4 outside."""
    edges = [(Fraction(2 * k - 1, 2 * (levels - 1)), Fraction(2 * k + 1, 2 * (levels - 1))) for k in range(levels)]
    cells = [(max(low, Fraction(0)), min(up, Fraction(1))) for low, up in edges]
    pairs = [(i, j) for i in range(levels) for j in range(levels) if cells[j][1] - cells[i][0] > Fraction(1, 10)]
    coldest = floor(Fraction(levels - 1, 4) + Fraction(1, 2))
    return np.array([(i, j, k) for (i, j), k in product(pairs, range(coldest + 1))]) / (levels - 1)


@pytest.mark.parametrize(("levels", "safe"), [(12, True), (8, False)])
def test_rounded(tmp_path: Path, weights: list[np.ndarray], levels: int, safe: bool) -> None:
    assert (power(weights, shown(levels)).max() <= LIMIT) == safe
    code, (answer,) = run(tmp_path, HERE / "rounded.yaml", "--set", f"levels={levels}")
    assert (code, answer["verdict"]) == ((0, "certified") if safe else (1, "violated"))
    assert f"rounded to the nearest of {levels} levels in [0, 1], halves up" in answer["sentence"]
    if not safe:
        set_point, room, outside, *seen = (Fraction(v) for v in answer["attack"]["input_exact"])
        assert room >= set_point + Fraction(1, 10)
        assert 0 <= outside <= Fraction(1, 4)
        rounded = [Fraction(floor(v * (levels - 1) + Fraction(1, 2)), levels - 1) for v in (set_point, room, outside)]
        assert rounded == seen
        assert power(weights, np.array([float(v) for v in seen])) > LIMIT


def test_noisy(tmp_path: Path, weights: list[np.ndarray]) -> None:
    """Just above what is refuted, a reading and its noise are too much; so are those that are named."""
    code, (answer,) = run(tmp_path, HERE / "noisy.yaml")
    assert code == 0
    proved, refuted = (Fraction(answer["parameter"][key]) for key in ("proved", "refuted"))
    assert Fraction(107, 10_000) <= proved < refuted <= Fraction(118, 10_000)
    rng = np.random.default_rng(0)
    x = rng.random((200_000, 3))
    x = x[x[:, 1] >= x[:, 0] + 0.1]
    noise = rng.choice([-1.0, 1.0], x.shape) * float(proved)
    assert power(weights, x + noise).max() <= LIMIT
    done = subprocess.run(
        [sys.executable, "-m", "verifier", "check", str(tmp_path / "noisy.nnwitness")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_averaged(tmp_path: Path, weights: list[np.ndarray]) -> None:
    """The abstraction is the average; what its sentence says it costs is no less than what it does."""
    x = np.random.default_rng(1).random((100, 6))
    (matrix, bias) = constants("average.onnx")
    assert np.allclose(x @ matrix + bias, np.stack([x[:, 0], x[:, 1:5].mean(axis=1), x[:, 5]], axis=1), atol=1e-7)
    code, answers = run(tmp_path, HERE / "averaged.yaml")
    assert code == 0
    assert [one["verdict"] for one in answers] == ["certified"] * 2
    told = answers[0]["sentence"]
    assert "SO THE SAME HOLDS FOR ALL x IN {x.set in [0.3, 0.5], x.room1 in [0.6, 0.8]" in told
    low, up = ([Fraction(v, 10) for v in side] for side in ((3, 6, 0), (5, 8, 10)))
    parts = [(weights[k].T.tolist(), weights[k + 1].tolist()) for k in (0, 2, 4)]
    largest = -minimum(parts, low, up, OracleRow((), ((0, Fraction(-1)),), Fraction(0), True))
    proved, cost = answers[0]["bracket"][1], float(told.partition("COSTS AT MOST ")[2].split(":")[0])
    assert proved <= LIMIT - float(largest)  # the average of readings in a box is all of a box
    assert cost >= (LIMIT - float(largest)) - proved
