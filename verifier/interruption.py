"""Being told to stop: the one way out of a running search other than its answer."""

from __future__ import annotations


class Stopped(BaseException):
    """Raised by a signal handler of the command line. No ``Exception``, so that nothing on the way swallows it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
