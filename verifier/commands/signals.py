"""Ctrl-C, a termination request and the end of the time given all end the search the same way: with a report."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from verifier.interruption import Stopped

GRACE = 0.3  # seconds after the deadline in which the search ends by itself, with more to tell


@contextmanager
def stoppable(deadline: float) -> Iterator[None]:
    """Within, the first signal and ``GRACE`` seconds after ``deadline`` (``time.monotonic``) raise ``Stopped``.

    The second Ctrl-C kills at once.
    """
    owner = os.getpid()
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker: Ctrl-C reaches it too, but its parent decides
            if number == signal.SIGTERM:
                os._exit(1)
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN if kind == signal.SIGALRM else signal.SIG_DFL)
        raise Stopped("timeout" if number == signal.SIGALRM else "interrupted")

    before = {kind: signal.signal(kind, stop) for kind in kinds}
    signal.setitimer(signal.ITIMER_REAL, max(deadline + GRACE - time.monotonic(), 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for kind, handler in before.items():
            signal.signal(kind, handler)
