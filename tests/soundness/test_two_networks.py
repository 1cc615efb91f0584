"""Published questions about two networks at once: a classifier, and another network that says what is asked of it.

Networks and answers are those of Xie, Kersting and Neider, *Neuro-symbolic verification of deep neural networks*
(IJCAI 2022). All of these questions are answered by an input, which is evaluated here by the networks' own files.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from specs.loading.onnx import load_onnx
from tests.cli.conftest import command, environment

pytestmark = [pytest.mark.shared]

HEAD = """certify: "1.0"
name: two-networks
models:
  f: {{path: {folder}/{name}_nuv.onnx}}
  g: {{path: {folder}/{name}_prop.onnx, role: reference}}
inputs:
  x: {{shape: [{size}], box: {{lo: -0.4242, hi: 2.8}}}}
let: {{y: f(x), z: g(x)}}
require:
  - {{id: r, assert: "{condition}"}}
"""
EQUAL = "norm(y - z, inf) <= {epsilon}"
DIGIT = "implies(z[1] - z[0] >= 1, argmax(y) == 3)"
CONFIDENT = "not (norm(z - x, inf) <= {epsilon} and y[8] >= max(y) and 10 * y[8] - sum(y) <= 9 * {delta})"
ROUNDING = 1e-4  # of float32


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    found = shared_dir / "papers" / "nesy2022"
    if not found.is_dir():
        pytest.skip("needs the networks of the paper")
    return found


def violation(folder: Path, out: Path, name: str, size: int, condition: str) -> tuple[np.ndarray, ...]:
    """The input that was found, and what both networks make of it."""
    (out / "s.yaml").write_text(HEAD.format(folder=folder, name=name, size=size, condition=condition))
    asked = command("s.yaml", "--timeout", 60, "--json", "r.json")
    done = subprocess.run(asked, cwd=out, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    x = np.array([float(v) for v in json.loads((out / "r.json").read_text())["attack"]["input"]])
    assert ((x >= -0.4242) & (x <= 2.8)).all()
    f, g = (load_onnx(folder / f"{name}_{part}.onnx") for part in ("nuv", "prop"))
    return x, f.evaluate_flat(x), g.evaluate_flat(x)


@pytest.mark.parametrize("name", ["mnist_eq_exp1", "mnist_eq_exp2"])
@pytest.mark.parametrize("epsilon", [0.05, 0.14])
def test_networks_that_are_not_equal(folder: Path, tmp_path: Path, name: str, epsilon: float) -> None:
    _, y, z = violation(folder, tmp_path, name, 784, EQUAL.format(epsilon=epsilon))
    assert np.abs(y - z).max() >= epsilon - ROUNDING


def test_a_digit_that_only_the_overseer_sees(folder: Path, tmp_path: Path) -> None:
    _, y, z = violation(folder, tmp_path, "mnist_digit3_exp1", 784, DIGIT)
    assert z[1] - z[0] >= 1 - ROUNDING
    assert y.argmax() != 3 or np.sort(y)[-1] - np.sort(y)[-2] <= ROUNDING


@pytest.mark.parametrize(("epsilon", "delta"), [(0.05, 1), (0.05, 20), (0.14, 20)])
def test_an_image_that_the_autoencoder_knows_and_the_classifier_does_not(
    folder: Path, tmp_path: Path, epsilon: float, delta: int
) -> None:
    """All of 402 conditions at once: gradients of one lead away from the others."""
    condition = CONFIDENT.format(epsilon=epsilon, delta=delta)
    x, y, z = violation(folder, tmp_path, "mnist_confidence_exp1", 196, condition)
    assert np.abs(z - x).max() <= epsilon + ROUNDING
    assert y[8] >= y.max() - ROUNDING
    assert 10 * y[8] - y.sum() <= 9 * delta + ROUNDING
