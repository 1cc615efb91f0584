"""The release gate does what its README says, held against samples and derivatives taken by hand."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.graph import ops
from specs.loading import load_model
from tests.cli.conftest import Cli

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "release-gate"


def layers_of(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    graph = load_model(FOLDER / f"{name}.onnx")
    constant = {n.name: np.asarray(n.op.value, float) for n in graph.nodes if isinstance(n.op, ops.Constant)}
    weights = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.MatMul)]
    biases = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.Add)]
    return list(zip(weights, biases, strict=True))


def scores(name: str, x: np.ndarray) -> np.ndarray:
    (w1, b1), (w2, b2) = layers_of(name)
    return np.maximum(x @ w1 + b1, 0) @ w2 + b2


def steepness(name: str, x: np.ndarray) -> float:
    """The largest sum of absolute derivatives of an output at any of the points."""
    (w1, b1), (w2, _) = layers_of(name)
    active = (x @ w1 + b1 > 0).astype(float)
    return float(np.abs(np.einsum("ij,nj,jk->nik", w1, active, w2)).sum(axis=1).max())


def answered(cli: Cli, folder: Path, name: str, code: int) -> dict[str, dict[str, Any]]:
    done = cli(FOLDER / f"{name}.onnx", FOLDER / "release.yaml", "--json", "r.json", "--timeout", "150", timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return {one["id"]: one for one in json.loads((folder / "r.json").read_text())["requirements"]}


@pytest.mark.slow
def test_the_candidate_keeps_what_has_to_be_kept(cli: Cli, tmp_path: Path) -> None:
    found = answered(cli, tmp_path, "candidate", 0)
    assert {one["verdict"] for one in found.values()} == {"certified"}
    x = np.random.default_rng(0).uniform(0, 1, (20000, 4))
    twin = np.hstack([x[:, :3], np.random.default_rng(1).uniform(0, 1, (20000, 1))])
    spread = float(Fraction(found["fair"]["parameter"]["proved"]))
    assert np.abs(scores("candidate", x) - scores("candidate", twin)).max() <= spread
    steep = found["steep"]["parameter"]
    assert float(Fraction(steep["refuted"])) < steepness("candidate", x) <= float(Fraction(steep["proved"]))
    sure = np.abs(np.diff(scores("released", x))).ravel() >= 0.5
    same = scores("candidate", x).argmax(axis=1) == scores("released", x).argmax(axis=1)
    assert same[sure].all()


@pytest.mark.slow
def test_the_careless_one_does_not(cli: Cli, tmp_path: Path) -> None:
    found = answered(cli, tmp_path, "careless", 1)
    assert found["same-decisions"]["verdict"] == "violated"
    raw = found["same-decisions"]["attack"]["input_raw"]
    x = np.array([[raw[f"x.{name}"] for name in ("history", "income", "debt", "group")]])
    assert abs(np.diff(scores("released", x))).item() >= 0.5 - 1e-6
    assert scores("released", x).argmax() != scores("careless", x).argmax()
    assert Fraction(found["fair"]["parameter"]["refuted"]) > Fraction(1, 4), "beyond the gate"
