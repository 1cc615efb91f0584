"""``certify export``: specifications as VNN-LIB queries that mean the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specs.language.load_spec import load_spec
from specs.loading import load_model
from tests.cli.conftest import Cli, write_network

HEAD = 'certify: "1.0"\nname: exported\n'
ONE = """models: {f: {path: "$MODEL"}}
inputs: {x: {shape: [2], box: {lo: -1, hi: 0.5}, linear: ["x[0] + x[1] <= 1"]}}
let: {y: f(x)}
require:
  - {id: first, severity: malign, assert: "y[0] >= y[1] or x[0] <= 0"}
  - {id: second, severity: info, assert: "argmax(y) == 0", where: "x[1] >= -0.25"}
"""
TWO = """models: {f: {path: f.onnx}, g: {path: g.onnx}}
inputs: {x: {shape: [2], normalize: {mean: [0.5, 0], range: [2, 4]}, box: {lo: -1, hi: 1}}}
require: [{id: close, assert: "norm(f(x) - g(x), inf) <= 3", slack: 0.25}]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_network(tmp_path / "g.onnx", ([[1, -1, 0.5], [0, 1, 1]], [0, 0, 0]), ([[1, 0], [0, 1], [1, 1]], [0, 0.5]))
    return write_network(
        tmp_path / "f.onnx", ([[1, -1, 0.25], [0, 1, 1]], [0, 0, 0]), ([[1, 0], [0, 1], [1, 1]], [0, 0.5])
    )


def test_queries_read_back_are_the_same_problems(cli: Cli, model: Path, tmp_path: Path) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text(HEAD + ONE)
    done = cli("export", model, spec, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "not said there: severity" in done.stdout
    for requirement in load_spec(spec, model).requirements:
        (again,) = load_spec(tmp_path / "out" / f"{requirement.id}.vnnlib", model).requirements
        assert again.problem.cases == requirement.problem.cases
    assert not list((tmp_path / "out").glob("*.onnx"))


def test_a_composed_requirement_comes_with_its_network(cli: Cli, model: Path, tmp_path: Path) -> None:
    """The verdict on the exported files is the verdict on the specification."""
    spec = tmp_path / "s.yaml"
    spec.write_text(HEAD + TWO)
    assert cli("export", spec, "--out", "out").returncode == 0
    query, network = tmp_path / "out" / "close.vnnlib", tmp_path / "out" / "close.onnx"
    (stated,) = load_spec(spec).requirements
    (again,) = load_spec(query, network).requirements
    assert again.problem.cases == stated.problem.cases
    point = [0.25, -0.125]
    assert load_model(network).evaluate_flat(point) == pytest.approx(stated.problem.graph.evaluate_flat(point))
    verdicts = []
    for asked in ((spec,), (network, query)):
        cli(*asked, "--json", "r.json")
        verdicts.append(json.loads((tmp_path / "r.json").read_text())["verdict"])
    assert verdicts[0] == verdicts[1]


def test_what_cannot_be_said_is_refused_and_nothing_is_written(cli: Cli, model: Path, tmp_path: Path) -> None:
    spec = tmp_path / "s.yaml"
    spec.write_text(HEAD + ONE.replace("y[0] >= y[1] or x[0] <= 0", "x[0] <= 1"))
    done = cli("export", model, spec, "--out", "out")
    assert done.returncode == 2
    assert "requirement first" in done.stderr
    assert not (tmp_path / "out").exists()
