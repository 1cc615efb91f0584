"""A user's overseer may print, raise, hang or die: each is one clear error, and the next question is answered."""

from __future__ import annotations

import time

import pytest

from specs.errors import CertifyError
from specs.overseer.python_overseer import OverseerError, PythonOverseer

PANEL = """
import os, sys, time
def judge(x):
    what = int(x[0])
    print("noise", what); print("noise", file=sys.stderr); sys.stdin.read()
    if what == 1: raise RuntimeError("no opinion")
    if what == 2: time.sleep(60)
    if what == 3: os._exit(7)
    if what == 4: return float("nan")
    if what == 5: return "good"
    if what == 6: return None
    if what == 7: sys.exit(0)
    if what == 8: return float("inf")
    return x[0] / 3
"""


@pytest.fixture
def overseer(tmp_path):
    (tmp_path / "panel.py").write_text(PANEL)
    with PythonOverseer(f"{tmp_path / 'panel.py'}:judge") as found:
        yield found


def test_the_answer_is_exact_and_noise_stays_apart(overseer, capfd):
    assert overseer.ask([[0.1]], 20) == 0.1 / 3
    assert overseer.ask([[-0.7]], 20) == -0.7 / 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("what", "words"),
    [(1, "no opinion"), (3, "code 7"), (4, "nan"), (5, "ValueError"), (6, "TypeError"), (7, "ended"), (8, "inf")],
)
def test_what_is_no_answer_is_one_error_and_the_next_question_works(overseer, what, words):
    with pytest.raises(OverseerError, match=words) as caught:
        overseer.ask([[what]], 20)
    assert "\n" not in str(caught.value)
    assert overseer.ask([[0.5]], 20) == 0.5 / 3


def test_a_hanging_overseer_is_left_in_time(overseer):
    overseer.ask([[0.0]], 20)
    started = time.monotonic()
    with pytest.raises(OverseerError, match="in time"):
        overseer.ask([[2.0]], 0.3)
    assert time.monotonic() - started < 5
    assert overseer.ask([[0.5]], 20) == 0.5 / 3


def test_files_that_are_no_overseer(tmp_path):
    with pytest.raises(OverseerError, match="not FILE"):
        PythonOverseer(f"{tmp_path}/none.py:judge")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with PythonOverseer(f"{tmp_path / 'broken.py'}:judge") as found, pytest.raises(OverseerError, match="ZeroDivision"):
        found.ask([[0.0]], 20)
    with PythonOverseer(f"{tmp_path / 'broken.py'}:judge") as found, pytest.raises(OverseerError, match="loaded"):
        found.ask([[0.0]], 20)


def test_a_file_that_was_changed_is_not_started_again(overseer):
    """Its answers would stand in the ledger under the hash of another source; that is not a missing answer."""
    overseer.ask([[0.0]], 20)
    overseer.file.write_text("def judge(x): return 1.0\n")
    assert overseer.ask([[0.3]], 20) == 0.3 / 3  # the process still runs what was hashed
    overseer.close()
    with pytest.raises(CertifyError, match="was changed") as caught:
        overseer.ask([[0.3]], 20)
    assert not isinstance(caught.value, OverseerError)
