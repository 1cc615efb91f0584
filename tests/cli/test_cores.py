"""Traced cores from the command line: proved, refuted, and bound to the text of the core."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli

SPEC = """certify: "1.0"
name: cores
overseers:
  H: {symbolic: {python: "core.py:larger"}}
inputs:
  q: {shape: [2], box: {lo: 0, hi: 1}}
require:
  - {id: below, assert: "H(q[0], q[1])[0] <= 1.001"}
  - {id: half, assert: "H(q[0], q[1])[0] <= 0.5"}
"""


def test_a_core_is_proved_about_and_bound(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "core.py").write_text("def larger(a, b):\n    return a if a > b else b\n")
    (tmp_path / "s.yaml").write_text(SPEC)
    done = cli("s.yaml", "--out", "out", "--json", "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert [one["verdict"] for one in report["requirements"]] == ["certified", "violated"], done.stderr
    assert max(report["requirements"][1]["attack"]["input"]) > 0.5
    assert report["cores"] == {"H": "def larger(a, b):\n    return a if a > b else b\n"}
    assert "overseer H" in report["hashes"]
    assert cli("check", "out/s.below.nncert", "--spec", "s.yaml").returncode == 0
    (tmp_path / "core.py").write_text("def larger(a, b):\n    return (a if a > b else b) - 0.5\n")
    assert cli("check", "out/s.below.nncert", "--spec", "s.yaml").returncode != 0


def test_what_the_core_may_not_do_is_told_with_its_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "core.py").write_text("import os\n\n\ndef larger(a, b):\n    return a\n")
    (tmp_path / "s.yaml").write_text(SPEC)
    done = cli("s.yaml")
    assert done.returncode == 2
    assert "core.py:1:1: an import is not part of the core language" in done.stderr
