"""Being stopped: at the deadline, and not in the middle of a module that is being loaded."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from verifier.commands import signals
from verifier.commands.signals import stoppable
from verifier.interruption import Stopped

SLOW = """import time
class Slow:
    def __set_name__(self, owner, name):
        until = time.monotonic() + {seconds}
        while time.monotonic() < until:
            pass
class Holder:
    part = Slow()
done = True
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that takes half a second to load, in the making of a class."""
    (tmp_path / "slow_to_load.py").write_text(SLOW.format(seconds=0.5))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_load", raising=False)
    return "slow_to_load"


def go_on() -> None:
    while True:
        pass


def test_the_deadline_stops_what_runs() -> None:
    started = time.monotonic()
    with pytest.raises(Stopped, match="timeout"), stoppable(started - signals.GRACE + 0.05):
        go_on()
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(("kind", "reason"), [(signal.SIGALRM, "timeout"), (signal.SIGINT, "interrupted")])
def test_a_module_is_loaded_whole_before_it_stops(slow: str, kind: signal.Signals, reason: str) -> None:
    sender = threading.Timer(0.1, os.kill, (os.getpid(), kind))

    def load() -> None:
        sender.start()
        importlib.import_module(slow)
        go_on()

    with pytest.raises(Stopped, match=reason), stoppable(time.monotonic() + 60):
        load()
    assert sys.modules[slow].done


def test_what_loads_for_too_long_is_stopped(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "IMPORTING", 0.1)
    started = time.monotonic()
    with pytest.raises(Stopped, match="timeout"), stoppable(started - signals.GRACE + 0.05):
        importlib.import_module(slow)
    assert time.monotonic() - started < 0.45
