"""The branch tree of one case as pieces found by separate explorations, and its form as certificate chunks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verifier.certificate.words import CLIP, OPEN, QUICK_CLIP, REF, SPLIT

CHUNKS = 16  # about as many a tree is cut into, for several processes to check at once
SMALLEST = 200  # words of a chunk worth having


@dataclass(frozen=True)
class Stream:
    """Words of a tree, and for each the piece it came from and its position there (-1 for references)."""

    words: np.ndarray
    piece: np.ndarray
    position: np.ndarray

    def __getitem__(self, where: slice) -> Stream:
        return Stream(self.words[where], self.piece[where], self.position[where])

    @staticmethod
    def join(parts: list[Stream]) -> Stream:
        return Stream(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("words", "piece", "position")))


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

    def stream(self) -> Stream:
        """The whole closed tree in preorder; raises ValueError while something is open."""
        parts: list[Stream] = []
        stack = [(0, 0, 0)]  # piece, position to go on from, open places passed
        while stack:
            piece, start, passed = stack.pop()
            words = self.words[piece]
            following = np.flatnonzero(words[start:] == OPEN)
            end = start + int(following[0]) if len(following) else len(words)
            if end > start:
                count = end - start
                parts.append(Stream(words[start:end], np.full(count, piece), np.arange(start, end)))
            if end < len(words):
                child = self.children[piece][passed]
                if child is None:
                    raise ValueError("the tree is not closed")
                stack.append((piece, end + 1, passed + 1))
                stack.append((child, 0, 0))
        return Stream.join(parts)


def cut(tree: Stream, first: int) -> list[Stream]:
    """The tree as a root stream and chunks numbered from ``first`` on, of about equal size."""
    target = max(SMALLEST, len(tree.words) // CHUNKS)
    if len(tree.words) <= 2 * target:
        return [tree]
    ends = _subtree_ends(tree.words)
    root: list[Stream] = []
    chunks: list[Stream] = []
    position = kept = 0
    while position < len(tree.words):
        size = ends[position] - position
        if target // 16 <= size <= target:
            number = first + len(chunks)
            reference = np.array([REF, number >> 16, number & 0xFFFF])
            root += [tree[kept:position], Stream(reference, np.full(3, -1), np.full(3, -1))]
            chunks.append(tree[position : ends[position]])
            position = kept = ends[position]
        else:
            position += 1
    return [Stream.join([*root, tree[kept:]]), *chunks]


def _subtree_ends(words: np.ndarray) -> list[int]:
    """For every word of a tree, the position after its sub-tree."""
    stream = words.tolist()
    ends = [0] * len(stream)
    for i in range(len(stream) - 1, -1, -1):
        word = stream[i]
        if word >= SPLIT:
            ends[i] = ends[ends[i + 1]]
        elif word in (CLIP, QUICK_CLIP):
            ends[i] = ends[i + 1]
        else:
            ends[i] = i + 1
    return ends
