"""Phase chunks written word by word, as docs/reference/certificate-format.md describes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source
from verifier.checker.network import Network

FRAME, PROOF, RELU, END, EMPTY, ZONOTOPE, SYMBOLS, MULTIPLIERS = 1, 2, 3, 4, 5, 6, 7, 8
CLOSED, OPEN = 0, 65535  # words of a tree in a zonotope
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


@dataclass(frozen=True)
class Cut:
    """A node of a tree in a zonotope: a column is split, with a multiplier for either side."""

    column: int
    multipliers: tuple[float, float]
    below: Cut | int = CLOSED
    above: Cut | int = CLOSED

    @property
    def columns(self) -> list[int]:
        """The words of the nodes from here on, in preorder."""
        return [1 + self.column, *(w for side in (self.below, self.above) for w in of_cut(side))]

    @property
    def hints(self) -> list[float]:
        """The multipliers of the splits from here on, in preorder."""
        sides = [side.hints for side in (self.below, self.above) if isinstance(side, Cut)]
        return [*self.multipliers, *(hint for side in sides for hint in side)]


def of_cut(tree: Cut | int) -> list[int]:
    return tree.columns if isinstance(tree, Cut) else [tree]


def zonotope(
    case: int,
    weights: Sequence[float],
    slopes: Sequence[int],
    tree: Cut | int,
    multipliers: Sequence[float] = (),
) -> list[int]:
    """``slopes`` are steps of 1/65535, one for every column of the frame."""
    nodes, hints = of_cut(tree), tree.hints if isinstance(tree, Cut) else []
    return [
        ZONOTOPE,
        case,
        *(w for v in weights for w in float32(v)),
        *slopes,
        *(w for v in multipliers for w in float32(v)),
        len(nodes) >> 16,
        len(nodes) & 0xFFFF,
        *nodes,
        *map(half, hints),
    ]


def multiplied(
    case: int,
    weights: Sequence[float],
    columns: Sequence[int],
    linear: Sequence[Sequence[float]],
    quadratic: Sequence[Sequence[float]] = (),
    multipliers: Sequence[float] = (),
    ball: float = 0.0,
) -> list[int]:
    """``linear``: of a >= 0, b >= 0 and the chord; ``quadratic``: of a b = 0 and b (L - b) >= 0, and the squares.

    ``ball`` is the multiplier of the case's ball, which only a quadratic form has.
    """
    of_ball = [[ball]] if quadratic else []
    numbers = [value for part in (*linear, *quadratic[:2], *of_ball, *quadratic[2:]) for value in part]
    return [
        MULTIPLIERS,
        case,
        *(w for v in (*weights, *multipliers) for w in float32(v)),
        len(columns),
        *columns,
        int(bool(quadratic)),
        *(w for v in numbers for w in float32(v)),
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


def phased(network: Network) -> list[tuple[int, int]]:
    """The neurons (layer, place) that may have slopes and be split: those of ReLUs."""
    layers = enumerate(network.widths)
    return [(layer, i) for layer, width in layers for i in range(width) if layer not in network.signs]


def random_frame(rng: random.Random, network: Network, path: Pairs) -> tuple[list[tuple[int, int]], list[int]]:
    """Columns and words of a frame below splits (layer, neuron): some layers refined, any hints."""
    neurons, widths = phased(network), network.widths
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


def random_multiplied(rng: random.Random, case: int, rows: int, inputs: int, columns: int, splits: int) -> list[int]:
    weights = [rng.choice((0.0, 1.0, rng.random() * 100)) for _ in range(rows)]
    listed = rng.sample(range(columns), rng.randint(0, columns))
    count = len(listed)
    linear = [magnitudes(rng, count) for _ in range(3)]
    quadratic: list[list[float]] = []
    if rng.random() < 0.5:
        product = [rng.choice((-1, 1)) * value for value in magnitudes(rng, count)]
        squares = magnitudes(rng, 1 + inputs + count)
        quadratic = [product, magnitudes(rng, count), [rng.choice((-1, 1)) * squares[0], *squares[1:]]]
    return multiplied(case, weights, listed, linear, quadratic, magnitudes(rng, splits))


def random_cuts(rng: random.Random, columns: int, depth: int, leaf: float) -> Cut | int:
    """A random tree in a zonotope; its leaves are open but for a share ``leaf``."""
    if not columns or not depth or rng.random() < 0.2:
        return CLOSED if rng.random() < leaf else OPEN
    sides = [random_cuts(rng, columns, depth - 1, leaf) for _ in range(2)]
    below, above = magnitudes(rng, 2)
    return Cut(rng.randrange(columns), (below, above), *sides)


def open_leaves(tree: Cut | int, columns: Pairs) -> list[list[tuple[int, int]]]:
    """The splits (layer, neuron) above each open leaf, in preorder."""
    if not isinstance(tree, Cut):
        return [[]] if tree == OPEN else []
    own = columns[tree.column]
    return [[own, *path] for side in (tree.below, tree.above) for path in open_leaves(side, columns)]


def magnitudes(rng: random.Random, count: int) -> list[float]:
    """Numbers >= 0 of many sizes."""
    return [rng.choice((0.0, rng.random(), 10.0 ** rng.randint(-9, 9))) for _ in range(count)]


def random_tree(rng: random.Random, checker: Checker, depth: int, empties: float = 0.0) -> list[int]:
    """A chunk for all cases: random splits, frames anywhere, hints of any size; ``empties`` is a share of endings.

    Some cases that are proved already have trees in zonotopes once more, with nothing below their open leaves.
    """
    network = checker.bounder.network
    rows, neurons = [len(case.rows) for case in checker.cases], phased(network)

    def node(levels: int, path: Pairs, columns: Pairs, pending: Sequence[int]) -> list[int]:
        found: list[int] = []
        if not path or rng.random() < 0.4:
            columns, found = random_frame(rng, network, path)
        proved = [case for case in pending if levels == 0 or rng.random() < 0.2]
        begun: list[int] = []  # nodes that go on where a tree in a zonotope is open

        def cut(case: int, leaf: float) -> Cut | int:
            tree = random_cuts(rng, len(columns), 2 if levels else 1, leaf)
            weights = [rng.choice((0.0, 1.0, rng.random() * 100)) for _ in range(rows[case])]
            slopes = [rng.choice((0, 65535, rng.randrange(65536))) for _ in columns]
            found.extend(zonotope(case, weights, slopes, tree, magnitudes(rng, len(path))))
            return tree

        def cut_again(cases: Sequence[int]) -> None:
            for case in cases:
                if not network.signs and rng.random() < 0.2:
                    begun.extend([END] * len(open_leaves(cut(case, 0.5), columns)))

        cut_again([case for case in everything if case not in pending])
        for case in proved:
            if network.signs or rng.random() < 0.4:
                found += random_proof(rng, case, rows[case], len(columns), len(path))
                continue
            if rng.random() < 0.4:
                found += random_multiplied(rng, case, rows[case], network.sizes[0], len(columns), len(path))
                continue
            for above in open_leaves(cut(case, 1.0 if levels == 0 else 0.6), columns):
                begun += node(0, (*path, *above), columns, [case])
        cut_again(proved)
        left = [case for case in pending if case not in proved]
        if not left or not neurons:
            return [*found, EMPTY if rng.random() < empties else END, *begun]
        below = rng.choice(neurons)
        halves = (node(levels - 1, (*path, below), columns, left) for _ in range(2))
        return [*found, *split(*below), *begun, *(word for half_words in halves for word in half_words)]

    everything = range(len(rows))
    return chunk(everything, [SYMBOLS] if rng.random() < 0.4 else [], node(depth, (), (), everything))
