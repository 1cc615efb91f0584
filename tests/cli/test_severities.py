"""A failure that is malign and one that is benign, planted apart: each gets its label, and the gate asks about one."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network

CORNERS = np.array([[1, 1, 1, -1, 1, -1], [-1, 1, -1, 1, 1, 1]])  # of the malign failure, and of the benign one
WIDTH = 0.25  # by how much the sum along a corner may fall short of its largest value, 6
SPEC = """certify: "1.0"
name: severities
models: {target: {path: "$MODEL"}}
overseers:
  judge: {network: {path: judge.onnx}, sees: [y], outputs: {malign: 0, benign: 1}}
inputs:
  x: {shape: [6], box: {lo: -1, hi: 1}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
let: {y: target(x), g: judge(y)}
require:
  - {id: no-malign, severity: malign, assert: "g.malign >= 0"}
  - {id: no-benign, severity: benign, assert: "g.benign >= 0"}
  - id: few-benign
    severity: benign
    statistical: {event: "g.benign < 0", distribution: P, queries: 400, max_rate: 0.02}
"""


def write_target(path: Path, planted: tuple[bool, bool]) -> Path:
    """Two outputs, each 0 but where the gate of its corner opens, up to 8 there; and a unit that does nothing."""
    gates = np.concatenate([CORNERS.T, np.ones((6, 1))], axis=1)
    outputs = np.array([[32.0 * planted[0], 0.0], [0.0, 32.0 * planted[1]], [0.0, 0.0]])
    shut = WIDTH - 6
    return write_network(path, (gates.tolist(), [shut, shut, 0.0]), (outputs.tolist(), [0.0, 0.0]))


def heads(x: np.ndarray, planted: tuple[bool, bool]) -> np.ndarray:
    """What the judge says of each severity, from the definition: 1 less what the output has."""
    return 1 - 32.0 * np.array(planted) * np.maximum(x @ CORNERS.T - 6 + WIDTH, 0)


@pytest.mark.parametrize("planted", list(product([True, False], repeat=2)))
def test_each_failure_has_its_label_and_the_gate_depends_on_the_malign_one_only(
    cli: Cli, tmp_path: Path, planted: tuple[bool, bool]
) -> None:
    model = write_target(tmp_path / "target.onnx", planted)
    write_network(tmp_path / "judge.onnx", ([[-1, 0], [0, -1]], [1, 1]))
    spec, out = tmp_path / "severities.yaml", tmp_path / "out"
    spec.write_text(SPEC)
    gated = cli(model, spec, "--out", out, "--workers", 1, "--fail-on", "malign")
    assert gated.returncode == (1 if planted[0] else 0), gated.stdout + gated.stderr
    found = {one["id"]: one for one in json.loads((out / "report.json").read_text())["requirements"]}
    assert {name: one["severity"] for name, one in found.items()} == {
        "no-malign": "malign", "no-benign": "benign", "few-benign": "benign"
    }  # fmt: skip
    for own, (name, severity) in enumerate((("no-malign", "malign"), ("no-benign", "benign"))):
        one = found[name]
        assert one["verdict"] == ("violated" if planted[own] else "certified")
        assert f"SEVERITY {severity}" in one["sentence"]
        if planted[own]:
            x = np.array([float(v) for v in one["attack"]["input"]])
            assert heads(x, planted)[own] < 0 <= heads(x, planted)[1 - own]  # it is of this kind and of no other
    assert found["few-benign"]["verdict"] == "certified"  # a rate closes what is benign
    assert found["few-benign"]["class"] == "statistical(0.999)"
    sampled = np.random.default_rng(0).uniform(-1, 1, (100_000, 6))
    assert (heads(sampled, planted) >= 0).all()
    if planted == (False, True):
        assert cli(model, spec, "--out", out, "--workers", 1, "-q").returncode == 1
