"""A slow overseer that is a Python function of the user's: asked in a process of its own, with a time limit."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from specs.errors import CertifyError
from specs.hashes import sha256_of

WORKER = Path(__file__).with_name("worker.py")
LONGEST_ANSWER = 1 << 16


class OverseerError(CertifyError):
    """The overseer gave no answer that is a finite number: it raised, died, hung, or said something else."""


class PythonOverseer:
    """``FILE:FUNCTION``, whose arguments are float64 vectors and whose answer is one finite number.

    What the function prints goes nowhere. The process starts with the first question and is started again after one
    that went wrong, but not from a file that has been changed. Raises ``OverseerError`` if there is no such file.
    """

    def __init__(self, target: str) -> None:
        file, _, self.function = target.rpartition(":")
        self.file = Path(file)
        if not self.file.is_file() or not self.function.isidentifier():
            raise OverseerError(f"overseer {target!r}: not FILE.py:FUNCTION of a file that is there")
        self.sha256 = sha256_of(self.file)
        self._process: subprocess.Popen[bytes] | None = None
        self._ask = self._hear = -1

    @property
    def name(self) -> str:
        return f"{self.file.name}:{self.function}"

    def ask(self, arguments: Sequence[Sequence[float]], seconds: float) -> float:
        """The answer; ``OverseerError`` if there is none within ``seconds``, the start of the process included."""
        until = time.monotonic() + seconds
        try:
            if self._process is None:
                self._start()
                self._line(until)
            text = json.dumps([[float(v).hex() for v in values] for values in arguments]) + "\n"
            self._write(text.encode(), until)
            answer = float.fromhex(str(self._line(until)["answer"]))
        except (KeyError, ValueError, TypeError, OverflowError):
            self.close()
            raise OverseerError(f"overseer {self.name}: an answer that is no number") from None
        except BaseException:
            self.close()
            raise
        if not math.isfinite(answer):
            raise OverseerError(f"overseer {self.name}: answered {answer}, which is no finite number")
        return answer

    def _start(self) -> None:
        if sha256_of(self.file) != self.sha256:
            raise CertifyError(f"overseer {self.name}: its file was changed since the first question")
        theirs_in, self._ask = os.pipe()
        self._hear, theirs_out = os.pipe()
        os.set_blocking(self._ask, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", str(WORKER), str(self.file), self.function, str(theirs_in), str(theirs_out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def _write(self, data: bytes, until: float) -> None:
        while data:
            if not select.select([], [self._ask], [], max(0.0, until - time.monotonic()))[1]:
                raise OverseerError(f"overseer {self.name}: no answer in time")
            try:
                data = data[os.write(self._ask, data) :]
            except BrokenPipeError:
                raise self._died() from None

    def _line(self, until: float) -> dict[str, object]:
        found = b""
        while not found.endswith(b"\n"):
            if not select.select([self._hear], [], [], max(0.0, until - time.monotonic()))[0]:
                raise OverseerError(f"overseer {self.name}: no answer in time")
            more = os.read(self._hear, LONGEST_ANSWER)
            if not more:
                raise self._died()
            found += more
            if len(found) > LONGEST_ANSWER:
                raise ValueError
        reply = json.loads(found)
        if not isinstance(reply, dict):
            raise ValueError
        if "failed" in reply:
            told = "".join(c if c.isprintable() else " " for c in str(reply["failed"])[:500])
            raise OverseerError(f"overseer {self.name}: {told}")
        return reply

    def _died(self) -> OverseerError:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return OverseerError(f"overseer {self.name}: its process ended (code {self._process.returncode})")

    def close(self) -> None:
        """End the process and whatever it started in its own process group."""
        process, self._process = self._process, None
        if process is None:
            return
        os.close(self._ask)
        os.close(self._hear)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> PythonOverseer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
