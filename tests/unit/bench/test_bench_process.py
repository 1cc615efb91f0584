"""Limits hold for the whole process group, and what a run cost is measured on the run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.process import Execution, Processes, Stopped
from tests.unit.bench.alive import alive

ROOT = Path(__file__).resolve().parents[3]


def python(code: str, limit: float = 20.0) -> Execution:
    return Processes().run([sys.executable, "-c", code], limit)


def peak_memory_mb(code: str) -> float:
    """Measured from a small process: a child starts out with the resident size of its parent, and this one is large."""
    return float(elsewhere(f"print(Processes().run([sys.executable, '-c', {code!r}], 20.0).peak_memory_mb)"))


def elsewhere(code: str) -> str:
    """What the code prints in a fresh process, which has no other children and next to no memory."""
    code = f"import os, sys; from bench.process import Processes; {code}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_reports_exit_code_and_both_streams() -> None:
    run = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (run.exit_code, run.killed, run.stdout, run.stderr) == (3, False, "out\n", "err\n")


def test_wall_time_counts_sleep_and_cpu_time_does_not() -> None:
    run = python("import time; time.sleep(0.5)")
    assert 0.5 <= run.seconds < 3
    assert run.cpu_seconds < 0.4


def test_cpu_time_counts_work_of_the_process_and_of_children_it_waited_for() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass"
    assert python(work).cpu_seconds >= 0.3
    assert python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])").cpu_seconds >= 0.3


def test_peak_memory_sees_an_allocation_of_known_size() -> None:
    assert peak_memory_mb("pass") < 150
    assert 200 <= peak_memory_mb("x = bytearray(200_000_000); x[::4096] = bytes(len(x[::4096]))") < 260


def test_kills_the_whole_group_at_the_limit() -> None:
    run = python(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)",
        limit=1.0,
    )
    assert run.killed
    assert 1.0 <= run.seconds < 4
    assert not alive(int(run.stdout))


def test_kills_what_a_finished_process_left_behind() -> None:
    run = python(
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)",
    )
    assert (run.exit_code, run.killed) == (0, False)
    assert not alive(int(run.stdout))


def test_a_process_that_dies_of_its_own_is_not_called_killed() -> None:
    run = python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (run.exit_code, run.killed) == (-11, False)


def test_stop_ends_what_runs_and_starts_nothing_more() -> None:
    processes, ended = Processes(), []
    thread = threading.Thread(target=lambda: ended.append(processes.run(["sleep", "60"], 60)))
    start = time.perf_counter()
    thread.start()
    time.sleep(0.3)
    processes.stop()
    thread.join(timeout=5)
    assert ended[0].exit_code == -9
    assert time.perf_counter() - start < 5
    with pytest.raises(Stopped):
        processes.run(["true"], 1)


def test_leaves_no_zombie() -> None:
    look = "try: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: print('no child')"
    assert elsewhere(f"Processes().run(['true'], 20.0)\n{look}") == "no child\n"
