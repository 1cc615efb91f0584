"""One line on a terminal, rewritten in place: both bounds closing in on each other."""

from __future__ import annotations

import time
from typing import TextIO

from verifier.engine.scheduler import Progress

EVERY = 0.1  # seconds between two states of the line


class ProgressLine:
    """Shows nothing unless ``stream`` is a terminal. ``started`` is a reading of ``time.monotonic``."""

    def __init__(self, stream: TextIO | None, started: float, timeout: float) -> None:
        self.stream = stream if stream is not None and stream.isatty() else None
        self.started, self.timeout = started, timeout
        self.next, self.width = 0.0, 0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if self.stream is None or now < self.next:
            return
        self.next = now + EVERY
        self._write(
            f"{now - self.started:5.1f}/{self.timeout:g} s  proved {progress.proved:.4g} <= minimum <= "
            f"{progress.attained:.4g} attained  {progress.open} open, {progress.nodes} boxes"
        )

    def clear(self) -> None:
        if self.stream is not None and self.width:
            self._write("")
            self.stream.write("\r")
            self.stream.flush()

    def _write(self, text: str) -> None:
        assert self.stream is not None
        self.stream.write("\r" + text.ljust(self.width))
        self.stream.flush()
        self.width = len(text)
