"""The branch tree of one case: a preorder stream of words from which the checker regenerates every leaf.

Words are unsigned 16-bit: ``LEAF``; ``CLIP`` (one child follows: the box shrunk by the bound computed here); their
``QUICK`` forms, whose bound takes intermediate ranges from the forward form alone; ``REF`` and two words of a chunk
number (the box is proved in that chunk); ``PHASES`` and two words (a tree over ReLU phases of this box is in that
chunk, see ``phase_tree``); ``SPLIT + d`` (two children follow: the halves of the box at the midpoint of input d, closed
on both sides). The leaves cover the box whatever the stream says, because the checker makes the boxes itself; a wrong
stream can only ask for a leaf that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.checker.ball import Ball
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.clip import clip
from verifier.checker.errors import CheckError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint16]

LEAF, CLIP, REF, PHASES, QUICK_LEAF, QUICK_CLIP, SPLIT = 0, 1, 2, 3, 6, 7, 16
MOST_WORDS = 1 << 25  # of one tree: 16 million leaves, an hour of checking, within a gigabyte of memory
LEAVES, CLIPS, QUICK = (LEAF, QUICK_LEAF), (CLIP, QUICK_CLIP), (QUICK_LEAF, QUICK_CLIP)


@dataclass(frozen=True)
class Question:
    """One case: rows of which at least one holds on every box; ``strict`` tells > 0 from >= 0, row by row.

    Where there is a ``ball``, it is enough that they hold on what it has of the boxes.
    """

    rows: Rows
    strict: NDArray[np.bool_]
    ball: Ball | None = None


@dataclass(frozen=True)
class Failure:
    """A leaf that was not proved: where in the stream, on which box."""

    position: int
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Reference:
    """A box which another chunk must prove, by ReLU phases or by a tree like this one."""

    chunk: int
    phases: bool
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Outcome:
    """What one stream proved: its failures, the boxes it leaves to other chunks, its number of leaves.

    ``margin``: the best row is proved >= margin at every input; 0 where clipping says no more than "no violation".
    """

    failures: tuple[Failure, ...]
    references: tuple[Reference, ...]
    leaves: int
    margin: float


def second_children(words: Words, inputs: int) -> Ints:
    """For every split, the position of its second child; raises unless the stream is exactly one tree."""
    if len(words) > MOST_WORDS:
        raise CheckError(f"a tree has more than {MOST_WORDS} words")
    second = np.zeros(len(words), dtype=np.int64)
    waiting: list[int] = []
    position, complete = 0, False
    stream = words.tolist()
    while position < len(stream):
        if complete:
            raise CheckError(f"tree goes on after its end, at word {position}")
        word = stream[position]
        if word >= SPLIT:
            if word - SPLIT >= inputs:
                raise CheckError(f"split of input {word - SPLIT} at word {position}: the network has {inputs}")
            waiting.append(position)
            position += 1
            continue
        if word in CLIPS:
            position += 1
            continue
        if word not in (*LEAVES, REF, PHASES):
            raise CheckError(f"unknown word {word} at {position}")
        position += 3 if word in (REF, PHASES) else 1
        if waiting:
            second[waiting.pop()] = position
        else:
            complete = True
    if not complete or position != len(stream):
        raise CheckError("tree ends before its last leaf")
    return second


def prove(bounder: Bounder, question: Question, words: Words, lower: Floats, upper: Floats) -> Outcome:
    """Walk the stream from the box [lower, upper]; every leaf is bounded here, by this code."""
    second = second_children(words, len(lower))
    stream = words.astype(np.int64)
    failures: list[Failure] = []
    references: list[Reference] = []
    leaves, margin = 0, np.inf
    stack = [(np.zeros(1, dtype=np.int64), lower[None], upper[None])]
    for batch in _to_bound(stack, bounder.boxes_at_once, stream, second, references):
        quick = np.isin(stream[batch[0]], QUICK)
        for group in (quick, ~quick):
            if not group.any():
                continue
            at, low, up = batch[0][group], batch[1][group], batch[2][group]
            boxes = Boxes.of(low, up, question.ball)
            bound = bounder.lower(boxes, question.rows, refine=not quick[group][0])
            holds = np.asarray(np.where(question.strict, bound.lower > 0, bound.lower >= 0).any(axis=1))
            leaves += int(np.isin(stream[at], LEAVES).sum())
            if holds.any():
                margin = min(margin, float(bound.lower[holds].max(axis=1).min()))
            if holds.all():
                continue
            margin, rest = min(margin, 0.0), np.logical_not(holds)
            at, low, up = at[rest], low[rest], up[rest]
            clipped_low, clipped_up, empty = clip(boxes[rest], bound[rest])
            if question.ball is not None:
                empty = empty | question.ball.misses(low, up)
            is_leaf = np.isin(stream[at], LEAVES)
            for i in np.flatnonzero(is_leaf & ~empty):
                failures.append(Failure(int(at[i]), low[i], up[i]))
            go_on = ~is_leaf & ~empty
            if go_on.any():
                stack.append((at[go_on] + 1, clipped_low[go_on], clipped_up[go_on]))
    return Outcome(tuple(failures), tuple(references), leaves, margin)


def _to_bound(
    stack: list[tuple[Ints, Floats, Floats]],
    at_once: int,
    words: Ints,
    second: Ints,
    references: list[Reference],
) -> Iterator[tuple[Ints, Floats, Floats]]:
    """Batches of boxes that need a bound; splits are followed here, references set aside.

    The consumer pushes the children of the batch it got onto ``stack`` before asking for the next one.
    """
    queue: list[tuple[Ints, Floats, Floats]] = []
    queued = 0
    while stack or queue:
        while stack and queued < at_once:
            blocks, count = [], 0
            while stack and count < at_once:
                blocks.append(stack.pop())
                count += len(blocks[-1][0])
            at, low, up = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
            word = words[at]
            split = word >= SPLIT
            if split.any():
                here, dim = at[split], word[split] - SPLIT
                row = np.arange(len(here))
                first_up, second_low = up[split].copy(), low[split].copy()
                middle = second_low[row, dim] + 0.5 * (first_up[row, dim] - second_low[row, dim])
                first_up[row, dim] = middle
                second_low[row, dim] = middle
                stack.append((second[here], second_low, up[split]))
                stack.append((here + 1, low[split], first_up))
            for i in np.flatnonzero((word == REF) | (word == PHASES)):
                high, rest = int(words[at[i] + 1]), int(words[at[i] + 2])
                references.append(Reference(high << 16 | rest, bool(word[i] == PHASES), low[i], up[i]))
            other = (word == LEAF) | (word == CLIP) | (word == QUICK_LEAF) | (word == QUICK_CLIP)
            if other.any():
                queue.append((at[other], low[other], up[other]))
                queued += int(other.sum())
        if queue:
            at, low, up = (np.concatenate(parts) for parts in zip(*queue, strict=True))
            batch, rest_of = slice(None, at_once), slice(at_once, None)
            queue = [(at[rest_of], low[rest_of], up[rest_of])] if len(at) > at_once else []
            queued = max(0, len(at) - at_once)
            yield at[batch], low[batch], up[batch]
