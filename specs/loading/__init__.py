"""Model files to graphs. Each loader is imported when a file needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from specs.errors import ModelError
from specs.graph import Graph

ONNX_SUFFIX = ".onnx"
TORCH_SUFFIXES = (".pt2", ".pt", ".pth")


def load_model(path: str | Path, **options: Any) -> Graph:
    """The graph of a model file, chosen by suffix (any of them also .gz); ``options`` go to the PyTorch loader.

    Raises ``ModelError`` when the suffix is unknown or the file is missing or no valid model.
    """
    path = Path(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(ONNX_SUFFIX):
        if options:
            raise TypeError(f"an ONNX file takes no option {', '.join(options)}")
        from specs.loading.onnx import load_onnx

        return load_onnx(path)
    if name.endswith(TORCH_SUFFIXES):
        from specs.loading.torch_archive import load_torch

        return load_torch(path, **options)
    known = ", ".join((ONNX_SUFFIX, *TORCH_SUFFIXES))
    raise ModelError(f"is no model file by its name; known are {known}, each also with .gz", path)
