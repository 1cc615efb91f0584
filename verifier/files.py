"""Kinds of files, told by their names; each may be compressed (``.gz``)."""

from __future__ import annotations

from pathlib import Path

MODELS = (".onnx", ".pt2", ".pt", ".pth")
QUERIES = (".vnnlib",)
YAMLS = (".yaml", ".yml")


def is_onnx(path: Path) -> bool:
    return _unpacked_name(path).endswith(".onnx")


def is_model(path: Path) -> bool:
    return _unpacked_name(path).endswith(MODELS)


def is_vnnlib(path: Path) -> bool:
    return _unpacked_name(path).endswith(QUERIES)


def is_yaml(path: Path) -> bool:
    return _unpacked_name(path).endswith(YAMLS)


def stem(path: Path) -> str:
    """The name without the endings known here."""
    name = _unpacked_name(path)
    ending = next((e for e in (*MODELS, *QUERIES, *YAMLS) if name.endswith(e)), None)
    return path.name[: len(name) - len(ending)] or path.name if ending else path.name


def _unpacked_name(path: Path) -> str:
    return path.name.lower().removesuffix(".gz")
