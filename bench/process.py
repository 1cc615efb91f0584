"""One program run under a wall-clock limit, measured from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

KEPT_OUTPUT = 1 << 20  # bytes of stdout and of stderr that are looked at; a flood of output is nobody's verdict


@dataclass(frozen=True)
class Execution:
    """What a finished process cost. Times in seconds, memory in MB (10^6 bytes).

    ``seconds`` is wall time from before the start to the exit of the process itself. ``cpu_seconds`` sums it and the
    descendants it waited for; ``peak_memory_mb`` is the largest resident size of any one of these, not their sum,
    and never below that of the process that started it. ``exit_code`` is minus the signal that ended it.
    """

    exit_code: int
    killed: bool
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    stdout: str
    stderr: str


class Stopped(Exception):
    """Nothing is started any more: the benchmark is being ended."""


class Processes:
    """Runs programs, each leading a process group of its own, so that whatever it started ends with it."""

    def __init__(self) -> None:
        self._live: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, argv: Sequence[str], limit: float) -> Execution:
        """Runs ``argv`` to its end, or kills its group ``limit`` seconds after the start. Thread-safe.

        Raises ``OSError`` when the program cannot be started and ``Stopped`` after ``stop``.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            with self._lock:
                if self._stopped:
                    raise Stopped
                child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
                self._live.add(child.pid)
            overstayed = threading.Event()

            def end() -> None:
                overstayed.set()
                _kill_group(child.pid)

            watchdog = threading.Timer(limit, end)
            watchdog.daemon = True
            watchdog.start()
            # WNOWAIT leaves the dead leader unreaped: its group number cannot be given to anybody else before the
            # watchdog is gone and the stragglers are killed.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.perf_counter() - start
            watchdog.cancel()
            watchdog.join()
            with self._lock:
                self._live.discard(child.pid)
                _kill_group(child.pid)
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it a second time
            return Execution(
                exit_code=child.returncode,
                killed=overstayed.is_set() and child.returncode == -signal.SIGKILL,
                seconds=seconds,
                cpu_seconds=usage.ru_utime + usage.ru_stime,
                peak_memory_mb=usage.ru_maxrss * _MAXRSS_BYTES / 1e6,
                stdout=_head(out),
                stderr=_head(err),
            )

    def stop(self) -> None:
        """Kills everything that runs and lets nothing start again."""
        with self._lock:
            self._stopped = True
            for leader in self._live:
                _kill_group(leader)


_MAXRSS_BYTES = 1 if os.uname().sysname == "Darwin" else 1024  # the unit of ru_maxrss


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS says EPERM for a group of zombies
        os.killpg(leader, signal.SIGKILL)


def _head(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(KEPT_OUTPUT).decode("utf-8", errors="replace")
