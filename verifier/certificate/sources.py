"""The two files a claim is about: the user's own where the checker can read them, else canonical copies we embed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from specs.problem import Problem
from verifier.certificate.write import Source
from verifier.files import is_onnx


@dataclass(frozen=True)
class Sources:
    """``model_file`` and ``query_file`` are what the checker reads; ``binding`` says whose readers tie the claim.

    ``independent``: the checker reads the user's ONNX and VNN-LIB files itself. ``recompiled``: at least one of them
    was translated by the loader, or several models were composed; what came of it is embedded, and doing it again must
    give the same hash. Rows of the query are those of the problem, multiplied by at most ``scale``.
    """

    model: Source
    query: Source
    model_file: Path
    query_file: Path
    binding: str
    scale: int = 1


def sources(problem: Problem, model: Path | None, query: Path | None, folder: Path) -> Sources:
    """Sources of a problem read from ``model`` (None: composed of several) and ``query`` (None: no VNN-LIB file).

    Copies that have to be made are written into ``folder``.
    """
    model_source, model_file = _model(problem, model, folder)
    scale = 1
    if query is not None:
        query_source, query_file = Source(query.read_bytes(), str(query.resolve()), False), query
    else:
        from specs.language.vnnlib.writer import largest_factor, write_vnnlib

        scale = largest_factor(problem)
        data = write_vnnlib(problem).encode()
        query_file = _write(folder, ".vnnlib", data)
        query_source = Source(data, "query.vnnlib", True)
    independent = not (model_source.embed or query_source.embed)
    binding = "independent" if independent else "recompiled"
    return Sources(model_source, query_source, model_file, query_file, binding, scale)


def _model(problem: Problem, path: Path | None, folder: Path) -> tuple[Source, Path]:
    if path is not None and is_onnx(path):
        return Source(path.read_bytes(), str(path.resolve()), False), path
    from specs.loading.onnx_writer import write_onnx

    data = write_onnx(problem.graph)
    return Source(data, "model.onnx", True), _write(folder, ".onnx", data)


def _write(folder: Path, suffix: str, data: bytes) -> Path:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=suffix, delete=False) as file:
        file.write(data)
    return Path(file.name)
