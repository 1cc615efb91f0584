"""Writing text files in one step."""

from __future__ import annotations

from pathlib import Path


def save_text(text: str, file: Path) -> None:
    """Write ``file`` so that nobody ever sees half of it."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
