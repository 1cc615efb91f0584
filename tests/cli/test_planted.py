"""A fault that neither sampling nor gradient descent finds, found through the relaxation and from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from specs.loading.onnx_writer import write_onnx
from tests.planted import THRESHOLD, Planted, planted

SEEDS = range(3)
STARTS, STEPS = 10_000, 40


def query(inputs: int) -> str:
    """Can the difference of the logits reach the threshold on the unit cube?"""
    lines = [f"(declare-const X_{i} Real)" for i in range(inputs)]
    lines += ["(declare-const Y_0 Real)", "(declare-const Y_1 Real)"]
    lines += [f"(assert (>= X_{i} 0.0))\n(assert (<= X_{i} 1.0))" for i in range(inputs)]
    return "\n".join([*lines, f"(assert (>= (- Y_0 Y_1) {THRESHOLD}))"])


def by_descent(fault: Planted, seed: int) -> float:
    """The largest difference that projected gradient ascent by signs reaches from random points."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(STARTS, len(fault.corner)))
    first, second, last = fault.weights
    best = -np.inf
    for step in range(STEPS):
        one = x @ first + fault.biases[0]
        two = np.maximum(one, 0) @ second + fault.biases[1]
        best = max(best, float(fault.difference(x).max()))
        back = np.broadcast_to(last[:, 0] - last[:, 1], two.shape) * (two > 0)
        x = np.clip(x + 0.1 * 0.93**step * np.sign(back @ second.T * (one > 0) @ first.T), 0, 1)
    return best


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fault_is_found_at_once_and_by_no_other_means(cli, tmp_path, seed):
    fault = planted(seed)
    model, spec, out = tmp_path / "gate.onnx", tmp_path / "q.vnnlib", tmp_path / "out.json"
    model.write_bytes(write_onnx(fault.graph))
    spec.write_text(query(len(fault.corner)))
    done = cli(model, spec, "--json", out)
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report["seconds"]["decide"] < 1  # on an idle machine a tenth of that
    x = np.array([float(v) for v in report["attack"]["input"]])
    assert fault.difference(x[None])[0] > THRESHOLD
    assert by_descent(fault, seed) < THRESHOLD


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_gate_there_is_a_proof(cli, tmp_path, seed):
    model, spec = tmp_path / "plain.onnx", tmp_path / "q.vnnlib"
    model.write_bytes(write_onnx(planted(seed, gate=False).graph))
    spec.write_text(query(20))
    assert cli(model, spec).returncode == 0
