"""Fixtures and helpers for every test: where the shared benchmark data lies, if it is there."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy loads; more threads slow small steps down

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def find_shared_dir() -> Path | None:
    """Folder of the shared data: ``CERTIFY_SHARED``, or ``shared`` beside the repository; None if absent."""
    stated = os.environ.get("CERTIFY_SHARED")
    folder = Path(stated) if stated else REPOSITORY.parent / "shared"
    return folder if (folder / "benchmarks").is_dir() else None


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of the shared data; skips the test without it."""
    folder = find_shared_dir()
    if folder is None:
        pytest.skip("needs the shared benchmark data (set CERTIFY_SHARED)")
    return folder


@pytest.fixture(scope="session")
def benchmarks_dir(shared_dir: Path) -> Path:
    """Folder of the competition benchmarks; skips the test without it."""
    return shared_dir / "benchmarks"
