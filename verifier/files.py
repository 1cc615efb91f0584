"""Kinds of files, told by their names."""

from __future__ import annotations

from pathlib import Path

MODELS = (".onnx", ".onnx.gz", ".pt2", ".pt", ".pth")
QUERIES = (".vnnlib", ".vnnlib.gz")
YAMLS = (".yaml", ".yml")


def is_onnx(path: Path) -> bool:
    return path.name.lower().endswith((".onnx", ".onnx.gz"))


def is_model(path: Path) -> bool:
    return path.name.lower().endswith(MODELS)


def is_vnnlib(path: Path) -> bool:
    return path.name.lower().endswith(QUERIES)


def is_yaml(path: Path) -> bool:
    return path.name.lower().endswith(YAMLS)


def stem(path: Path) -> str:
    """The name without the endings known here."""
    lower = path.name.lower()
    ending = max((e for e in (*MODELS, *QUERIES, *YAMLS) if lower.endswith(e)), key=len, default="")
    return path.name[: len(path.name) - len(ending)] or path.name
