"""The branch tree of one case as pieces found by separate explorations, and its form as certificate chunks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verifier.certificate.words import OPEN, REF

INLINE = 400  # words; a smaller piece is written into its parent instead of becoming a chunk of its own


@dataclass
class Pieces:
    """Pieces by number, 0 the root. ``words[k]`` has OPEN where, in order, ``children[k]`` stand (None: undecided)."""

    words: list[np.ndarray] = field(default_factory=list)
    children: list[list[int | None]] = field(default_factory=list)

    def add(self, words: np.ndarray, at: tuple[int, int] | None) -> int:
        """Store a piece at an open place (piece, index among its open places), or as the root."""
        number = len(self.words)
        self.words.append(words)
        self.children.append([None] * int((words == OPEN).sum()))
        if at is not None:
            self.children[at[0]][at[1]] = number
        return number

    def reopen(self, piece: int, position: int) -> tuple[int, int]:
        """Turn the word at ``position`` of a piece (a leaf the checker refused) into an open place; returns it."""
        words = self.words[piece].copy()
        words[position] = OPEN
        index = int((words[:position] == OPEN).sum())
        self.words[piece] = words
        self.children[piece].insert(index, None)
        return piece, index

    def chunks(self, first: int) -> tuple[list[np.ndarray], list[list[tuple[int, int, int]]]]:
        """The closed tree as streams: the root's, then further chunks numbered from ``first`` on.

        With each stream comes where its words came from: (start in the stream, piece, start in the piece), ascending.
        """
        streams: list[np.ndarray] = []
        origins: list[list[tuple[int, int, int]]] = []
        waiting = [0]
        while waiting:
            root = waiting.pop(0)
            parts: list[np.ndarray] = []
            origin: list[tuple[int, int, int]] = []
            length = 0
            stack: list[tuple[int, int]] = [(root, 0)]  # piece, next open place
            position = {root: 0}
            while stack:
                piece, place = stack.pop()
                words = self.words[piece]
                start = position[piece]
                following = np.flatnonzero(words[start:] == OPEN)
                end = start + int(following[0]) if len(following) else len(words)
                if end > start:
                    parts.append(words[start:end])
                    origin.append((length, piece, start))
                    length += end - start
                position[piece] = end + 1
                if end == len(words):
                    continue
                stack.append((piece, place + 1))
                child = self.children[piece][place]
                if child is None:
                    raise ValueError("the tree is not closed")
                if len(self.words[child]) < INLINE:
                    position[child] = 0
                    stack.append((child, 0))
                else:
                    number = first + len(streams) + len(waiting)
                    waiting.append(child)
                    parts.append(np.array([REF, number >> 16, number & 0xFFFF], dtype=np.int64))
                    length += 3
            streams.append(np.concatenate(parts))
            origins.append(origin)
        return streams, origins


def locate(origin: list[tuple[int, int, int]], position: int) -> tuple[int, int]:
    """The piece and the position in it of a word of a stream."""
    start, piece, offset = max(entry for entry in origin if entry[0] <= position)
    return piece, offset + position - start
