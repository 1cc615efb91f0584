"""Specifications with several requirements, named inputs and units."""

from __future__ import annotations

import json

import pytest

SPEC = """\
certify: "1.0"
name: distances
models:
  target: {{path: {path}}}
inputs:
  x:
    shape: [1]
    names: [offset]
    units: [m]
    normalize: {{mean: [10], range: [2]}}
    box: {{lo: [8], hi: [12]}}
let:
  y: target(x)
require:
  - {{id: below-two, severity: malign, assert: "y[0] < 2"}}
  - {{id: below-half, severity: {severity}, assert: "y[0] < 0.5"}}
"""


@pytest.fixture
def spec(tmp_path, absolute):
    def write(severity: str, path: str = "absolute.onnx"):
        file = tmp_path / "distances.yaml"
        file.write_text(SPEC.format(severity=severity, path=path))
        return file

    return write


def test_each_requirement_has_its_own_evidence_and_the_gravest_decides(cli, spec, tmp_path):
    done = cli(spec("benign"), "--json", "r.json", "--certificate", "p.nncert")
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["verdict"] == "violated"
    first, second = report["requirements"]
    assert (first["id"], first["verdict"], first["severity"]) == ("below-two", "certified", "malign")
    assert (second["id"], second["verdict"], second["line"]) == ("below-half", "violated", 16)
    assert first["certificate"]["path"] == "p.below-two.nncert"
    assert first["certificate"]["binding"] == "recompiled"
    assert second["attack"]["witness"] == "p.below-half.nnwitness"
    for evidence in ("p.below-two.nncert", "p.below-half.nnwitness"):
        checked = cli("check", evidence, "--model", "absolute.onnx", "--spec", "distances.yaml")
        assert checked.returncode == 0, checked.stderr
        assert "model: given 'absolute.onnx', SHA-256 " in checked.stdout
        assert "query: translated 'distances.yaml', SHA-256 " in checked.stdout
    assert "query: embedded, SHA-256 " in cli("check", "p.below-two.nncert").stdout


def test_an_attack_is_shown_in_the_units_of_the_specification(cli, spec, tmp_path):
    done = cli(spec("benign"), "--json", "r.json")
    attack = json.loads((tmp_path / "r.json").read_text())["attack"]
    raw = attack["input_raw"]["x.offset"]
    assert 8 <= raw <= 12
    assert abs(raw - 10) / 2 >= 0.5
    assert raw == pytest.approx(10 + 2 * attack["input"][0])
    assert f"x.offset = {raw!r} m" in done.stdout
    assert "FOR ALL x IN {x.offset in [8, 12] m}: y[0] < 2" in done.stdout


def test_a_requirement_of_severity_info_never_decides(cli, spec, tmp_path):
    done = cli(spec("info"), "--json", "r.json", "--out", "o")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["verdict"] == "certified"
    assert [one["verdict"] for one in report["requirements"]] == ["certified", "violated"]


def test_a_model_that_the_command_names_replaces_the_parameter(cli, spec):
    assert cli("absolute.onnx", spec("benign", '"$MODEL"')).returncode == 1


def test_lint_says_what_was_understood_and_schema_is_json(cli, spec):
    done = cli("lint", spec("benign"))
    assert done.returncode == 0, done.stderr
    assert "below-half (benign) has to hold: y[0] < 0.5" in done.stdout
    schema = json.loads(cli("schema").stdout)
    assert {"models", "inputs", "require"} <= set(schema["$defs"]["SpecFile"]["properties"])


def test_a_mistake_in_a_specification_names_its_line(cli, spec):
    file = spec("benign")
    file.write_text(file.read_text().replace("y[0] < 0.5", "y[7] < 0.5"))
    done = cli(file)
    assert done.returncode == 2
    assert done.stderr.startswith(f"certify: error: {file}:16:")
    assert "Traceback" not in done.stderr
