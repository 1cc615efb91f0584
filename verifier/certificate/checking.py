"""The independent checker as a process of its own, started early so that it is ready when the proof is."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specs.errors import CertificateError
from verifier.engine.deadline import Deadline


@dataclass
class CheckerProcess:
    """``python -m verifier.checker --serve`` on the user's own model and query files.

    It imports NumPy and the standard library only, reads both files itself and answers one certificate at a time.
    """

    process: subprocess.Popen[bytes]

    @staticmethod
    def start(model: Path, query: Path, workers: int) -> CheckerProcess:
        package_root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": package_root}
        command = [sys.executable, "-s", "-m", "verifier.checker", "--workers", str(workers)]
        command += ["--serve", str(model), str(query)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            process_group=0 if os.name == "posix" else None,
        )
        return CheckerProcess(process)

    def cases(self, deadline: Deadline) -> tuple[list[int], int]:
        """Wait until both files are read; the numbers of the query's cases that are not empty, and of all.

        Raises CertificateError with the checker's words when it refuses the files.
        """
        answer = self._read(deadline)
        if answer is None or not answer.get("ready"):
            reason = answer.get("error", "no answer in time") if answer is not None else "no answer in time"
            raise CertificateError(f"the checker cannot use these files: {reason}")
        return [k for k, empty in enumerate(answer["empty"]) if not empty], len(answer["empty"])

    def check(self, certificate: Path, deadline: Deadline) -> dict[str, Any] | None:
        """The checker's answer on a file, None when time ran out first."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{certificate}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._read(deadline)

    def __enter__(self) -> CheckerProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process, whatever it is doing."""
        if os.name == "posix":
            # The whole group: children at work would hold the pipe open, and this process would wait for them.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.communicate()

    def _read(self, deadline: Deadline) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = b""
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline.remaining)):
                    return None
                part = os.read(self.process.stdout.fileno(), 1 << 20)
                if not part:
                    return None if not line else _parse(line)
                line += part
        return _parse(line)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        raise CertificateError(f"the checker answered with something else than JSON: {line[:200]!r}") from None
    if not isinstance(answer, dict):
        raise CertificateError("the checker answered with something else than an object")
    return answer
