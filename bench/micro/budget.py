"""How long the benchmarks may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Seconds for repeating one call; seconds of one search, and how many searches."""

    call_seconds: float = 2.0
    search_seconds: float = 8.0
    searches: int = 3
