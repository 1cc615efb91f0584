"""Pieces of tree are put together as they were taken apart, and cut into chunks that cover the whole."""

from __future__ import annotations

import random

import numpy as np
import pytest

from verifier.certificate.words import CLIP, LEAF, OPEN, QUICK_CLIP, QUICK_LEAF, REF, SPLIT
from verifier.checker.tree import second_children
from verifier.engine import pieces as pieces_module
from verifier.engine.pieces import Pieces, Stream, cut

INPUTS = 3


def random_tree(rng: random.Random, splits: int) -> list[int]:
    """A random tree in preorder: each split shares what is left among its two children."""
    words: list[int] = []
    stack = [splits]
    while stack:
        left = stack.pop()
        if rng.random() < 0.2:
            words.append(rng.choice((CLIP, QUICK_CLIP)))
        if left == 0:
            words.append(rng.choice((LEAF, QUICK_LEAF)))
        else:
            words.append(SPLIT + rng.randrange(INPUTS))
            first = rng.randint(0, left - 1)
            stack += [left - 1 - first, first]
    return words


def end_of(words: list[int], start: int) -> int:
    """The position after the sub-tree that begins at ``start``."""
    missing, position = 1, start
    while missing:
        word = words[position]
        missing += 1 if word >= SPLIT else 0 if word in (CLIP, QUICK_CLIP) else -1
        position += 1
    return position


def taken_apart(rng: random.Random, words: list[int], pieces: Pieces, at: tuple[int, int] | None) -> None:
    """Store the tree as a piece in which some sub-trees are open, and these as pieces of their own."""
    top: list[int] = []
    later: list[list[int]] = []
    position = 0
    while position < len(words):
        if position > 0 and rng.random() < 0.15:
            end = end_of(words, position)
            top.append(OPEN)
            later.append(words[position:end])
            position = end
        else:
            top.append(words[position])
            position += 1
    piece = pieces.add(np.array(top), at)
    order = list(enumerate(later))
    rng.shuffle(order)  # places are filled in any order
    for index, tree in order:
        taken_apart(rng, tree, pieces, (piece, index))


@pytest.mark.parametrize("seed", range(30))
def test_a_tree_taken_apart_is_put_together_again(seed: int) -> None:
    rng = random.Random(seed)
    words, pieces = random_tree(rng, rng.choice((0, 1, 5, 80))), Pieces()
    taken_apart(rng, words, pieces, None)
    stream = pieces.stream()
    assert stream.words.tolist() == words
    second_children(stream.words, INPUTS)
    origin = [pieces.words[piece][position] for piece, position in zip(stream.piece, stream.position)]
    assert origin == words


def test_an_open_place_is_no_tree() -> None:
    pieces = Pieces()
    pieces.add(np.array([SPLIT, OPEN, LEAF]), None)
    with pytest.raises(ValueError, match="not closed"):
        pieces.stream()


@pytest.mark.parametrize("seed", range(20))
def test_refused_leaves_are_replaced_where_they_stood(seed: int) -> None:
    """From the last to the first, as mending does it: each replaced leaf becomes a split."""
    rng = random.Random(seed)
    words, pieces = random_tree(rng, 20), Pieces()
    taken_apart(rng, words, pieces, None)
    stream = pieces.stream()
    leaves = np.flatnonzero(np.isin(stream.words, (LEAF, QUICK_LEAF)))
    refused = rng.sample(leaves.tolist(), 5)
    for at in sorted(refused, key=lambda i: (stream.piece[i], stream.position[i]), reverse=True):
        place = pieces.reopen(int(stream.piece[at]), int(stream.position[at]))
        pieces.add(np.array([SPLIT + 1, LEAF, LEAF]), place)
    expected = [part for i, w in enumerate(words) for part in ([SPLIT + 1, LEAF, LEAF] if i in refused else [w])]
    assert pieces.stream().words.tolist() == expected


def put_together(chunks: list[np.ndarray], first: int, number: int | None = None) -> list[int]:
    """A chunk (the root when None) with every reference replaced by what it names."""
    words = chunks[0 if number is None else number - first + 1].tolist()
    whole: list[int] = []
    position = 0
    while position < len(words):
        if words[position] == REF:
            whole += put_together(chunks, first, words[position + 1] << 16 | words[position + 2])
            position += 3
        else:
            whole.append(words[position])
            position += 1
    return whole


@pytest.mark.parametrize("first", [1, 70_000])
@pytest.mark.parametrize("seed", range(10))
def test_chunks_cover_the_tree(seed: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "SMALLEST", 20)
    rng = random.Random(seed)
    words = np.array(random_tree(rng, 400))
    tree = Stream(words, np.zeros(len(words), dtype=int), np.arange(len(words)))
    root, *chunks = cut(tree, first)
    assert len(chunks) >= 4
    for chunk in (root, *chunks):
        second_children(chunk.words, INPUTS)  # each is exactly one tree
        own = chunk.piece >= 0
        assert (words[chunk.position[own]] == chunk.words[own]).all()
    assert put_together([chunk.words for chunk in (root, *chunks)], first) == words.tolist()
    assert max(len(chunk.words) for chunk in chunks) <= max(20, len(words) // pieces_module.CHUNKS)


def test_small_trees_stay_whole() -> None:
    words = [SPLIT, LEAF, LEAF]
    tree = Stream(np.array(words), np.zeros(len(words), dtype=int), np.arange(len(words)))
    assert cut(tree, 1) == [tree]
