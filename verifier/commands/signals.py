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
IMPORTING = 3.0  # seconds for which a module that is being loaded is let be
SOON = 0.01  # seconds


@contextmanager
def stoppable(deadline: float) -> Iterator[None]:
    """Within, the first signal and ``GRACE`` seconds after ``deadline`` (``time.monotonic``) raise ``Stopped``.

    The second Ctrl-C kills at once. A module that is being loaded is finished first: it would stay half loaded, and
    Python makes errors of its own of what is raised where classes are made.
    """
    owner = os.getpid()
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    told: list[tuple[str, float]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker: Ctrl-C reaches it too, but its parent decides
            if number == signal.SIGTERM:
                os._exit(1)
            return
        told.append(("timeout" if number == signal.SIGALRM else "interrupted", time.monotonic()))
        reason, since = told[0]
        loading = _is_importing(frame) and time.monotonic() < since + IMPORTING
        signal.setitimer(signal.ITIMER_REAL, SOON if loading else 0)
        for kind in kinds:
            if kind != signal.SIGALRM:
                signal.signal(kind, signal.SIG_DFL)
            elif not loading:
                signal.signal(kind, signal.SIG_IGN)
        if not loading:
            raise Stopped(reason)

    before = {kind: signal.signal(kind, stop) for kind in kinds}
    signal.setitimer(signal.ITIMER_REAL, max(deadline + GRACE - time.monotonic(), 1e-3))
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, Stopped):  # what Python made of it where a class was being made
            raise error.__cause__ from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
