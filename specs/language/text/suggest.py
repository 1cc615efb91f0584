"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``". Did you mean 'x'?"`` with the closest known word, the known words when none is close, or nothing."""
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f". Did you mean {close[0]!r}?"
    return f"; known are {', '.join(names[:30])}" if names else ""
