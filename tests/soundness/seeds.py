"""Which random questions a run asks: all of them follow from one base seed."""

from __future__ import annotations

import os

BASE_SEED = int(os.environ.get("CERTIFY_SEED", "2026"))  # printed by conftest and part of every test's name


def seeds(count: int, stream: int = 0) -> range:
    """``count`` consecutive seeds; another ``stream`` or another base seed gives other ones."""
    first = BASE_SEED * 1_000_000 + stream * 10_000
    return range(first, first + count)


def groups(count: int, size: int, stream: int = 0) -> list[range]:
    """The same seeds in groups, so that tests can be shared between processes."""
    return [seeds(count, stream)[start : start + size] for start in range(0, count, size)]


def name(group: range) -> str:
    """How a group is called in the name of a test."""
    return f"seeds-{group.start}-{group.stop - 1}"
