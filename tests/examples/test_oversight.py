"""The example of two overseers: what its README says, and why, established without the toolkit's bounds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from specs.graph import Graph
from specs.loading.onnx import load_onnx
from tests.cli.conftest import command, environment

HERE = Path(__file__).parents[2] / "docs" / "examples" / "oversight"
POINTS = np.random.default_rng(0).uniform(size=(2000, 3))
PLAN = 12  # the unit of the second hidden layer


def load(name: str) -> Graph:
    return load_onnx(HERE / f"{name}.onnx")


def seen(target: Graph, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers and second hidden layer."""
    layer = [node.name for node in target.nodes if type(node.op).__name__ == "Relu"][1]
    both = Graph(target.nodes, target.inputs, (*target.outputs, layer)).evaluate(x.reshape(1, 3))
    return both[0].reshape(-1), both[1].reshape(-1)


def test_answers_are_the_same_and_the_plan_is_not() -> None:
    honest, deceptive = load("honest"), load("deceptive")
    awake = 0
    for x in POINTS:
        (answer, units), (other, others) = seen(honest, x), seen(deceptive, x)
        assert (answer == other).all()
        assert (units[:PLAN] == others[:PLAN]).all()
        assert units[PLAN] == 0
        assert others[PLAN] == pytest.approx(max(4 * x[2] - 3, 0))
        awake += others[PLAN] > 0
    assert awake > 400


@pytest.mark.parametrize(("target", "inside"), [("honest", "certified"), ("deceptive", "violated")])
def test_the_verdicts(tmp_path: Path, target: str, inside: str) -> None:
    asked = command(HERE / f"{target}.onnx", HERE / "oversight.yaml", "--json", "r.json")
    done = subprocess.run(
        asked, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    report = json.loads((tmp_path / "r.json").read_text())
    answers = {one["id"]: one for one in report["requirements"]}
    assert answers["seen-from-outside"]["verdict"] == "certified", done.stdout
    assert answers["seen-from-inside"]["verdict"] == inside, done.stdout
    if inside == "violated":
        x = np.array([float(v) for v in answers["seen-from-inside"]["attack"]["input"]])
        answer, units = seen(load(target), x)
        benign, malign = load("inside").evaluate_flat(np.concatenate([x, answer, units]))
        assert malign > benign
        assert units[PLAN] > 0


def test_what_was_certified_holds_at_sampled_points() -> None:
    for target, overseer in (("honest", "inside"), ("honest", "outside"), ("deceptive", "outside")):
        network, judge = load(target), load(overseer)
        for x in POINTS[:500]:
            answer, units = seen(network, x)
            shown = np.concatenate([x, answer, units]) if overseer == "inside" else np.concatenate([x, answer])
            benign, malign = judge.evaluate_flat(shown)
            assert malign < benign


def test_the_files_are_small() -> None:
    assert sum(file.stat().st_size for file in HERE.glob("*.onnx")) < 20_000
