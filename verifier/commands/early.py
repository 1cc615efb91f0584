"""The checker started before this process has even loaded NumPy, so that both start up at the same time."""

from __future__ import annotations

from pathlib import Path

from verifier.certificate.checking import CheckerProcess
from verifier.files import is_onnx, is_vnnlib


class EarlyChecker:
    """A checker for an ONNX model and a VNN-LIB query, which it reads itself; ended unless it was taken."""

    def __init__(self, model: Path | None, spec: Path, workers: int | None) -> None:
        self.files = (model, spec)
        self.process: CheckerProcess | None = None
        if model is not None and is_onnx(model) and is_vnnlib(spec):
            from verifier.processors import processors

            self.process = CheckerProcess.start(model, spec, workers or processors())

    def take(self, model: Path, query: Path, workers: int) -> CheckerProcess:
        """The checker of these files: the early one the first time, if it is for them."""
        process, self.process = self.process, None
        if process is not None and (model, query) == self.files:
            return process
        if process is not None:
            process.__exit__()
        return CheckerProcess.start(model, query, workers)

    def __enter__(self) -> EarlyChecker:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None:
            self.process.__exit__()
