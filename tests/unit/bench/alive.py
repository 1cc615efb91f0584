"""Whether a process that a test has started is still there."""

from __future__ import annotations

import time


def alive(pid: int) -> bool:
    """Whether the process still runs; the dead need a moment to be reaped by their new parent."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.01)
    return True
