"""Which relaxations suffice: a sum of two ReLUs whose largest value is 2, and 3 in every linear relaxation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from bench.bounds.chain import Bounded
from bench.cli import main
from bench.results import Row, columns
from tests.oracle.files import Layer, TinyNet, write_onnx

LIMITS = {"loose": "3.5", "between": "2.5", "false": "1.5"}
WIDENED = 1e-5  # by which a value may stand above the true one: ranges are stated in float32, rounded outward


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """max(x + y, 0) + max(x - y, 0) on [-1, 1]^2, less than a limit; and both it and another output less than two."""
    folder = tmp_path / "sums"
    folder.mkdir()
    hidden = Layer(np.array([[1, 1], [1, -1]], dtype=np.float32), np.zeros(2, dtype=np.float32))
    out = Layer(np.array([[1, 1], [1, 0]], dtype=np.float32), np.zeros(2, dtype=np.float32))
    write_onnx(TinyNet(2, (hidden, out)), folder / "model.onnx")
    declared = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
    box = "".join(f"(assert (<= X_{i} 1))(assert (>= X_{i} -1))\n" for i in range(2))
    for name, limit in LIMITS.items():
        (folder / f"{name}.vnnlib").write_text(f"{declared}{box}(assert (>= Y_0 {limit}))\n", encoding="utf-8")
    either = "(assert (or (and (>= Y_1 9)) (and (>= Y_0 2.5)) (and (>= Y_0 1.5))))\n"
    (folder / "either.vnnlib").write_text(declared + box + either, encoding="utf-8")
    listing = "".join(f"model.onnx,{name}.vnnlib,10\n" for name in (*LIMITS, "either"))
    (folder / "instances.csv").write_text(listing, encoding="utf-8")
    return folder


def rows_of(path: Path) -> dict[tuple[str, str], Bounded]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [Bounded(**row) for row in csv.DictReader(stream)]
    found = {(row.spec.removesuffix(".vnnlib"), row.relaxation): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_each_relaxation_says_what_it_can(tmp_path: Path, folder: Path) -> None:
    out = tmp_path / "bounds.csv"
    assert main(["bounds", str(folder), "--relaxations", "crown,lp,milp", "--out", str(out), "-q"]) == 0
    rows = rows_of(out)
    verdicts = {name: [rows[name, each].verdict for each in ("crown", "lp", "milp")] for name in LIMITS}
    assert verdicts == {"loose": ["proved"] * 3, "between": ["open", "open", "proved"], "false": ["open"] * 3}
    assert float(rows["between", "lp"].value) == pytest.approx(0.5, abs=WIDENED)
    assert float(rows["between", "milp"].value) == pytest.approx(-0.5, abs=WIDENED)
    assert float(rows["false", "milp"].value) == pytest.approx(0.5, abs=WIDENED)
    assert rows["loose", "lp"].value == rows["loose", "milp"].value == ""  # nothing was left to ask


def test_the_worst_case_is_asked_first_and_ends_a_relaxation(tmp_path: Path, folder: Path) -> None:
    out = tmp_path / "bounds.csv"
    argv = ["bounds", str(folder), "--relaxations", "crown,lp,milp", "--out", str(out), "--instances", "either", "-q"]
    assert main(argv) == 0
    rows = rows_of(out)
    assert [rows["either", name].left for name in ("crown", "lp", "milp")] == ["2", "1", "1"]
    assert float(rows["either", "lp"].value) == pytest.approx(1.5, abs=WIDENED)
    assert float(rows["either", "milp"].value) == pytest.approx(0.5, abs=WIDENED)


def test_an_instance_known_to_be_violated_is_left_out(tmp_path: Path, folder: Path) -> None:
    known, out = tmp_path / "known.csv", tmp_path / "bounds.csv"
    cells = dict.fromkeys(columns(Row), "") | {"model": "model.onnx", "spec": "false.vnnlib", "verdict": "violated"}
    known.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n", encoding="utf-8")
    argv = ["bounds", str(folder), "--relaxations", "crown", "--not-violated", str(known), "--out", str(out), "-q"]
    assert main(argv) == 0
    rows = rows_of(out)
    assert rows["false", "crown"].verdict == "violated"
    assert rows["between", "crown"].verdict == "open"


def test_resuming_adds_what_is_missing_and_nothing_twice(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bounds.csv"
    argv = ["bounds", str(folder), "--relaxations", "crown,lp", "--out", str(out), "-q"]
    assert main(argv) == 0
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
    out.write_text("".join(lines[:4]) + lines[4][:10], encoding="utf-8")  # the second row of an instance, half written
    assert main(argv) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0
    assert out.read_text(encoding="utf-8").splitlines()[:4] == [line.rstrip("\n") for line in lines[:4]]
    assert len(rows_of(out)) == 2 * (len(LIMITS) + 1)


def test_a_model_that_cannot_be_read_is_an_error_in_its_rows(tmp_path: Path, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"nothing")
    out = tmp_path / "bounds.csv"
    assert main(["bounds", str(folder), "--relaxations", "crown,lp", "--out", str(out), "-q"]) == 0
    rows = rows_of(out).values()
    assert {row.verdict for row in rows} == {"error"}
    assert all("model.onnx" in row.reason for row in rows)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--relaxations", "crown,nothing"], "no relaxation named nothing"),
        (["--relaxations", "lp,lp"], "listed twice"),
        (["--not-violated", "absent.csv"], "absent.csv"),
    ],
)
def test_wrong_options_are_one_message(
    tmp_path: Path, folder: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bounds.csv"
    assert main(["bounds", str(folder), "--out", str(out), *options]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()
