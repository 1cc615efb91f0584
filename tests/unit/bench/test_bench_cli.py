"""The whole command, with a small program in place of the verifier."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli import main
from bench.results import COLUMNS

# Behaves as the name of the specification says, in the manner of the real program (a report and an exit code).
FAKE = """
import json, sys, time
model, spec, timeout, report, certificate, log = sys.argv[1:]
with open(log, "a") as stream:
    stream.write(spec.rsplit("/", 1)[1] + " " + timeout + "\\n")
name = spec.rsplit("/", 1)[1].split("_")[0]
if name == "slow":
    time.sleep(60)
if name == "crash":
    print("error: the model is broken", file=sys.stderr)
    sys.exit(2)
if name == "contradiction":
    print("a sample beats a bound", file=sys.stderr)
    sys.exit(70)
open(certificate, "w").write("proof")
json.dump({
    "verdict": name, "reason": "timeout" if name == "unknown" else None,
    "certificate": {"checked": "rejected" not in spec, "bytes": 5, "check_seconds": 0.01},
    "versions": {"certify": "9.9", "numpy": "8.8"},
}, open(report, "w"))
sys.exit({"certified": 0, "violated": 1, "unknown": 3}[name])
"""


class Bench:
    """A benchmark folder whose instances are named after what the fake program will do."""

    def __init__(self, root: Path, **instances: str) -> None:
        self.root, self.folder, self.log, self.out = root, root / "toy", root / "log", root / "results.csv"
        (root / "fake.py").write_text(FAKE, encoding="utf-8")
        self.folder.mkdir()
        (self.folder / "m.onnx").touch()
        for name in instances:
            (self.folder / name).touch()
        listing = "".join(f"m.onnx,{name},20,{expected}\n" for name, expected in instances.items())
        (self.folder / "instances.csv").write_text("onnx,vnnlib,timeout_s,expected\n" + listing, encoding="utf-8")

    @property
    def argv(self) -> list[str]:
        words = [
            sys.executable,
            str(self.root / "fake.py"),
            "{model}",
            "{spec}",
            "{timeout}",
            "{json}",
            "{certificate}",
        ]
        return [str(self.folder), "--out", str(self.out), "--command", shlex.join([*words, str(self.log)])]

    def run(self, *options: str) -> int:
        return main([*self.argv, *options])

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        with self.out.open(newline="", encoding="utf-8") as stream:
            return {row["spec"]: row for row in csv.DictReader(stream)}

    @property
    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


def test_one_row_per_instance_with_everything_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(
        tmp_path, certified_1="unsat", violated_1="sat", unknown_1="sat", crash_1="unsat", violated_2="unknown"
    )
    assert bench.run("--jobs", "3", "--seed", "5") == 0
    rows = bench.rows
    assert {name: (row["verdict"], row["agrees"]) for name, row in rows.items()} == {
        "certified_1": ("certified", "yes"),
        "violated_1": ("violated", "yes"),
        "unknown_1": ("unknown", "na"),
        "crash_1": ("error", "na"),
        "violated_2": ("violated", "na"),
    }
    assert list(rows["crash_1"]) == COLUMNS
    assert "the model is broken" in rows["crash_1"]["reason"]
    assert rows["unknown_1"]["reason"] == "timeout"
    row = rows["certified_1"]
    assert (row["certificate_checked"], row["certificate_bytes"], row["check_seconds"]) == ("yes", "5", "0.01")
    assert (row["certify"], row["numpy"], row["seed"], row["timeout"]) == ("9.9", "8.8", "5", "20")
    assert row["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert 0 < float(row["seconds"]) < 20
    assert float(row["peak_memory_mb"]) > 1
    assert row["machine"]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("toy "))
    assert line.split()[1:9] == ["5", "2", "1", "2", "1", "1", "0", "0"]
    assert line.split()[-1] == "1/1"


def test_a_wrong_verdict_is_loud_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(tmp_path, certified_1="sat", violated_1="unsat", violated_2="sat")
    assert bench.run("-q") == 4
    out = capsys.readouterr().out
    assert "WRONG: toy m.onnx certified_1: certified, but the known answer is sat" in out
    assert "WRONG: toy m.onnx violated_1: violated, but the known answer is unsat" in out
    assert out.count("WRONG:") == 2


def test_a_self_contradiction_and_a_rejected_certificate_are_loud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path, contradiction_1="unsat", certified_rejected="unsat")
    assert bench.run("-q") == 70
    out = capsys.readouterr().out
    assert "CONTRADICTED ITSELF: toy m.onnx contradiction_1" in out
    assert "NOT PROVED: toy m.onnx certified_rejected" in out


def test_overstaying_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, slow_1="unsat", certified_1="unsat")
    start = time.perf_counter()
    assert bench.run("--timeout", "0.5", "--grace", "0.5") == 0
    assert time.perf_counter() - start < 10
    assert (bench.rows["slow_1"]["verdict"], bench.rows["slow_1"]["agrees"]) == ("killed", "na")
    assert 1.0 <= float(bench.rows["slow_1"]["seconds"]) < 5
    assert bench.rows["certified_1"]["verdict"] == "certified"


def test_timeouts_are_as_listed_scaled_or_given(tmp_path: Path) -> None:
    bench = Bench(tmp_path, certified_1="unsat")
    for options, seconds in (((), "20"), (("--timeout-scale", "0.25"), "5"), (("--timeout", "7"), "7")):
        assert bench.run("--resume", *options) == 0
        assert bench.calls[-1] == f"certified_1 {seconds}"


def test_resume_skips_exactly_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(tmp_path, certified_1="unsat", violated_1="sat")
    assert bench.run("--instances", "certified") == 0
    assert bench.run("--resume") == 0
    assert bench.calls == ["certified_1 20", "violated_1 20"]
    assert bench.run("--resume") == 0
    assert len(bench.calls) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 row(s)")
    assert bench.run("--resume", "--timeout", "3") == 0
    assert bench.calls[2:] == ["certified_1 3", "violated_1 3"]


def test_resume_repairs_a_line_cut_by_a_crash(tmp_path: Path) -> None:
    bench = Bench(tmp_path, certified_1="unsat", violated_1="sat")
    assert bench.run() == 0
    text = bench.out.read_text(encoding="utf-8")
    bench.out.write_text(text[:-20], encoding="utf-8")
    assert bench.run("--resume") == 0
    assert bench.calls[2:] == ["violated_1 20"]
    assert bench.out.read_text(encoding="utf-8").count("\n") == 3
    assert all(len(row) == len(COLUMNS) and None not in row for row in bench.rows.values())


def test_never_overwrites_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(tmp_path, certified_1="unsat")
    bench.out.write_text("precious\n", encoding="utf-8")
    assert bench.run() == 2
    assert "--resume" in capsys.readouterr().err
    assert bench.run("--resume") == 2
    assert "not a results file" in capsys.readouterr().err
    assert bench.out.read_text(encoding="utf-8") == "precious\n"


def test_keeps_certificates_on_request(tmp_path: Path) -> None:
    bench = Bench(tmp_path, certified_1="unsat")
    assert bench.run("--certificates", str(tmp_path / "proofs")) == 0
    assert [each.read_text(encoding="utf-8") for each in (tmp_path / "proofs").iterdir()] == ["proof"]


def test_a_program_that_cannot_start_is_an_error_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path, certified_1="unsat")
    assert main([str(bench.folder), "--out", str(bench.out), "--command", "/no/such/solver {model} {spec}"]) == 0
    assert bench.rows["certified_1"]["verdict"] == "error"
    assert "cannot be run" in bench.rows["certified_1"]["reason"]


@pytest.mark.parametrize(
    "options",
    [
        ("--timeout", "0"),
        ("--timeout", "inf"),
        ("--timeout", "1", "--timeout-scale", "2"),
        ("--jobs", "0"),
        ("--limit-benchmarks", "absent"),
        ("--instances", "absent"),
        ("--instances", "("),
        ("--no-such-option",),
    ],
)
def test_usage_errors_exit_2_and_run_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    bench = Bench(tmp_path, certified_1="unsat")
    assert bench.run(*options) == 2
    assert not bench.log.exists()
    assert not bench.out.exists()


EXEC = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_kills_what_runs_and_keeps_the_rows(tmp_path: Path, number: signal.Signals) -> None:
    bench = Bench(tmp_path, certified_1="unsat", slow_1="unsat", certified_2="unsat")
    # A shell starts what runs in the background with interrupts ignored; the children of these tests would inherit it.
    heeding = [sys.executable, "-c", f"import os, signal, sys; signal.signal({number:d}, signal.SIG_DFL); {EXEC}"]
    run = subprocess.Popen(
        [*heeding, "-m", "bench.cli", *bench.argv], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.perf_counter() + 20
    while not (bench.log.exists() and "slow_1 20" in bench.calls):
        assert time.perf_counter() < deadline
        time.sleep(0.02)
    os.kill(run.pid, number)
    out, _ = run.communicate(timeout=10)
    assert run.returncode == 130
    assert "interrupted with 2 to go" in out
    assert list(bench.rows) == ["certified_1"]
    left = [each for each in Path("/proc").glob("[0-9]*/cmdline") if str(bench.log).encode() in _bytes(each)]
    assert left == []


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it ended while we looked
        return b""
