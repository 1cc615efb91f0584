"""The latent example says what its README says; truths by NumPy and a linear program of SciPy's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from specs.graph import ops
from specs.language.load_spec import load_spec
from specs.loading import load_model

ROOT = Path(__file__).parents[2]
LATENT = ROOT / "docs" / "examples" / "latent"
LIMIT, LENGTH = 1.25, 0.75


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    graph = load_model(LATENT / "controller.onnx")
    return [np.asarray(n.op.value, dtype=float) for n in graph.nodes if isinstance(n.op, ops.Constant)]


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    with np.load(LATENT / "readings.npz", allow_pickle=False) as file:
        return file["inputs"]


def hidden(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = weights[:4]
    return np.maximum(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0)


def run(spec: str, folder: Path) -> tuple[int, dict]:
    command = [sys.executable, "-m", "verifier", LATENT / "controller.onnx", LATENT / spec, "--json", folder / "r.json"]
    done = subprocess.run(
        [*map(str, command), "--out", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads((folder / "r.json").read_text())


def test_the_files_are_small_and_the_network_is_the_one_described(weights, readings):
    assert sum(file.stat().st_size for file in LATENT.iterdir()) < 100_000
    assert [part.shape for part in weights] == [(6, 16), (16,), (16, 8), (8,), (8, 1), (1,)]
    assert readings.shape == (400, 6)
    wanted = np.clip(2 * (readings[:, 0] - readings[:, 1:5].mean(axis=1)) + 0.25 * (1 - readings[:, 5]), 0, 1)
    found = (hidden(weights, readings) @ weights[4] + weights[5])[:, 0]
    assert np.sqrt(((found - wanted) ** 2).mean()) < 0.05


def test_whatever_readings_can_cause(weights, tmp_path):
    code, report = run("natural.yaml", tmp_path)
    assert (code, report["verdict"]) == (0, "certified")
    limit, support = report["requirements"]
    assert (limit["verdict"], support["verdict"]) == ("certified", "certified")
    assert "COVERS EVERY NATURAL FAILURE" in limit["sentence"]
    assert limit["covers_natural_failures"]
    for answer in (limit, support):
        evidence = [
            answer["certificate"]["path"],
            "--model",
            LATENT / "controller.onnx",
            "--spec",
            LATENT / "natural.yaml",
        ]
        check = [sys.executable, "-m", "verifier", "check", *map(str, evidence)]
        assert subprocess.run(check, cwd=ROOT, capture_output=True, check=False).returncode == 0
    x = np.random.default_rng(0).uniform(0, 1, (20_000, 6)).round() * 1.0  # corners: the layer is farthest out there
    assert (hidden(weights, x) @ weights[4] + weights[5]).max() <= 3


def test_a_push_that_stays_like_data(weights, readings, tmp_path):
    """A linear program over the octagon and the box around the ball agrees: on no point is 1.25 reached."""
    from scipy.optimize import linprog

    code, report = run("pushed.yaml", tmp_path)
    assert (code, report["verdict"]) == (0, "certified")
    (natural,) = load_spec(LATENT / "pushed.yaml", LATENT / "controller.onnx").naturals
    rows = np.zeros((len(natural.hull.rows), 8))
    for r, row in enumerate(natural.hull.rows):
        for i, c in row.terms:
            rows[r, i] = float(c)
    bounds = np.array([float(row.bound) for row in natural.hull.rows])
    assert (hidden(weights, readings) @ rows.T <= bounds + 1e-9).all()
    for h in hidden(weights, readings[:20]):
        found = linprog(-weights[4][:, 0], rows, bounds, bounds=[(v - LENGTH, v + LENGTH) for v in h])
        assert found.status == 0
        assert -found.fun + weights[5][0] < LIMIT


def test_a_push_that_need_not(weights, readings, tmp_path):
    """The layers behind it are linear: the best push goes along their weights."""
    code, report = run("free.yaml", tmp_path)
    assert (code, report["verdict"]) == (1, "violated")
    clean = (hidden(weights, readings[:20]) @ weights[4] + weights[5]).max()
    best = clean + LENGTH * np.linalg.norm(weights[4])
    assert best > LIMIT
    (value,) = report["attack"]["outputs"]
    assert LIMIT < value <= best + 1e-5
    push = np.array([report["attack"]["input_raw"][f"push[{i}]"] for i in range(8)])
    assert np.linalg.norm(push) <= LENGTH * (1 + 1e-12)
