"""Sub-trees over ReLU phases of one box: leaves proved by the multipliers the producer offers for them.

A phase tree stands behind ``FRAME``: a list of neurons for which slopes will be given, then in preorder ``RELU`` and a
neuron (two children follow: its argument <= 0, then >= 0) and ``HINTED`` leaves with row weights, slopes and split
multipliers. The two children cover the box, so again coverage does not depend on what the stream says.

Lemma R1. On the part of the box where z_i >= 0 (<= 0) holds for split neurons, adding -beta_i z_i (+beta_i z_i) with
beta_i >= 0 to a row never raises it above its value there; a split ReLU is z_i (0); any slope in [0, 1] is a lower line
of an unsplit one; and where every row of an any-of fails (is <= 0), so does every combination with weights >= 0.
Hence weights, slopes and multipliers of any origin prove the leaf when the resulting bound is > 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder, Boxes, Lines, Relaxation, Rows, U
from verifier.checker.errors import CheckError
from verifier.checker.network import Network, Relu

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RELU, HINTED = 4, 5
LEAVES_AT_ONCE = 64
LARGEST_MULTIPLIER = 1e30
MOST_SPLITS = 2000  # on one path


@dataclass(frozen=True)
class Leaf:
    """Position of the leaf's word, its splits as (ReLU node ordinal, neuron, sign), and its hints."""

    position: int
    splits: tuple[tuple[int, int, int], ...]
    weights: Floats
    slopes: Floats
    multipliers: Floats


@dataclass(frozen=True)
class PhaseTree:
    """``neurons`` (P, 2): ordinal of the ReLU node and neuron that each slope of a leaf belongs to."""

    neurons: Ints
    leaves: tuple[Leaf, ...]
    end: int


def phase_tree_end(words: Ints, start: int, rows: int) -> int:
    """Position of the word after the phase tree at ``start``."""
    return phase_tree(words, start, rows).end


