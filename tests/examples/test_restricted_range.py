"""The restricted range example gives the results that its page states."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.loading import load_model
from tests.cli.conftest import command, environment

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "restricted-range"


def test_files_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 100_000


def test_what_is_answered_is_right_and_the_rest_is_refused(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    asked = command(FOLDER / "spec.yaml", "--out", tmp_path / "out", "--json", tmp_path / "r.json")
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    solved = report["requirements"][0]["parameter"]
    proved, refuted = Fraction(solved["proved"]), Fraction(solved["refuted"])
    assert 0 < refuted - proved <= Fraction(1, 200)
    graph = load_model(FOLDER / "model.onnx")
    grid = np.linspace(0, 0.6, 121)
    wrong = [max(a, b) for a in grid for b in grid if abs(graph.evaluate_flat([a, b])[0] - max(a, b)) > 0.05]
    assert float(proved) < min(wrong)  # the grid knows a little less than the search
    assert f"{float(proved)}" in (FOLDER / "README.md").read_text()
    session = ort.InferenceSession(tmp_path / "out/guard.onnx", providers=["CPUExecutionProvider"])
    with np.load(FOLDER / "questions.npz", allow_pickle=False) as file:
        questions = file["inputs"]
    answered = 0
    for question in questions:
        y, accept = session.run(None, {"x": question})
        inside = all(0 <= Fraction(float(v)) <= proved for v in question)
        assert bool(accept[0]) == inside == (not np.isnan(y).any())
        if inside:
            assert abs(float(y[0]) - float(question.max())) <= 0.05
            answered += 1
    assert report["guard"]["acceptance"]["accepted"] == answered
