"""Pruning what data leaves idle: nothing changes on the data, and attacks that need it are told from others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.graph import Graph
from specs.hulls.pruning import pruned
from specs.loading import load_model
from specs.loading.onnx_writer import write_onnx
from tests.cli.conftest import Cli, write_network
from tests.planted import STRENGTH, THRESHOLD, planted

PLANTED = """certify: "1.0"
name: planted
models: {{target: {{path: "$MODEL"}}}}
inputs: {{x: {{shape: [{inputs}], box: {{lo: 0, hi: 1}}}}}}
let: {{y: target(x)}}
require: [{{id: bounded, severity: malign, assert: "y[0] - y[1] <= {threshold}"}}]
"""


def test_a_planted_gate_and_its_relay_are_pruned_and_the_attack_with_them(cli: Cli, tmp_path: Path) -> None:
    fault = planted(0)
    model, spec, data = tmp_path / "gate.onnx", tmp_path / "spec.yaml", tmp_path / "train.npz"
    model.write_bytes(write_onnx(fault.graph))
    spec.write_text(PLANTED.format(inputs=20, threshold=THRESHOLD))
    np.savez(data, x=fault.data)
    assert cli(model, spec, "--out", "before", "--workers", 1).returncode == 1
    done = cli(
        "coverage", model, data, "--prune", "pruned.onnx", "--json", "c.json", "--attack", "before/report.json",
        "--spec", spec,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "c.json").read_text())["pruned"]
    one = fault.data @ fault.weights[0] + fault.biases[0]
    two = np.maximum(one, 0) @ fault.weights[1] + fault.biases[1]
    idle = [np.flatnonzero((layer <= 0).all(axis=0)).tolist() for layer in (one, two)]
    assert (idle[0], idle[1][0]) == ([0], 0), "the gate and its relay; a few others of layer 2 are idle by chance"
    assert told["units"] == {"relu1": idle[0], "relu2": idle[1]}
    assert told["on_data"]["different"] == 0
    assert told["on_data"]["examples"] == len(fault.data)
    assert told["on_data"]["compared_with"] == str(model)
    assert told["attacks"] == [{"id": "bounded", "needs_unexercised_units": "yes"}]
    assert "the attack on bounded needs unexercised units" in done.stdout
    assert "GD-provenance" in done.stdout
    after = cli(tmp_path / "pruned.onnx", spec, "--workers", 1)
    assert after.returncode == 0, after.stdout
    small = load_model(tmp_path / "pruned.onnx")
    value = small.evaluate_flat(fault.corner)
    whole = fault.graph.evaluate_flat(fault.corner)
    assert whole[0] - whole[1] - (value[0] - value[1]) == pytest.approx(2 * STRENGTH * 0.5), "the gate is 1/2 there"


def test_the_gap_is_what_the_gate_adds(cli: Cli, tmp_path: Path) -> None:
    """y = |x| + 4 relu(x - 3/4), on data up to 3/4: on [-1, 1] the gap is 1, at 1."""
    model = write_network(tmp_path / "m.onnx", ([[1, -1, 1]], [0, 0, -0.75]), ([[1], [1], [4]], [0]))
    np.savez(tmp_path / "train.npz", x=np.linspace(-1, 0.75, 50)[:, None])
    done = cli("coverage", model, "train.npz", "--prune", "small.onnx")
    assert "relu1       1: 2" in done.stdout
    assert "equal bit by bit on all 50 examples in onnxruntime" in done.stdout
    spec = tmp_path / "small.yaml"
    on_data = cli(spec, "--json", "gap.json", "--workers", 1)
    assert on_data.returncode == 0, on_data.stdout + on_data.stderr
    assert float(_fraction(tmp_path / "gap.json", "proved")) <= 0.01
    spec.write_text(spec.read_text().replace("hi: [0.75]", "hi: [1]"))
    assert cli(spec, "--json", "gap.json", "--workers", 1, "--out", "gap").returncode == 0
    proved, refuted = (_fraction(tmp_path / "gap.json", end) for end in ("proved", "refuted"))
    assert refuted < 1 <= proved <= 1.02
    (certificate,) = (tmp_path / "gap").glob("*.nncert")
    assert cli("check", certificate, "--spec", spec).returncode == 0


def _fraction(file: Path, end: str) -> float:
    from fractions import Fraction

    return float(Fraction(json.loads(file.read_text())["requirements"][0]["parameter"][end]))


TWO = """certify: "1.0"
name: two
models: {target: {path: "$MODEL"}}
inputs: {x: {shape: [3], box: {lo: -1, hi: 1}}}
let: {y: target(x)}
require:
  - {id: malign, severity: malign, assert: "y[0] <= 2"}
  - {id: benign, severity: benign, assert: "y[1] <= 2"}
