"""Two commands compared, with small programs of known verdict and duration in their place."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from bench.cli import main
from tests.unit.bench.alive import alive

ROOT = Path(__file__).resolve().parents[3]

# Does what the specification says about its side: a word to answer, after some seconds; logs when it ran.
FAKE = """
import json, subprocess, sys, time
side, _, spec, result, log = sys.argv[1:]
start = time.time()
word, seconds, megabytes = json.load(open(spec))[side]
held = bytearray(megabytes * 10**6)
held[::4096] = bytes(len(held[::4096]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) if word == "hang" else None
with open(log, "a") as stream:
    stream.write(json.dumps({"side": side, "spec": spec, "child": child and child.pid, "at": start}) + "\\n")
time.sleep(60 if child else seconds)
if word == "contradicted":
    sys.exit(70)
open(result, "w").write(word)
"""


class Comparison:
    """A benchmark folder whose specifications say what either side will do there: word, seconds, megabytes."""

    def __init__(self, root: Path, **behaviour: tuple[str, tuple[object, ...], tuple[object, ...]]) -> None:
        self.root, self.folder, self.log, self.out = root, root / "toy", root / "log", root / "comparison.csv"
        (root / "fake.py").write_text(FAKE, encoding="utf-8")
        self.folder.mkdir()
        (self.folder / "m.onnx").touch()
        listing = ["onnx,vnnlib,timeout_s,expected"]
        for name, (expected, a, b) in behaviour.items():
            does = {side: (*doing, 0, 0)[:3] for side, doing in (("a", a), ("b", b))}
            (self.folder / name).write_text(json.dumps(does), encoding="utf-8")
            listing.append(f"m.onnx,{name},20,{expected}")
        (self.folder / "instances.csv").write_text("\n".join(listing) + "\n", encoding="utf-8")

    def command(self, side: str) -> str:
        words = [sys.executable, str(self.root / "fake.py"), side, "{model}", "{spec}", "{result}", str(self.log)]
        return shlex.join(words)

    @property
    def argv(self) -> list[str]:
        return ["compare", str(self.folder), "--out", str(self.out), "--a", self.command("a"), "--b", self.command("b")]

    def run(self, *options: str) -> int:
        return main([*self.argv, *options])

    @property
    def rows(self) -> dict[tuple[str, str], dict[str, str]]:
        with self.out.open(newline="", encoding="utf-8") as stream:
            return {(row["spec"], row["side"]): row for row in csv.DictReader(stream)}

    @property
    def calls(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


def cells(out: str, name: str, table: int = 0) -> list[str]:
    """The cells of the line that begins with ``name``, of that table in the summary."""
    return [line.split() for line in out.splitlines() if line.split()[:1] == [name]][table][1:]


def test_counts_times_and_both_files_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(
        tmp_path,
        both=("unsat", ("unsat", 0.9), ("unsat", 0.3)),
        only_a=("sat", ("sat",), ("unknown",)),
        only_b=("unknown", ("unknown",), ("sat",)),
        none=("unsat", ("nothing to say",), ("unknown",)),
    )
    assert comparison.run("-q") == 0
    rows = comparison.rows
    assert {question: row["verdict"] for question, row in rows.items()} == {
        ("both", "a"): "certified", ("both", "b"): "certified",
        ("only_a", "a"): "violated", ("only_a", "b"): "unknown",
        ("only_b", "a"): "unknown", ("only_b", "b"): "violated",
        ("none", "a"): "error", ("none", "b"): "unknown",
    }  # fmt: skip
    assert 0.9 <= float(rows["both", "a"]["seconds"]) < 0.9 + 2
    assert 0.3 <= float(rows["both", "b"]["seconds"]) < 0.3 + 2
    assert float(rows["both", "b"]["peak_memory_mb"]) > 1
    out = capsys.readouterr().out
    instances, a_solved, b_solved, both, only_a, only_b, *times, ratio, interval = cells(out, "toy")
    assert (instances, a_solved, b_solved, both, only_a, only_b) == ("4", "2", "2", "1", "1", "1")
    seconds = [f"{float(rows['both', side]['seconds']):.3f}" for side in "ab"]
    assert times == seconds * 2  # of one instance, median and mean are the same
    assert ratio == f"{float(seconds[0]) / float(seconds[1]):.3f}"
    assert interval == "-"
    assert cells(out, "a", 0)[:5] == ["2", "0", "0", "1", "0"]
    assert cells(out, "b", 0)[:5] == ["2", "0", "0", "0", "0"]
    assert (cells(out, "a", 1)[-1], cells(out, "b", 1)[-1]) == ("2", "2")


def test_one_after_another_and_the_first_alternates(tmp_path: Path) -> None:
    alike = ("unsat", ("unsat", 0.2), ("unsat", 0.2))
    comparison = Comparison(tmp_path, p1=alike, p2=alike, p3=alike)
    assert comparison.run("-q") == 0
    calls = comparison.calls
    assert [(Path(str(call["spec"])).name, call["side"]) for call in calls] == [
        ("p1", "a"), ("p1", "b"), ("p2", "b"), ("p2", "a"), ("p3", "a"), ("p3", "b"),
    ]  # fmt: skip
    starts = [float(str(call["at"])) for call in calls]
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(starts))
    assert [row["turn"] for row in comparison.rows.values()] == ["1", "2"] * 3


def test_a_contradiction_is_loud_and_counts_for_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("unknown", ("unsat",), ("sat",)), q=("unsat", ("unsat",), ("unsat",)))
    assert comparison.run("-q") == 70
    out = capsys.readouterr().out
    assert "CONTRADICTION: toy m.onnx p: a says certified, b says violated, no answer is known" in out
    assert cells(out, "toy")[:6] == ["2", "1", "1", "1", "0", "0"]


def test_a_contradiction_that_a_known_answer_settles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("sat", ("unsat",), ("sat",)))
    assert comparison.run("-q") == 70
    out = capsys.readouterr().out
    assert "CONTRADICTION: toy m.onnx p: a says certified, b says violated, the known answer is sat" in out
    assert "WRONG: a: toy m.onnx p: certified, but the known answer is sat" in out
    assert "WRONG: b:" not in out
    assert cells(out, "toy")[:6] == ["1", "0", "1", "0", "0", "1"]


def test_both_wrong_is_no_contradiction_but_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("sat", ("unsat",), ("unsat",)))
    assert comparison.run("-q") == 4
    out = capsys.readouterr().out
    assert out.count("WRONG: ") == 2
    assert "CONTRADICTION" not in out
    assert cells(out, "toy")[:6] == ["1", "0", "0", "0", "0", "0"]


def test_a_side_that_contradicts_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("unknown", ("unsat",), ("contradicted",)))
    assert comparison.run("-q") == 70
    assert "CONTRADICTED ITSELF: b: toy m.onnx p" in capsys.readouterr().out


def test_a_hanging_command_is_ended_with_its_children(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("unsat", ("hang",), ("unsat",)))
    start = time.perf_counter()
    assert comparison.run("-q", "--timeout", "1", "--grace", "0.5") == 0
    assert time.perf_counter() - start < 10
    row = comparison.rows["p", "a"]
    assert row["verdict"] == "killed"
    assert 1.5 <= float(row["seconds"]) < 5
    assert comparison.rows["p", "b"]["verdict"] == "certified"
    assert cells(capsys.readouterr().out, "a")[2] == "1"
    child = next(call["child"] for call in comparison.calls if call["side"] == "a")
    assert not alive(int(str(child)))


def test_an_answer_beyond_the_limit_does_not_solve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison(tmp_path, p=("unsat", ("unsat", 1.2), ("unsat",)))
    assert comparison.run("-q", "--timeout", "1", "--grace", "9") == 0
    out = capsys.readouterr().out
    assert comparison.rows["p", "a"]["verdict"] == "certified"
    assert cells(out, "toy")[:6] == ["1", "0", "1", "0", "0", "1"]
    assert cells(out, "a")[:2] == ["0", "1"]


def test_the_same_command_twice_shows_the_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alike = ("unsat", ("unsat", 0.3), ("unsat", 0.3))
    comparison = Comparison(tmp_path, p=alike, q=alike)
    assert main([*comparison.argv, "-q", "--b", comparison.command("a")]) == 0
    assert len(comparison.rows) == 4
    line = cells(capsys.readouterr().out, "toy")
    assert line[:6] == ["2", "2", "2", "2", "0", "0"]
    ratio, low, _, high = line[-4:]
    assert 0.3 < float(low) <= float(ratio) <= float(high) < 3


def test_resume_runs_what_is_missing(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path, p=("unsat", ("unsat",), ("unsat",)), q=("unsat", ("unsat",), ("unsat",)))
    assert comparison.run("-q") == 0
    lines = comparison.out.read_text(encoding="utf-8").splitlines(keepends=True)
    comparison.out.write_text("".join(lines[:-1]), encoding="utf-8")
    assert comparison.run("-q") == 2
    assert comparison.run("-q", "--resume") == 0
    assert len(comparison.calls) == 5
    assert comparison.calls[-1]["side"] == "a"  # second in turn on the second instance
    assert len(comparison.rows) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--a", "x {model} {spec}"], "--b"),
        (["--a", "x {model}", "--b", "y {model} {spec}"], "--a 'x {model}' lacks {spec}"),
        (["--b", "y {model} {spec} {nonsense}"], "has unknown {nonsense}"),
        (["--b", "y {model} {spec}", "--timeout", "0"], "positive"),
        (["--b", "y {model} {spec}", "--instances", "absent"], "no instance matches"),
    ],
)
def test_usage_errors_exit_2_and_write_nothing(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = Comparison(tmp_path, p=("unsat", ("unsat",), ("unsat",)))
    assert main(["compare", str(comparison.folder), "--out", str(comparison.out), *options]) == 2
    assert said in capsys.readouterr().err
    assert not comparison.out.exists()


def test_memory_is_that_of_the_command(tmp_path: Path) -> None:
    """In a process of its own: the memory of a child starts out with that of its parent, and pytest is large."""
    comparison = Comparison(tmp_path, p=("unsat", ("unsat", 0, 300), ("unsat", 0, 100)))
    run = subprocess.run(
        [sys.executable, "-m", "bench.cli", *comparison.argv], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    a, b = (float(comparison.rows["p", side]["peak_memory_mb"]) for side in "ab")
    assert 300 <= a < 350
    assert 100 <= b < 150
