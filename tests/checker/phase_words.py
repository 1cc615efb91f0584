"""Phase chunks written word by word, as docs/reference/certificate-format.md describes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source
from verifier.checker.network import Network, Relu

FRAME, PROOF, RELU, END, EMPTY = 1, 2, 3, 4, 5
BOX_TO_PHASES = 3  # the word in a tree over boxes
NOWHERE = Source("", "", None)
Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Refined:
    """One refined layer of a frame; per hint row slopes (0 to 15) and multipliers (their upper 16 bits are kept)."""

    layer: int
    neurons: Sequence[int]
    shared: bool
    slopes: Sequence[Sequence[int]]
    multipliers: Sequence[Sequence[float]]

    def words(self) -> list[int]:
        head = [self.layer, len(self.neurons), int(self.shared), *self.neurons]
        slopes = [word for row in self.slopes for word in nibbles(row)]
        return [*head, *slopes, *(half(value) for row in self.multipliers for value in row)]


def nibbles(steps: Sequence[int]) -> list[int]:
    """Four slopes to a word, the first in the highest bits."""
    filled = [*steps, *[0] * (-len(steps) % 4)]
    return [a << 12 | b << 8 | c << 4 | d for a, b, c, d in zip(*[iter(filled)] * 4)]


def half(value: float) -> int:
    """The upper half of a float32."""
    return int(np.array([value], dtype="<f4").view("<u4")[0] >> 16)


def float32(value: float) -> list[int]:
    """Both halves of a float32, the lower one first."""
    low, high = np.array([value], dtype="<f4").view("<u2").tolist()
    return [low, high]


def frame(columns: Pairs, *refined: Refined) -> list[int]:
    named = [number for pair in columns for number in pair]
    return [FRAME, len(columns), *named, len(refined), *(w for layer in refined for w in layer.words())]


def proof(
    case: int, weights: Sequence[float], slopes: Sequence[int] = (), multipliers: Sequence[float] = ()
) -> list[int]:
    """``slopes`` are steps of 1/255, one for every column of the frame."""
    filled = [*slopes, *[0] * (len(slopes) % 2)]
    packed = [a << 8 | b for a, b in zip(*[iter(filled)] * 2)]
    return [
        PROOF,
        case,
        *(w for v in weights for w in float32(v)),
        *packed,
        *(w for v in multipliers for w in float32(v)),
    ]


def split(layer: int, neuron: int) -> list[int]:
    return [RELU, layer, neuron]


def chunk(cases: Sequence[int], *parts: Sequence[int]) -> list[int]:
    return [len(cases), *cases, *(word for part in parts for word in part)]


def certificate(cases: int, *phase_chunks: Sequence[int]) -> Certificate:
    """Every case is proved by the first phase chunk."""
    roots = [[BOX_TO_PHASES, 0, cases]] * cases
    return Certificate(NOWHERE, NOWHERE, cases, tuple(map(words, [*roots, *phase_chunks])), "")


def words(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint16)


def relu_widths(network: Network) -> list[int]:
    return [network.sizes[k] for k, node in enumerate(network.nodes) if isinstance(node, Relu)]


def random_frame(rng: random.Random, widths: Sequence[int], path: Pairs) -> tuple[list[tuple[int, int]], list[int]]:
    """Columns and words of a frame below splits (layer, neuron): some layers refined, any hints."""
    neurons = [(layer, i) for layer, width in enumerate(widths) for i in range(width)]
    columns = [pair for pair in neurons if rng.random() < 0.8]
    refined = []
    for layer, width in enumerate(widths):
        chosen = [i for i in range(width) if rng.random() < 0.7]
        if rng.random() < 0.3 or not chosen:
            continue
        shared = rng.random() < 0.3
        before, above = sum(k < layer for k, _ in columns), sum(k < layer for k, _ in path)
        rows = 1 if shared else 2 * len(chosen)
        slopes = [[rng.choice((0, 15, rng.randrange(16))) for _ in range(before)] for _ in range(rows)]
        refined.append(Refined(layer, chosen, shared, slopes, [magnitudes(rng, above) for _ in range(rows)]))
    return columns, frame(columns, *refined)


def random_proof(rng: random.Random, case: int, rows: int, columns: int, splits: int) -> list[int]:
    slopes = [rng.choice((0, 255, rng.randrange(256))) for _ in range(columns)]
    weights = [rng.choice((0.0, 1.0, rng.random() * 100)) for _ in range(rows)]
    return proof(case, weights, slopes, magnitudes(rng, splits))


def magnitudes(rng: random.Random, count: int) -> list[float]:
    """Numbers >= 0 of many sizes."""
    return [rng.choice((0.0, rng.random(), 10.0 ** rng.randint(-9, 9))) for _ in range(count)]


def random_tree(rng: random.Random, checker: Checker, depth: int, empties: float = 0.0) -> list[int]:
    """A chunk for all cases: random splits, frames anywhere, hints of any size; ``empties`` is a share of endings."""
    widths = relu_widths(checker.bounder.network)
    rows = [len(case.rows) for case in checker.cases]
    neurons = [(layer, i) for layer, width in enumerate(widths) for i in range(width)]

    def node(levels: int, path: Pairs, columns: Pairs, pending: Sequence[int]) -> list[int]:
        found: list[int] = []
        if not path or rng.random() < 0.4:
            columns, found = random_frame(rng, widths, path)
        proved = [case for case in pending if levels == 0 or rng.random() < 0.2]
        for case in proved:
            found += random_proof(rng, case, rows[case], len(columns), len(path))
        left = [case for case in pending if case not in proved]
        if not left or not neurons:
            return [*found, EMPTY if rng.random() < empties else END]
        below = rng.choice(neurons)
        halves = (node(levels - 1, (*path, below), columns, left) for _ in range(2))
        return [*found, *split(*below), *(word for half_words in halves for word in half_words)]

    everything = range(len(rows))
    return chunk(everything, node(depth, (), (), everything))
