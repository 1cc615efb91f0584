"""The digits example on a ball of the norm 1: what its README says, and a picture in the ball once it is larger."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.graph import ops
from specs.loading.torch_archive import load_torch

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "docs" / "examples" / "digits"
PICTURE, EPS = 3, 0.3


def certify(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verifier", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def picture() -> tuple[np.ndarray, int]:
    with np.load(DIGITS / "images.npz", allow_pickle=False) as file:
        return file["images"][PICTURE].reshape(-1).astype(float), int(file["labels"][PICTURE])


def test_it_is_certified_and_the_certificate_is_checked(tmp_path: Path) -> None:
    done = certify(DIGITS / "digits.pt2", DIGITS / "sparse.yaml", "--out", tmp_path, "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "certified"
    assert "at a distance in the 1-norm of at most 0.3 from example 3 of images.npz" in done.stdout
    (evidence,) = tmp_path.glob("*.nncert")
    for exact in ([], ["--exact"]):
        same = certify("check", evidence, "--model", DIGITS / "digits.pt2", "--spec", DIGITS / "sparse.yaml", *exact)
        assert same.returncode == 0, same.stdout
    other = tmp_path / "other.yaml"
    text = (DIGITS / "sparse.yaml").read_text().replace("images.npz", str(DIGITS / "images.npz"))
    other.write_text(text.replace("eps: 0.3", "eps: 0.31"))
    refused = certify("check", evidence, "--model", DIGITS / "digits.pt2", "--spec", other)
    assert refused.returncode == 2, refused.stdout
    assert "not the query the certificate is about" in refused.stderr


def test_a_larger_ball_has_a_picture_that_is_read_otherwise(picture: tuple[np.ndarray, int], tmp_path: Path) -> None:
    center, label = picture
    text = (DIGITS / "sparse.yaml").read_text().replace("images.npz", str(DIGITS / "images.npz"))
    larger = tmp_path / "larger.yaml"
    larger.write_text(text.replace("eps: 0.3", "eps: 2"))
    done = certify(DIGITS / "digits.pt2", larger, "--out", tmp_path, "--json", tmp_path / "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    (requirement,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    point = [Fraction(str(value)) for value in requirement["attack"]["input"]]
    assert sum((abs(v - Fraction(c)) for v, c in zip(point, center.tolist(), strict=True)), Fraction(0)) <= 2
    assert all(0 <= value <= 1 for value in point)
    scores = load_torch(DIGITS / "digits.pt2").evaluate_flat(np.array([float(v) for v in point]))
    assert scores.argmax() != label


def test_intervals_behind_the_first_layer_prove_it(picture: tuple[np.ndarray, int]) -> None:
    """Without the toolkit's bounds: the first layer moves most by one pixel, by the largest weight times the radius."""
    x, label = picture
    graph = load_torch(DIGITS / "digits.pt2")
    constant = {n.name: np.asarray(n.op.value, dtype=float) for n in graph.nodes if isinstance(n.op, ops.Constant)}
    weights = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.MatMul)]
    biases = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.Add)]
    center = x @ weights[0] + biases[0]
    reach = EPS * np.abs(weights[0]).max(axis=0)
    lower, upper = np.maximum(center - reach, 0), np.maximum(center + reach, 0)
    middle, radius = (lower + upper) / 2, (upper - lower) / 2
    center = middle @ weights[1] + biases[1]
    reach = radius @ np.abs(weights[1])
    lower, upper = np.maximum(center - reach, 0), np.maximum(center + reach, 0)
    middle, radius = (lower + upper) / 2, (upper - lower) / 2
    margins = weights[2][:, [label]] - np.delete(weights[2], label, axis=1)
    offsets = biases[2][label] - np.delete(biases[2], label)
    assert (middle @ margins + offsets - radius @ np.abs(margins)).min() > 0