def phase_tree(words: Ints, start: int, rows: int) -> PhaseTree:
    """Parse the stream behind a FRAME word; raises CheckError unless it is exactly one tree."""
    count = int(_take(words, start + 1, 1)[0])
    neurons = _take(words, start + 2, 2 * count).reshape(count, 2)
    position = start + 2 + 2 * count
    leaves: list[Leaf] = []
    waiting: list[tuple[tuple[int, int, int], ...]] = [()]
    while waiting:
        splits = waiting.pop()
        word = int(_take(words, position, 1)[0])
        if word == RELU:
            if len(splits) == MOST_SPLITS:
                raise CheckError(f"more than {MOST_SPLITS} ReLU splits above word {position}")
            node, neuron = (int(w) for w in _take(words, position + 1, 2))
            waiting.append((*splits, (node, neuron, 1)))
            waiting.append((*splits, (node, neuron, -1)))
            position += 3
        elif word == HINTED:
            weights = _floats(_take(words, position + 1, 2 * rows))
            packed = _take(words, position + 1 + 2 * rows, (count + 1) // 2)
            slopes = np.stack([packed >> 8, packed & 255], axis=1).reshape(-1)[:count] / 255.0
            after = position + 1 + 2 * rows + len(packed)
            multipliers = _floats(_take(words, after, 2 * len(splits)))
            leaves.append(Leaf(position, splits, weights, slopes, multipliers))
            position = after + 2 * len(splits)
        else:
            raise CheckError(f"unknown word {word} at {position} in a phase tree")
    return PhaseTree(neurons, tuple(leaves), position)


def _take(words: Ints, start: int, count: int) -> Ints:
    if start + count > len(words):
        raise CheckError("tree ends inside a phase tree")
    return words[start : start + count]


def _floats(words: Ints) -> Floats:
    """Pairs of words as float32 numbers >= 0, widened exactly."""
    values = words.astype("<u2").view("<f4").astype(np.float64)
    if not ((values >= 0) & (values < LARGEST_MULTIPLIER)).all():
        raise CheckError("a multiplier is negative, not finite or absurdly large")
    return values


def prove_phases(bounder: Bounder, rows: Rows, tree: PhaseTree, box: Boxes) -> tuple[list[int], float]:
    """Positions of the leaves that are not proved. The margin is 0: a combination of rows says no more than that."""
    relus = [k for k, node in enumerate(bounder.network.nodes) if isinstance(node, Relu)]
    check_neurons(bounder.network, relus, tree)
    refused: list[int] = []
    with np.errstate(all="ignore"):
        frame = bounder.relax(box)
        for at in range(0, len(tree.leaves), LEAVES_AT_ONCE):
            leaves = tree.leaves[at : at + LEAVES_AT_ONCE]
            low = _bound(bounder, rows, frame, relus, tree.neurons, leaves)
            refused += [leaf.position for leaf, value in zip(leaves, low, strict=True) if not value > 0]
    return refused, 0.0


def check_neurons(network: Network, relus: list[int], tree: PhaseTree) -> None:
    named = [(int(node), int(neuron)) for node, neuron in tree.neurons]
    named += [(node, neuron) for leaf in tree.leaves for node, neuron, _ in leaf.splits]
    for node, neuron in named:
        if node >= len(relus) or neuron >= network.sizes[relus[node]]:
            raise CheckError(f"neuron {neuron} of ReLU {node} does not exist")


def _bound(
    bounder: Bounder, rows: Rows, frame: Relaxation, relus: list[int], neurons: Ints, leaves: tuple[Leaf, ...]
) -> Floats:
    """Lower bound (N,) of each leaf's combination of rows on its part of the box."""
    count = len(leaves)
    boxes = Boxes(*(np.repeat(part, count, axis=0) for part in _parts(frame.boxes)))
    sizes = {k: np.broadcast_to(size, (count, size.shape[1])) for k, size in frame.sizes.items()}
    lines = {k: _lines(frame, bounder, k, i, neurons, leaves) for i, k in enumerate(relus)}
    weights = np.stack([leaf.weights for leaf in leaves])
    combined = Rows(weights @ rows.x, weights @ rows.y, weights @ rows.constant)
    # Combining rounds; cancellation between rows must not hide that, so it is charged to the magnitudes.
    gamma = bounder.gamma + 4 * (weights.shape[1] + 4) * U
    last = len(bounder.network.nodes) - 1
    magnitude = weights @ (np.abs(rows.constant) + np.abs(rows.y) @ sizes[last][0] + np.abs(rows.x) @ sizes[0][0])
    relaxation = Relaxation(boxes, lines, {}, sizes)
    return bounder.combined(combined, np.arange(count), relaxation, 4 * gamma * magnitude)[3]


def _parts(boxes: Boxes) -> tuple[Floats, Floats, Floats, Floats]:
    return boxes.lower, boxes.upper, boxes.mid, boxes.rad


def _lines(frame: Relaxation, bounder: Bounder, k: int, ordinal: int, neurons: Ints, leaves: tuple[Leaf, ...]) -> Lines:
    """Lines of ReLU node ``k`` for each leaf: the frame's, with offered slopes where unstable, and the splits."""
    default = frame.lines[k]
    count = len(leaves)
    below, slope, offset = (np.repeat(part, count, axis=0) for part in (default.below, default.slope, default.offset))
    shift = np.zeros_like(below)
    node = bounder.network.nodes[k]
    assert isinstance(node, Relu)
    lower, upper = frame.ranges[node.parent]
    mine = np.flatnonzero(neurons[:, 0] == ordinal)
    mine = mine[(lower[0, neurons[mine, 1]] < 0) & (upper[0, neurons[mine, 1]] > 0)]
    below[:, neurons[mine, 1]] = np.stack([leaf.slopes for leaf in leaves])[:, mine]
    for row, leaf in enumerate(leaves):
        for (where, neuron, sign), multiplier in zip(leaf.splits, leaf.multipliers, strict=True):
            if where == ordinal:
                below[row, neuron] = slope[row, neuron] = 1.0 if sign > 0 else 0.0
                offset[row, neuron] = 0.0
                shift[row, neuron] -= sign * multiplier
    return Lines(below, slope, offset, np.broadcast_to(default.size, below.shape), shift)
