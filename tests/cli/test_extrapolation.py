"""``emit: [extrapolation]``: an unknown verdict hands over a network on which its relaxed attack is real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli

SPEC = """certify: "1.0"
name: nothing
models: {{target: {{path: zero.onnx}}}}
inputs: {{x: {{shape: [20], box: {{lo: -1, hi: 1}}}}}}
require: [{{id: zero, assert: "target(x)[0] <= 0.001"}}]
emit: [{emit}]
"""


def ask(cli: Cli, model: Path, emit: str) -> dict:
    folder = model.parent
    (folder / "s.yaml").write_text(SPEC.format(emit=emit))
    done = cli(folder / "s.yaml", "--timeout", 20, "--workers", 1, "--methods", "bab", "--json", folder / "r.json")
    assert done.returncode == 3, done.stdout + done.stderr
    report = json.loads((folder / "r.json").read_text())
    assert "another network, on which this is a real attack" in done.stdout
    return report["relaxed_attack"]


def test_the_network_makes_the_relaxed_attack_real(cli: Cli, hard: tuple[Path, Path]) -> None:
    """Its margin at the input is the relaxation's, while the original's is that of a network that is zero."""
    runtime = pytest.importorskip("onnxruntime")
    model, _ = hard
    relaxed = ask(cli, model, "extrapolation")
    made = relaxed["extrapolation"]
    assert relaxed["relaxation"] == "lp"
    assert made["value"] == pytest.approx(relaxed["bound"], rel=1e-9)
    x = np.array(relaxed["input"], dtype=np.float32)[None]
    outputs = []
    for file in (model, model.parent / made["file"]):
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        outputs.append(float(session.run(None, {session.get_inputs()[0].name: x})[0].reshape(-1)[0]))
    assert abs(outputs[0]) < 1e-4
    assert 0.001 - outputs[1] == pytest.approx(made["value"], rel=1e-4)
    assert made["replayed"] == pytest.approx(made["value"], rel=1e-4)
    assert 0 < made["deviating"] <= made["unstable"]
    table = (model.parent / made["table"]).read_text().splitlines()
    assert len(table) == 1 + made["deviating"]
