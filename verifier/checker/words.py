"""Words of a chunk, taken one after another, and the numbers they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError

Floats = NDArray[np.float64]
Words = NDArray[np.uint16]

LARGEST_MULTIPLIER = 1e30


class Reader:
    """Takes words off the chunk, one after another."""

    def __init__(self, words: Words) -> None:
        self.words, self.at = words, 0

    def take(self, count: int) -> Words:
        if self.at + count > len(self.words):
            raise CheckError("a phase tree ends too early")
        self.at += count
        return self.words[self.at - count : self.at]

    def one(self) -> int:
        return int(self.take(1)[0])

    def next_is(self, word: int) -> bool:
        """Take the next word if it is this one."""
        found = bool((self.words[self.at : self.at + 1] == word).any())
        self.at += found
        return found

    def floats(self, count: int) -> Floats:
        return not_negative(self.signed(count))

    def signed(self, count: int) -> Floats:
        values = np.ascontiguousarray(self.take(2 * count)).view("<f4").astype(np.float64)
        if not (np.abs(values) < LARGEST_MULTIPLIER).all():
            raise CheckError("a multiplier is not finite or absurdly large")
        return values


def not_negative(values: Floats) -> Floats:
    if not ((values >= 0) & (values < LARGEST_MULTIPLIER)).all():
        raise CheckError("a multiplier is negative, not finite or absurdly large")
    return values


def high_halves(words: Words) -> Floats:
    """Multipliers whose words are the upper halves of float32 numbers."""
    return not_negative((words.astype("<u4") << 16).view("<f4").astype(np.float64))