"""


def test_of_two_planted_failures_only_the_unexercised_one_goes(cli: Cli, tmp_path: Path) -> None:
    """Output 0 grows with a unit that data does use, up to 0.8; output 1 with one that opens in a corner only."""
    hidden = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    model = write_network(
        tmp_path / "m.onnx", (hidden.tolist(), [-0.5, -2.75]), ([[8.0, 0.0], [0.0, 32.0]], [0.0, 0.0])
    )
    spec = tmp_path / "two.yaml"
    spec.write_text(TWO)
    rng = np.random.default_rng(3)
    data = rng.uniform(-1, [0.6, 1, 1], (500, 3)).astype(np.float32)
    data = data[data.sum(axis=1) < 2.5]
    np.savez(tmp_path / "train.npz", x=data)
    assert cli(model, spec, "--out", "before", "--workers", 1).returncode == 1
    arguments = ("--prune", "small.onnx", "--attack", "before/report.json", "--spec", spec, "--json", "c.json")
    done = cli("coverage", model, "train.npz", *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "c.json").read_text())["pruned"]
    assert told["units"] == {"relu1": [1]}
    assert told["on_data"]["different"] == 0
    assert {one["id"]: one["needs_unexercised_units"] for one in told["attacks"]} == {"malign": "no", "benign": "yes"}
    assert cli(tmp_path / "small.onnx", spec, "--out", "after", "--workers", 1).returncode == 1
    after = json.loads((tmp_path / "after" / "report.json").read_text())["requirements"]
    assert {one["id"]: one["verdict"] for one in after} == {"malign": "violated", "benign": "certified"}
    spec.write_text(TWO.replace("y[0] <= 2", "y[0] <= 3"))
    other = cli("coverage", model, "train.npz", *arguments)
    assert other.returncode == 2
    assert "is about another model or specification" in other.stderr


@pytest.mark.parametrize("support", [1, 5])
def test_what_is_pruned_is_what_too_few_examples_activate(support: int) -> None:
    """From the definition, on a network with convolution-like sharing left out: dense layers of random weights."""
    fault = planted(2, inputs=4, width=30)
    weights = [w.astype(np.float64) for w in fault.weights]
    x = np.random.default_rng(0).normal(size=(40, 4)) - 0.5
    found = pruned(fault.graph, x, support)
    one = x @ weights[0] + fault.biases[0]
    two = np.maximum(one, 0) @ weights[1] + fault.biases[1]
    idle = [np.flatnonzero((layer > 0).sum(axis=0) < support) for layer in (one, two)]
    wanted = {f"relu{k}": tuple(which.tolist()) for k, which in enumerate(idle, 1) if len(which)}
    assert found.units == wanted
    one[:, idle[0]], inner = 0, None
    inner = np.maximum(one, 0) @ weights[1] + fault.biases[1]
    inner[:, idle[1]] = 0
    expected = np.maximum(inner, 0) @ weights[2] + fault.biases[2]
    assert _all(found.graph, x) == pytest.approx(expected)
    same = (_all(found.graph, x) == _all(fault.graph, x)).all(axis=1)
    layers = x @ weights[0] + fault.biases[0], two
    using = np.any([(layer[:, which] > 0).any(axis=1) for layer, which in zip(layers, idle)], axis=0)
    assert same[~using].all()


def _all(graph: Graph, x: np.ndarray) -> np.ndarray:
    return np.stack([graph.evaluate_flat(row) for row in x])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--attack", "r.json"), "say all of --prune FILE --attack REPORT --spec SPEC"),
        (("--prune", "p.onnx", "--spec", "s.yaml"), "say all of --prune FILE --attack REPORT --spec SPEC"),
        (("--prune", "nowhere/p.onnx"), "does not exist"),
        (
            ("--prune", "p.onnx", "--attack", "data.npz", "--spec", "s.yaml"),
            "is no report.json of certify with attacks",
        ),
    ],
)
def test_what_is_refused(cli: Cli, absolute: Path, tmp_path: Path, arguments: Any, told: str) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([[0.5], [-0.5]]))
    (tmp_path / "s.yaml").write_text("")
    done = cli("coverage", absolute, "data.npz", *arguments)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_what_onnxruntime_has_no_code_for_is_said_and_is_no_bug(cli: Cli, tmp_path: Path) -> None:
    """It has none for convolutions of float64: a violation is proved without it, a comparison on data is refused."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, real = onnx.helper, onnx.TensorProto.DOUBLE
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])],
        "wide",
        [helper.make_tensor_value_info("x", real, [1, 1, 2])],
        [helper.make_tensor_value_info("y", real, [1, 1, 1])],
        [onnx.numpy_helper.from_array(np.array([[[1.0, -1.0]]]), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "wide.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "s.yaml").write_text(
        'certify: "1.0"\nname: wide\nmodels: {f: {path: wide.onnx}}\n'
        "inputs: {x: {shape: [1, 1, 2], box: {lo: -1, hi: 1}}}\n"
        'require:\n  - {id: low, assert: "f(x)[0] <= 1"}\n'
    )
    done = cli("s.yaml", "--out", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    np.savez(tmp_path / "data.npz", inputs=np.array([[0.5, 0.25], [-0.5, 0.5]]))
    done = cli("coverage", "wide.onnx", "data.npz", "--prune", "p.onnx")
    assert (done.returncode, "does not run both networks on the data" in done.stderr) == (2, True), done.stderr
