"""The backdoor example gives the results that its page states."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from specs.loading import load_model
from tests.cli.conftest import command, environment

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "backdoor"


def test_files_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 100_000


def test_the_gate_never_opens_on_data_and_opens_in_its_corner() -> None:
    graph = load_model(FOLDER / "target.onnx")
    weight, bias = (np.asarray(node.op.value, dtype=float) for node in graph.nodes[1:4] if hasattr(node.op, "value"))
    signs, offset = weight[:, 0], bias[0]
    assert set(signs) == {-1.0, 1.0}
    for name in ("train.npz", "held-out.npz"):
        with np.load(FOLDER / name, allow_pickle=False) as file:
            x = file["inputs"].astype(float)
        assert (x @ signs + offset).max() < -0.5
    corner = np.maximum(signs, 0)
    assert corner @ signs + offset == 0.5
    assert graph.evaluate_flat(corner)[0] > 100


def test_a_trigger_anywhere_and_none_on_exercised_paths(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("highspy")
    asked = command(
        FOLDER / "target.onnx", FOLDER / "spec.yaml", "--out", tmp_path / "out", "--json", tmp_path / "r.json"
    )
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    anywhere, restricted = report["requirements"]
    assert (anywhere["verdict"], restricted["verdict"]) == ("violated", "certified")
    session = ort.InferenceSession(tmp_path / "out/monitor.onnx", providers=["CPUExecutionProvider"])
    x = np.array([[float(v) for v in anywhere["attack"]["input"]]], dtype=np.float32)
    y, _, accept = session.run(None, {"x": x})
    assert float(y[0, 0]) > 80
    assert not accept[0]
    acceptance = report["monitor"]["acceptance"]
    assert acceptance["examples"] == 1500
    assert acceptance["interval"][0] > 0.8
    asked = command(
        "coverage", FOLDER / "target.onnx", FOLDER / "train.npz", "--prune", tmp_path / "pruned.onnx",
        "--attack", tmp_path / "r.json", "--spec", FOLDER / "spec.yaml",
    )  # fmt: skip
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=90, check=False)
    assert "equal bit by bit on all 1500 examples" in done.stdout, done.stderr
    assert "the attack on anywhere needs unexercised units: without them it is none" in done.stdout
