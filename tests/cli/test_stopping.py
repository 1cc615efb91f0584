"""The end of the time given, Ctrl-C and a termination request: a valid report, in time, and nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

SLOW_MACHINE = 4.0  # seconds beyond the half second that is promised, for a machine with other work


def group_members(group: int) -> list[str]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(stat.parent.name)
    return members


def left_behind(group: int) -> list[str]:
    """Processes of the group a second after its first one has ended: those it has killed take a moment to go."""
    end = time.monotonic() + 1
    while (members := group_members(group)) and time.monotonic() < end:
        time.sleep(0.02)
    return members


def until_searching(process, folder: Path) -> None:
    """Wait until evidence is being made: the question is read by then."""
    end = time.monotonic() + 30
    while not list(folder.glob(".certify-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.7)


@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_search_with_a_report(start, hard, tmp_path, number, whole_group):
    process = start(*hard, "--timeout", "40", "--json", "r.json", "--out", "o", "--workers", "2")
    until_searching(process, tmp_path / "o")
    (os.killpg if whole_group else os.kill)(process.pid, number)
    sent = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 0.5 + SLOW_MACHINE
    assert process.returncode == 3, (out, err)
    assert err == ""
    assert out.startswith("unknown: zero (interrupted)")
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["verdict"], report["reason"]) == ("unknown", "interrupted")
    assert report["bracket"][0] == pytest.approx(0.001, abs=1e-4)
    assert left_behind(process.pid) == []
    assert sorted(os.listdir(tmp_path / "o")) == ["report.json", "zero.nnrelax"]
    assert report["relaxed_attack"]["file"] == str(Path("o") / "zero.nnrelax")


@pytest.mark.parametrize("timeout", [1.0, 2.5])
def test_the_time_given_is_kept(start, hard, timeout):
    started = time.monotonic()
    process = start(*hard, "--timeout", str(timeout))
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < timeout + 0.5 + SLOW_MACHINE
    assert process.returncode == 3, (out, err)
    assert "(timeout)" in out


def test_time_that_runs_out_while_reading_is_a_result(start, absolute, holds, tmp_path):
    process = start(absolute, holds, "--timeout", "0.001", "--json", "r.json")
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 3), (out, err)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["verdict"] in ("certified", "unknown")
    assert err == ""


def test_progress_shows_on_a_terminal(hard, tmp_path):
    import pty
    import subprocess

    from tests.cli.conftest import command, environment

    here, there = pty.openpty()
    done = subprocess.Popen(
        command(*hard, "--timeout", "4"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=there
    )
    os.close(there)
    seen = b""
    while True:
        try:
            part = os.read(here, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    done.communicate(timeout=30)
    os.close(here)
    assert b"\r" in seen
    assert b"<= minimum <=" in seen
    assert b"open" in seen
    assert seen.endswith(b"\r")
