"""A refutation over ReLU phases in the certificate's words (docs/reference/certificate-format.md, "Phase trees").

The checker derives the ranges of the root again: by intervals, and for the neurons that these leave unstable by rows
with CROWN's slopes, which the frame at the root asks for. What it accepts does not depend on how the tree was found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.smt.bounds import Ranges, unstable
from relaxations.smt.encode import Neuron, Question
from relaxations.smt.tree import SLOPE_STEPS, Leaf, Path, Tree
from verifier.certificate.words import END, FRAME, PHASES, PROOF, RELU

FRAME_STEPS = 15  # a slope's unit in a frame


def phase_words(question: Question, ranges: Ranges, tree: Tree, case: int = 0) -> np.ndarray:
    """The chunk that proves one case by the tree; its numbers are rounded to what a certificate holds.

    The question's layers have to be the ReLU nodes of the model, in order and with all their neurons.
    """
    columns = [(k, i) for k, (l, u) in enumerate(ranges) for i in unstable(l, u)]
    words = [1, case, *_frame(question, ranges, columns)]
    stack: list[tuple[Path, Tree]] = [((), tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, Leaf):
            words += [*_proof(node.rounded(), ranges, columns), END]
        else:
            words += [RELU, *node.neuron]
            stack.append(((*path, (node.neuron, 1)), node.above))
            stack.append(((*path, (node.neuron, -1)), node.below))
    return np.array(words, dtype=np.uint16)


def root_words(chunk: int) -> np.ndarray:
    """The case's own chunk: its whole box is proved by the phase tree in another one."""
    return np.array([PHASES, chunk >> 16, chunk & 0xFFFF], dtype=np.uint16)


def _frame(question: Question, ranges: Ranges, columns: Sequence[Neuron]) -> list[int]:
    words = [FRAME, len(columns), *(number for neuron in columns for number in neuron)]
    # All neurons of a layer: also those that are stable since their rows say so.
    refined = [k for k, layer in enumerate(question.layers) if any(source for source, _ in layer.terms)]
    words.append(len(refined))
    for k in refined:
        neurons = range(len(ranges[k][0]))
        steps = [FRAME_STEPS * _crown(ranges, neuron) for neuron in columns if neuron[0] < k]
        steps += [0] * (-len(steps) % 4)
        packed = [a << 12 | b << 8 | c << 4 | d for a, b, c, d in zip(*[iter(steps)] * 4)]
        words += [k, len(neurons), 1, *neurons, *packed]
    return words


def _proof(leaf: Leaf, ranges: Ranges, columns: Sequence[Neuron]) -> list[int]:
    slopes = [leaf.slopes.get(neuron, _crown(ranges, neuron)) for neuron in columns]
    steps = [int(slope * SLOPE_STEPS) for slope in slopes]
    steps += [0] * (len(steps) % 2)
    packed = [a << 8 | b for a, b in zip(*[iter(steps)] * 2)]
    return [PROOF, 0, *_floats(leaf.weights), *packed, *_floats(leaf.multipliers)]


def _crown(ranges: Ranges, neuron: Neuron) -> int:
    l, u = (end[neuron[1]] for end in ranges[neuron[0]])
    return int(u > -l)


def _floats(values: Sequence[object]) -> list[int]:
    return np.array([float(value) for value in values], dtype="<f4").view("<u2").tolist()
