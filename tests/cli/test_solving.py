"""Parameters solved for: brackets against exact optima, both ends with evidence, gates and exit codes."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network
from tests.oracle import Network, Row, Unit, minimum
from tests.oracle.regions import regions
from verifier.api import certify
from verifier.report.text import text

GAP = """certify: "1.0"
name: gap
models:
  slow: {path: slow.onnx, role: reference}
  fast: {path: "$MODEL"}
inputs:
  x: {shape: [2], box: {lo: -1, hi: 1}}
require:
  - id: gap
    assert: "norm(fast(x) - slow(x), inf) <= tol"
    solve_for: {tol: {minimize: true, range: [0, 20], resolution: 0.01}}
"""

SAFE = """certify: "1.0"
name: safe
models: {f: {path: "$MODEL"}}
inputs: {x: {shape: [1], box: {lo: 0, hi: 1}}}
require:
  - id: range
    assert: "f(x)[0] <= 7"
    where: "x[0] <= scale"
    solve_for: {scale: {maximize: true, range: [0, 1], resolution: 0.01}}
"""

Layers = list[tuple[np.ndarray, np.ndarray]]


def random_layers(rng: np.random.Generator, *sizes: int) -> Layers:
    """Weights of shape (out, in), multiples of 1/8."""
    return [(rng.integers(-8, 9, (m, n)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def write(path: Path, layers: Layers) -> Path:
    return write_network(path, *((weight.T, bias) for weight, bias in layers))


def side_by_side(a: Layers, b: Layers) -> Network:
    """Both networks on the same inputs: the outputs of the one, then those of the other."""
    first, second = Network.dense(a), Network.dense(b)
    n, shift = first.inputs, len(first.units)

    def moved(v: int) -> int:
        return v if v < n else v + shift

    units = tuple(Unit(tuple((moved(v), c) for v, c in u.terms), u.constant, u.relu) for u in second.units)
    return Network(n, first.units + units, first.outputs + tuple(map(moved, second.outputs)))


def largest_gap(a: Layers, b: Layers, low: int = -1, up: int = 1) -> Fraction:
    """The exact largest difference of corresponding outputs over the box."""
    both, outputs, width = side_by_side(a, b), len(a[-1][1]), a[0][0].shape[1]
    one = Fraction(1)
    rows = [Row((), ((k, s * one), (outputs + k, -s * one))) for k in range(outputs) for s in (1, -1)]
    return max(-minimum(both, [low] * width, [up] * width, row) for row in rows)


def run(model: Path, spec: Path, out: Path | None = None, **options: Any) -> dict[str, Any]:
    report = certify(model, spec, workers=1, timeout=60, out=out, **options)
    return {**report.to_json(), "exit_code": report.exit_code}


def ends(answer: dict[str, Any]) -> tuple[Fraction, Fraction]:
    parameter = answer["parameter"]
    return Fraction(parameter["refuted"]), Fraction(parameter["proved"])


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_between_two_networks_is_bracketed_about_its_exact_value(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fast, slow = random_layers(rng, 2, 4, 2), random_layers(rng, 2, 5, 3, 2)
    truth = largest_gap(fast, slow)
    write(tmp_path / "slow.onnx", slow)
    spec = tmp_path / "gap.yaml"
    spec.write_text(GAP)
    found = run(write(tmp_path / "fast.onnx", fast), spec, tmp_path / "out")
    (answer,) = found["requirements"]
    attained, proved = ends(answer)
    assert attained < truth <= proved
    assert proved - attained <= Fraction(1, 100)
    assert (found["verdict"], found["exit_code"]) == ("certified", 0)
    assert answer["parameter"]["monotone"]
    assert f"WITH tol = {float(proved)}" in answer["sentence"]
    x = [Fraction(v) for v in answer["attack"]["input_exact"]]
    values = side_by_side(fast, slow).evaluate(x)
    assert max(abs(a - b) for a, b in zip(values, values[2:])) > attained, "the witness is one at the refuted end"


def test_both_ends_are_evidence_that_is_bound_to_the_files(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    slow = write(tmp_path / "slow.onnx", random_layers(rng, 2, 4, 2))
    fast = write(tmp_path / "fast.onnx", random_layers(rng, 2, 3, 2))
    spec = tmp_path / "gap.yaml"
    spec.write_text(GAP)
    done = cli(fast, spec, "--out", "out", "--json", "r.json", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    attained, proved = ends(answer)
    assert f"[{float(attained)} attained, {float(proved)} proved]" in done.stdout
    for file, value in (("out/gap.nncert", proved), ("out/gap.nnwitness", attained)):
        alone = cli("check", file)
        assert alone.returncode == 0
        checked = cli("check", file, "--model", fast, "--spec", spec)
        assert checked.returncode == 0, checked.stderr
        assert f"with tol = {float(value)}" in checked.stdout
        other = cli("check", file, "--model", fast, "--spec", spec, "--set", f"tol={float(value) + 1}")
        assert other.returncode != 0, "evidence for one value is none for another"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gap.nncert", "gap.nnwitness", "report.json"]
    write(slow, random_layers(rng, 2, 4, 2))
    assert cli("check", "out/gap.nncert", "--model", fast, "--spec", spec).returncode != 0


@pytest.fixture
def ramp(tmp_path: Path) -> tuple[Path, Path]:
    """10 x + 20 relu(x - 3/4) is at most 7 exactly on [0, 0.7]."""
    spec = tmp_path / "safe.yaml"
    spec.write_text(SAFE)
    return write_network(tmp_path / "f.onnx", ([[1, 1]], [0, -0.75]), ([[10], [20]], [0])), spec


@pytest.mark.parametrize("in_box", [False, True], ids=["as a condition", "as a bound of the box"])
def test_the_largest_range_on_which_a_function_is_safe(ramp: tuple[Path, Path], in_box: bool) -> None:
    model, spec = ramp
    if in_box:
        boxed = spec.read_text().replace("hi: 1}", 'hi: "$scale"}')
        spec.write_text(boxed.replace('    where: "x[0] <= scale"\n', ""))
    found = run(model, spec)
    refuted, proved = ends(found["requirements"][0])
    assert proved <= Fraction(7, 10) < refuted
    assert refuted - proved <= Fraction(1, 100)
    given = run(model, spec, parameters={"scale": "0.71"})
    assert given["exit_code"] == 1
    assert "parameter" not in given["requirements"][0]
    assert run(model, spec, parameters={"scale": "0.69"})["exit_code"] == 0


@pytest.mark.parametrize(("gate", "code"), [("min: {range.scale: 0.68}", 0), ("min: {range.scale: 0.7001}", 4)])
def test_a_gate_counts_what_is_proved(cli: Cli, ramp: tuple[Path, Path], tmp_path: Path, gate: str, code: int) -> None:
    model, spec = ramp
    spec.write_text(spec.read_text() + f"gate: {{{gate}}}\n")
    done = cli(model, spec, "--json", "r.json", "--workers", "1")
    assert done.returncode == code, done.stdout
    given = cli(model, spec, "--set", "scale=0.69", "--workers", "1")
    assert given.returncode == code, "a value that is given counts where it is proved"
    missed = json.loads((tmp_path / "r.json").read_text()).get("gates_missed", [])
    assert len(missed) == (code == 4)
    assert ("gate missed: range.scale: at least 0.7001 is wanted" in done.stdout) == (code == 4)


def test_where_no_value_of_the_range_will_do(ramp: tuple[Path, Path]) -> None:
    """Even 0.8, the easy end, is too much: that refutes all of them."""
    model, spec = ramp
    spec.write_text(spec.read_text().replace("range: [0, 1]", "range: [0.8, 1]"))
    found = run(model, spec)
    assert (found["verdict"], found["exit_code"]) == ("violated", 1)
    assert "the input given breaks it for every scale of the range" in found["requirements"][0]["sentence"]


def test_where_the_end_of_the_range_is_proved(ramp: tuple[Path, Path]) -> None:
    model, spec = ramp
    spec.write_text(spec.read_text().replace("range: [0, 1]", "range: [0, 0.5]"))
    (answer,) = run(model, spec)["requirements"]
    assert Fraction(answer["parameter"]["proved"]) == Fraction(1, 2)
    assert answer["parameter"]["refuted"] is None
    assert answer["parameter"]["why"] == ""


def test_a_parameter_without_order_brackets_the_values_tried(ramp: tuple[Path, Path]) -> None:
    """Safe where scale + 1/10 is at most 0.7: true of all smaller values, but the form does not say so."""
    model, spec = ramp
    spec.write_text(spec.read_text().replace('"x[0] <= scale"', '"abs(x[0] - scale) <= 0.1"'))
    (answer,) = run(model, spec)["requirements"]
    refuted, proved = ends(answer)
    assert proved <= Fraction(6, 10) < refuted
    assert not answer["parameter"]["monotone"]
    assert "that there is an order among all scale does not follow" in answer["sentence"]


def test_no_time_is_a_wide_bracket_and_no_lie(tmp_path: Path) -> None:
    """Two ways to write one function, with a gap that only many splits would bound; the easy end is proved at once."""
    rng = np.random.default_rng(3)
    inner, bias, outer = rng.normal(size=(8, 30)), rng.normal(size=30), rng.normal(size=(30, 1))
    order = rng.permutation(30)
    write_network(tmp_path / "slow.onnx", (inner, bias), (outer, [0]))
    write_network(tmp_path / "fast.onnx", (inner[:, order], bias[order]), (outer[order], [0]))
    spec = tmp_path / "gap.yaml"
    spec.write_text(GAP.replace("shape: [2]", "shape: [8]").replace("[0, 20]", "[0, 1000]"))
    report = certify(tmp_path / "fast.onnx", spec, workers=1, timeout=12)
    (answer,) = report.to_json()["requirements"]
    assert report.verdict == "certified"
    assert answer["parameter"]["why"] != ""
    refuted = answer["parameter"]["refuted"]
    assert refuted is None or Fraction(refuted) < Fraction(1, 1000), "the truth is 0 but for rounding"
    assert "wider than 0.01" in text(report)


def test_two_requirements_each_with_a_parameter(tmp_path: Path, ramp: tuple[Path, Path]) -> None:
    model, spec = ramp
    spec.write_text(
        spec.read_text()
        + '  - {id: bound, assert: "f(x)[0] <= most", solve_for: {most: {minimize: true, resolution: 0.1}}}\n'
        + "gate: {max: {bound.most: 15.1}, min: {range.scale: 0.65}}\n"
    )
    found = run(model, spec)
    assert found["exit_code"] == 0
    attained, proved = ends(found["requirements"][1])
    assert attained < 15 <= proved <= attained + Fraction(1, 10)


LIPSCHITZ = """certify: "1.0"
name: steepness
models: {f: {path: "$MODEL"}}
inputs: {x: {shape: [2], box: {lo: -1, hi: 1}}}
require:
  - id: steep
    assert: "lipschitz(f, norm=inf) <= K"
    solve_for: {K: {minimize: true, range: [0, 40], resolution: 0.05}}
