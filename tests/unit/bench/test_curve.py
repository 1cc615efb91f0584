"""The robustness curve: what is counted, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bounds.chain import Bounded
from bench.cli import main
from bench.results import Row, columns


def written(path: Path, kind: type[Row], rows: list[dict[str, str]]) -> Path:
    empty = dict.fromkeys(columns(kind), "")
    lines = [",".join(empty), *(",".join((empty | row).values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def searched(path: Path, *verdicts: str, checked: str = "yes") -> Path:
    return written(path, Row, [{"verdict": verdict, "certificate_checked": checked} for verdict in verdicts])


def test_only_accepted_proofs_and_bounds_below_zero_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    small = searched(tmp_path / "small.csv", "certified", "certified", "certified", "violated")
    large = searched(tmp_path / "large.csv", "certified", "unknown", "violated", "violated")
    bounds = [("crown", "proved"), ("lp", "proved"), ("crown", "open"), ("lp", "proved"), ("crown", "violated")]
    rows = [{"relaxation": name, "verdict": verdict} for name, verdict in [*bounds, ("lp", "violated")]]
    proved = written(tmp_path / "bounds.csv", Bounded, rows)
    plot = tmp_path / "curve.svg"
    files = [f"1/2={large}", f"0.25={small}", f"0.25={proved}"]
    assert main(["curve", str(plot), *files, "--title", "a network"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["%", "0.25", "0.5"]
    assert {" ".join(line[:-2]): line[-2:] for line in lines[2:6]} == {
        "certify": ["75", "25"],
        "not violated": ["75", "50"],
        "crown": ["33", "-"],
        "lp": ["67", "-"],
    }
    picture = plot.read_text(encoding="utf-8")
    assert picture.lstrip().startswith("<?xml")
    assert "</svg>" in picture


def test_a_proof_that_was_not_accepted_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    results = searched(tmp_path / "results.csv", "certified", "certified", checked="no")
    assert main(["curve", str(tmp_path / "curve.svg"), f"0.1={results}"]) == 0
    assert "certify         0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["0.1=absent.csv"], "absent.csv"),
        (["0.1=other.csv"], "header differs"),
        (["0.1=empty.csv"], "no results"),
        (["0.1=one.csv", "1/10=one.csv"], "second file"),
        (["one.csv"], "RADIUS=FILE"),
        (["x=one.csv"], "RADIUS=FILE"),
        (["-1=one.csv"], "RADIUS=FILE"),
    ],
)
def test_wrong_files_are_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    searched(Path("empty.csv"))
    searched(Path("one.csv"), "certified")
    assert main(["curve", "curve.svg", "--", *files]) == 2
    assert reason in capsys.readouterr().err
    assert not Path("curve.svg").exists()
