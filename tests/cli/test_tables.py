"""Answer tables from the command line: proved, refuted, bound to the file, and told in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_network

SPEC = """certify: "1.0"
name: reviewed
models: {target: {path: target.onnx}}
overseers:
  panel: {table: answers.csv, sees: [x], outputs: {acceptable: 0}}
inputs:
  x: {shape: [1], points: [[-1], [0.1], [0.5]]}
let: {ok: panel(x).acceptable}
require:
  - {id: agrees, assert: "implies(ok < 0.5, target(x)[0] >= 0.5)"}
  - {id: small, severity: benign, assert: "target(x)[0] <= ok"}
"""
ANSWERS = "x,acceptable\n-1,0\n0.1,1\n0.5,0.7\n2,1\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """The network |x|, asked about at three of four points of a table."""
    write_network(tmp_path / "target.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    (tmp_path / "s.yaml").write_text(SPEC)
    (tmp_path / "answers.csv").write_text(ANSWERS)


def test_verdicts_are_those_at_the_points(cli: Cli, tmp_path: Path) -> None:
    done = cli("s.yaml", "--out", "out", "--json", "r.json")
    assert done.returncode == 1, done.stderr
    agrees, small = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert (agrees["verdict"], small["verdict"]) == ("certified", "violated")
    # |-1| = 1 > 0; at 0.1 and 0.5 the network is below what the table says.
    assert small["attack"]["input_raw"] == {"x[0]": -1.0, "panel(x).acceptable": 0.0}
    assert "panel(x): what answers.csv says at 3 points of x" in agrees["sentence"]
    assert "that the answers of panel are right" in agrees["sentence"]
    told = cli("lint", "s.yaml").stdout
    assert "overseer panel (answers.csv): answers at 4 points and nothing else; sees x; outputs acceptable" in told


def test_evidence_is_bound_to_the_table(cli: Cli, tmp_path: Path) -> None:
    cli("s.yaml", "--out", "out")
    for evidence in ("out/s.agrees.nncert", "out/s.small.nnwitness"):
        assert cli("check", evidence, "--spec", "s.yaml").returncode == 0
    for old, new in [("-1,0\n", "-1,0.25\n"), ("2,1\n", "2,0\n"), ("0.5,0.7\n", "0.5,0.70000000000000000001\n")]:
        (tmp_path / "answers.csv").write_text(ANSWERS.replace(old, new))
        for evidence in ("out/s.agrees.nncert", "out/s.small.nnwitness"):
            done = cli("check", evidence, "--spec", "s.yaml")
            assert done.returncode != 0
            assert "is not the table the certificate is about" in done.stderr


def test_a_point_without_an_answer_is_told_with_its_place(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text(ANSWERS.replace("0.5,0.7\n", ""))
    done = cli("s.yaml")
    assert done.returncode == 2
    assert "s.yaml:8:11: let.ok: answers.csv has no answer at x = 0.5" in done.stderr
    (tmp_path / "answers.csv").write_text(ANSWERS + "0.10,0\n")
    done = cli("s.yaml")
    assert done.returncode == 2
    assert "answers.csv:6: another answer at x = 0.1 than line 3 has" in done.stderr


def test_an_error_of_a_table_withdraws_what_reads_it(cli: Cli, tmp_path: Path) -> None:
    assumed = "assume: [{id: noise, text: people err, error: {overseer: panel, at_most: 0.001}}]\n"
    (tmp_path / "s.yaml").write_text(SPEC + assumed)
    cli("s.yaml", "--json", "r.json")
    agrees = json.loads((tmp_path / "r.json").read_text())["requirements"][0]
    assert agrees["verdict"] == "unknown"
    assert agrees["reason"].startswith("assumption: noise allows for an error of panel")


def test_interpolated_answers_on_a_box(cli: Cli, tmp_path: Path) -> None:
    """The lines through (-1, 1), (0, 0), (1, 1) are |x|, and so is the network: they differ nowhere."""
    (tmp_path / "answers.csv").write_text("x,acceptable\n0,0\n1,1\n-1,1\n")
    text = SPEC.replace("table: answers.csv", "table: {path: answers.csv, interpolate: linear}")
    text = text.replace("points: [[-1], [0.1], [0.5]]", "box: {lo: -1, hi: 1}")
    require = '  - {id: same, assert: "abs(target(x)[0] - ok) <= 0.001"}\n  - {id: less, assert: "ok <= 0.75"}\n'
    (tmp_path / "s.yaml").write_text(text[: text.index("  - {id: agrees")] + require)
    cli("s.yaml", "--out", "out", "--json", "r.json")
    same, less = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert (same["verdict"], less["verdict"]) == ("certified", "violated")
    assert abs(less["attack"]["input"][0]) > 0.75
    assert "that panel is linear between the points of answers.csv" in same["sentence"]
    assert cli("check", "out/s.same.nncert", "--spec", "s.yaml").returncode == 0
    (tmp_path / "answers.csv").write_text("x,acceptable\n0,0\n1,1\n-1,1.5\n")
    assert cli("check", "out/s.same.nncert", "--spec", "s.yaml").returncode != 0
