"""Where auto_LiRPA is not installed: one line that says what to install, and nothing is imported in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from relaxations.peers import auto_lirpa, probe
from specs.graph import ops
from tests.peers.networks import dense
from verifier.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def absent(monkeypatch):
    """As if auto_LiRPA were not installed."""

    def nowhere(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(auto_lirpa, "version", nowhere)
    monkeypatch.setattr(auto_lirpa, "find_spec", lambda name: None)


def test_the_error_is_one_line_with_both_commands(absent):
    network = lower(dense(0, ops.Relu()))
    rows = Rows(np.zeros((1, 4)), np.ones((1, 3)), np.zeros(1))
    with pytest.raises(auto_lirpa.PeerError) as caught:
        auto_lirpa.lower_bounds(network, rows, np.zeros(4), np.ones(4))
    said = str(caught.value)
    assert "\n" not in said
    assert "`pip install --no-deps auto-lirpa==0.3`" in said
    assert "`pip install appdirs tqdm`" in said
    with pytest.raises(auto_lirpa.PeerError, match="not installed"):
        probe.probe()


def test_the_page_has_the_commands_of_the_error():
    page = (ROOT / "docs" / "relaxations" / "auto-lirpa.md").read_text(encoding="utf-8")
    assert "\n".join(auto_lirpa.INSTALL) in page


def test_doctor_starts_no_process_for_it(absent, capsys, monkeypatch):
    monkeypatch.setattr(probe.subprocess, "run", lambda *a, **k: pytest.fail("a process was started"))
    from verifier.commands.doctor import _second_opinion

    assert _second_opinion() == "not installed (optional: a second opinion about bounds)"


def test_an_unknown_method_is_named():
    rows = Rows(np.zeros((1, 4)), np.ones((1, 3)), np.zeros(1))
    with pytest.raises(ValueError, match="no method 'crown'; known are IBP, CROWN-IBP, CROWN, CROWN-Optimized"):
        auto_lirpa.lower_bounds(lower(dense(0, ops.Relu())), rows, np.zeros(4), np.ones(4), "crown")


def test_the_adapter_imports_neither_library():
    code = "import sys, relaxations.peers.comparing, relaxations.peers.probe; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not {"torch", "auto_LiRPA", "scipy", "jax"} & set(done.stdout.split())


def test_doctor_says_what_works_and_what_does_not(monkeypatch):
    from verifier.commands.doctor import _second_opinion

    outcome = {"IBP": {"dense": "", "sigmoid": ""}, "CROWN": {"dense": "", "sigmoid": "IndexError"}}
    monkeypatch.setattr(auto_lirpa, "installed", lambda: "0.3")
    monkeypatch.setattr(probe, "probe", lambda seconds: probe.Capabilities("0.3", outcome))
    assert _second_opinion().startswith("0.3 (IBP works; CROWN not on sigmoid (IndexError); ")

    def hanging(seconds):
        raise auto_lirpa.PeerError("no answer")

    monkeypatch.setattr(probe, "probe", hanging)
    assert _second_opinion() == "FAILS: no answer"


def test_doctor_has_a_line_for_it(absent, capsys):
    assert main(["doctor"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("auto_LiRPA ")]
    assert line == "auto_LiRPA    not installed (optional: a second opinion about bounds)"
