"""A query whose alternatives have balls of their own, decided and checked without being translated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_network

QUERY = """(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(assert (>= X_0 -2))
(assert (<= X_0 2))
(assert (>= X_1 -2))
(assert (<= X_1 2))
(assert (or
  (and (<= (+ (* X_0 X_0) (* X_1 X_1)) 1) (>= Y_0 {sum}))
  (and (<= (+ (* (- X_0 1) (- X_0 1)) (* X_1 X_1)) 0.25) (<= Y_0 {least}))
))
"""


@pytest.mark.parametrize(
    ("sum", "least", "verdict"), [("1.5", "0.2", "certified"), ("1.4", "0.2", "violated"), ("1.5", "0.3", "violated")]
)
def test_each_alternative_is_about_its_own_ball(cli: Cli, tmp_path: Path, sum: str, least: str, verdict: str) -> None:
    """x + y is at most sqrt(2) in the unit disc, and at least 1 - sqrt(2) / 2 in the disc around (1, 0)."""
    model = write_network(tmp_path / "sum.onnx", ([[1, -1], [1, -1]], [0, 0]), ([[1], [-1]], [0]))
    query = tmp_path / "q.vnnlib"
    query.write_text(QUERY.format(sum=sum, least=least))
    done = cli(model, query, "--out", "out", "--workers", 1)
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["verdict"] == verdict, done.stdout + done.stderr
    if verdict == "certified":
        assert found["certificate"]["binding"] == "independent"
        checked = cli("check", found["certificate"]["path"], "--model", model, "--spec", query, "--exact")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        query.write_text(query.read_text().replace("0.25)", "0.5)"))
        assert cli("check", found["certificate"]["path"], "--model", model, "--spec", query).returncode != 0