"""


def steepest(layers: Layers) -> Fraction:
    """The exact largest sum of absolute derivatives of an output, over all pieces of the network in the box."""
    network = Network.dense(layers)
    low, up = [Fraction(-1)] * network.inputs, [Fraction(1)] * network.inputs
    return max(
        sum((abs(Fraction(c)) for c in region.values[k][1:]), Fraction(0)) / region.scales[k]
        for region in regions(network, low, up)
        for k in network.outputs
    )


@pytest.mark.parametrize("seed", range(2))
def test_the_lipschitz_constant_is_bracketed_about_its_exact_value(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, 2, 4, *([3] if seed else []), 2)
    truth = steepest(layers)
    spec = tmp_path / "steep.yaml"
    spec.write_text(LIPSCHITZ)
    (answer,) = run(write(tmp_path / "f.onnx", layers), spec)["requirements"]
    attained, proved = ends(answer)
    assert attained < truth <= proved
    x = np.array([float(Fraction(v)) for v in answer["attack"]["input_exact"]])
    slope, value = np.eye(2), x
    for weight, bias in layers:
        if value is not x:
            slope, value = slope * (value > 0)[:, None], np.maximum(value, 0)
        slope, value = weight @ slope, weight @ value + bias
    assert np.abs(slope).sum(axis=1).max() > attained, "the derivative at the witness is as large as it says"


def test_a_claim_about_a_derivative_is_bound_to_the_model(cli: Cli, tmp_path: Path) -> None:
    """|x0| + |x1| / 2 in one layer: its derivatives add up to 3/2 everywhere off the axes."""
    model = write_network(
        tmp_path / "f.onnx", ([[1, -1, 0, 0], [0, 0, 1, -1]], [0] * 4), ([[1], [1], [0.5], [0.5]], [0])
    )
    spec = tmp_path / "steep.yaml"
    spec.write_text(LIPSCHITZ.split("    solve_for")[0].replace("<= K", "<= 1.5001"))
    assert cli(model, spec, "--out", "out").returncode == 0
    assert cli("check", "out/steep.nncert", "--model", model, "--spec", spec).returncode == 0
    spec.write_text(spec.read_text().replace("1.5001", "1.4999"))
    done = cli(model, spec, "--out", "out")
    assert done.returncode == 1
    assert "lipschitz(f, norm=inf)[0] = 1.5" in done.stdout
    assert cli("check", "out/steep.nncert", "--model", model, "--spec", spec).returncode != 0
