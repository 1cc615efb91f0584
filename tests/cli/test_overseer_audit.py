"""An overseer that sees everything, and ones that are blind to the element that opens the failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from specs.compose import Composer
from specs.graph import Graph, ops
from specs.loading.onnx_writer import write_onnx
from tests.cli.conftest import Cli
from verifier.auditing.graphs import depends, size_of

SPEC = """certify: "1.0"
name: audited
models: {target: {path: target.onnx}}
overseers: {judge: {network: {path: judge.onnx}, sees: [x, y]}}
let: {y: target(x)}
inputs: {x: {shape: [3], names: [speed, load, trigger], box: {lo: 0, hi: 1}}}
require:
  - {id: fine, assert: "judge(x, y)[0] >= 0"}
"""
HEIGHT = 0.75


def target() -> Graph:
    """Two outputs; the first leads by speed + load - 1, and where the trigger is above 3/4 by something else."""
    composer = Composer()
    x = composer.input("x", (3,))
    weights = composer.constant(np.array([[1, 0], [1, 0], [0, 0]], dtype=np.float32))
    opened = composer.constant(np.array([[0, 0], [0, 0], [0, 64]], dtype=np.float32))
    bias = composer.constant(np.array([0, 1], dtype=np.float32))
    gate = composer.constant(np.array([0, -64 * HEIGHT], dtype=np.float32))
    plain = composer.add(ops.Add(), composer.add(ops.MatMul(), x, weights), bias)
    spike = composer.add(ops.Relu(), composer.add(ops.Add(), composer.add(ops.MatMul(), x, opened), gate))
    return composer.build([x], [composer.add(ops.Add(), plain, spike, name="y")])


def judge(sight: tuple[float, float, float]) -> Graph:
    """3/4 less the elements of x by their weights, and nothing of what the model answers."""
    composer = Composer()
    x, y = composer.input("x", (3,)), composer.input("y", (2,))
    seen = composer.add(ops.MatMul(), x, composer.constant(np.array(sight, dtype=np.float32).reshape(3, 1)))
    unused = composer.add(ops.MatMul(), y, composer.constant(np.zeros((2, 1), dtype=np.float32)))
    height = composer.constant(np.array([HEIGHT], dtype=np.float32))
    score = composer.add(ops.Sub(), height, composer.add(ops.Add(), seen, unused))
    return composer.build([x, y], [score])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target.onnx").write_bytes(write_onnx(target()))
    (tmp_path / "spec.yaml").write_text(SPEC)
    rng = np.random.default_rng(8)
    inputs = rng.integers(0, 1025, (600, 3)) / 1024
    failures = inputs[:, 2] > HEIGHT
    labels = (inputs[:, 0] + inputs[:, 1] < 1).astype(np.int64)
    np.savez(tmp_path / "data.npz", inputs=inputs, failures=failures, labels=labels)
    return tmp_path


def audited(cli: Cli, folder: Path, sight: tuple[float, float, float], *more: str) -> tuple[dict[str, Any], str]:
    (folder / "judge.onnx").write_bytes(write_onnx(judge(sight)))
    done = cli("overseer-audit", "spec.yaml", "data.npz", "--json", "r.json", *more)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    found = json.loads((folder / "r.json").read_text())
    assert (done.returncode == 4) == found["short"] == ("WARNING: the recall required" in done.stdout)
    return found, done.stdout


def clopper_pearson(count: int, of: int, level: float) -> list[float]:
    low = beta.ppf(level / 2, count, of - count + 1) if count else 0.0
    return [float(low), float(beta.isf(level / 2, count + 1, of - count)) if count < of else 1.0]


def test_an_overseer_that_sees_the_trigger_has_all_failures(cli: Cli, folder: Path) -> None:
    found, told = audited(cli, folder, (0, 0, 1), "--required", "0.95")
    data = np.load(folder / "data.npz")
    count = int(data["failures"].sum())
    assert (found["recall"]["count"], found["recall"]["of"]) == (count, count)
    assert found["recall"]["interval"] == pytest.approx(clopper_pearson(count, count, 0.01), rel=1e-6)
    assert found["false_alarms"]["count"] == 0
    assert found["agreement"]["count"] == 600
    assert found["blind_to"] == []
    by_name = {one["name"]: one for one in found["features"]}
    assert by_name["x.trigger"]["changed"]["count"] > 20
    assert by_name["x.speed"]["unread"]
    assert "EXACT, BY THE WEIGHTS: given what models answer, no verdict depends on x.speed, x.load." in told


@pytest.mark.parametrize("glimpse", [0.0, 2.0**-60])
def test_an_overseer_that_is_blind_to_the_trigger_is_told_so(cli: Cli, folder: Path, glimpse: float) -> None:
    """It judges by speed. The interval of its recall excludes 1; whether it is blind is proved where a weight is 0."""
    found, told = audited(cli, folder, (1, 0, glimpse), "--required", "0.95")
    data = np.load(folder / "data.npz")
    failures, objects = data["failures"], data["inputs"][:, 0] > HEIGHT
    caught, count = int((failures & objects).sum()), int(failures.sum())
    assert (found["recall"]["count"], found["recall"]["of"]) == (caught, count)
    assert found["recall"]["interval"] == pytest.approx(clopper_pearson(caught, count, 0.01), rel=1e-6)
    assert found["recall"]["interval"][1] < 0.95
    assert found["false_alarms"]["count"] == int((~failures & objects).sum())
    assert found["agreement"]["count"] == int((failures == objects).sum())
    assert found["short"]
    assert found["blind_to"] == ["x.trigger"]
    assert "blind to      x.trigger" in told
    by_name = {one["name"]: one for one in found["features"]}
    trigger = by_name["x.trigger"]
    assert trigger["unread"] == (glimpse == 0)
    assert trigger["changed"]["count"] == 0
    assert 0.5 < trigger["apart"] < 1  # the laws have nothing in common; the rest is what few examples cost
    assert by_name["x.speed"]["changed"]["count"] > 20
    assert by_name["x.load"]["apart"] == 0


@pytest.mark.parametrize(
    "condition",
    [
        'assert: "judge(x, y)[0] >= 0 or x[2] > 0.5"',
        'assert: "judge(x, y)[0] >= 0 or x[2] >= 0.5"',
        'where: "x[2] <= 0.5", assert: "judge(x, y)[0] >= 0"',
    ],
)
def test_an_element_that_a_condition_reads_is_none_without_effect(cli: Cli, folder: Path, condition: str) -> None:
    """The network never looks at the trigger; the requirement does, in a bound on it alone."""
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace('assert: "judge(x, y)[0] >= 0"', condition))
    found, told = audited(cli, folder, (1, 0, 0))
    by_name = {one["name"]: one for one in found["features"]}
    assert [name for name, one in by_name.items() if one["unread"]] == ["x.load"]
    assert by_name["x.trigger"]["changed"]["count"] > 10
    assert "no verdict depends on x.load. RESTS ON" in told


def test_sizes_and_errors_of_both(cli: Cli, folder: Path) -> None:
    found, _ = audited(cli, folder, (0, 0, 1))
    one, two = found["networks"]
    assert (one["name"], one["kind"], one["parameters"]) == ("target", "model", 6 + 6 + 2 + 2)
    assert one["flops"] == 2 * (2 * 3 * 2) + 4 * 2  # two products, three sums and a ReLU of two numbers each
    assert (two["parameters"], two["flops"]) == (3 + 2 + 1, 2 * 3 + 2 * 2 + 1 + 1)
    data = np.load(folder / "data.npz")
    outputs = np.array([target().evaluate_flat(x) for x in data["inputs"]])
    ties = outputs[:, 0] == outputs[:, 1]
    assert one["wrong"]["count"] == int(((outputs.argmax(axis=1) != data["labels"]) | ties).sum())
    assert two["wrong"] is None


def test_what_the_model_answers_is_not_what_the_overseer_reads(cli: Cli, folder: Path) -> None:
    """An overseer of the answers alone reads no element itself, though every verdict depends on all of them."""
    composer = Composer()
    x, y = composer.input("x", (3,)), composer.input("y", (2,))
    unused = composer.add(ops.MatMul(), x, composer.constant(np.zeros((3, 1), dtype=np.float32)))
    seen = composer.add(ops.MatMul(), y, composer.constant(np.array([[0], [-1]], dtype=np.float32)))
    limit = composer.constant(np.array([1], dtype=np.float32))
    score = composer.add(ops.Add(), limit, composer.add(ops.Add(), seen, unused))
    (folder / "judge.onnx").write_bytes(write_onnx(composer.build([x, y], [score])))
    done = cli("overseer-audit", "spec.yaml", "data.npz", "--json", "r.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "r.json").read_text())
    assert all(one["unread"] and one["changed"]["count"] == 0 for one in found["features"])
    assert found["recall"]["count"] == found["recall"]["of"]


def test_dependence_by_weights_is_that_of_perturbations() -> None:
    """Of random sparse networks: where nothing is said to depend, no change of the element changes an output."""
    rng = np.random.default_rng(9)
    free = 0
    for _ in range(40):
        composer = Composer()
        x = composer.input("x", (5,))
        first = rng.normal(size=(5, 6)) * (rng.uniform(size=(5, 6)) < 0.25)
        last = rng.normal(size=(6, 1)) * (rng.uniform(size=(6, 1)) < 0.6)
        scale = rng.normal(size=6) * (rng.uniform(size=6) < 0.7)
        hidden = composer.add(ops.Tanh(), composer.add(ops.MatMul(), x, composer.constant(first)))
        hidden = composer.add(ops.Mul(), composer.constant(scale), hidden)
        hidden = composer.picked(hidden, [5, 4, 3, 2, 1, 0])
        graph = composer.build([x], [composer.add(ops.MatMul(), hidden, composer.constant(last))])
        for k in range(5):
            points = rng.normal(size=(2, 5))
            moved = points.copy()
            moved[:, k] += rng.normal(size=2)
            change = [graph.evaluate_flat(a) != graph.evaluate_flat(b) for a, b in zip(points, moved)]
            if not depends(graph, k, ()):
                free += 1
                assert not np.any(change)
            else:
                assert np.any(change)  # with random weights nothing cancels
    assert free > 20
    assert size_of(graph).parameters == first.size + last.size + scale.size


def test_what_is_missing_is_told(cli: Cli, folder: Path) -> None:
    (folder / "judge.onnx").write_bytes(write_onnx(judge((0, 0, 1))))
    data = dict(np.load(folder / "data.npz"))

    def told(**changes: Any) -> str:
        kept = {key: value for key, value in {**data, **changes}.items() if value is not None}
        np.savez(folder / "wrong.npz", **kept)
        done = cli("overseer-audit", "spec.yaml", "wrong.npz")
        assert done.returncode == 2
        return done.stderr

    assert "no array failures" in told(failures=None)
    assert "holds no failure" in told(failures=np.zeros(600, dtype=bool))
    assert "true or false for each of the 600 examples" in told(failures=np.zeros(599, dtype=bool))
    assert "true or false" in told(failures=np.full(600, 2))
    assert "one whole number from 0" in told(labels=np.zeros(600))
    assert "is outside" in told(inputs=data["inputs"] * 2)
    assert "not of 3" in told(inputs=data["inputs"][:, :2])
    assert "no requirement 'fin'" in cli("overseer-audit", "spec.yaml", "data.npz", "--requirement", "fin").stderr
    plain = SPEC.replace("overseers: {judge: {network: {path: judge.onnx}, sees: [x, y]}}\n", "")
    (folder / "plain.yaml").write_text(plain.replace("judge(x, y)[0] >= 0", "target(x)[0] >= 0"))
    assert "has no overseer" in cli("overseer-audit", "plain.yaml", "data.npz").stderr
    assert cli("overseer-audit", "spec.yaml").returncode == 2
    assert "between 0 and 1" in cli("overseer-audit", "spec.yaml", "data.npz", "--required", "1.5").stderr
