"""Reading a phase chunk: a tree over ReLU phases of one box, shared by every case that has this box.

The chunk is ``count, case...`` and then, in preorder, nodes. A node is any number of items followed by one ending:

* ``FRAME`` (item): pre-activation bounds are computed anew, here and for everything below. ``P`` and P pairs (ReLU
  layer, neuron) name the columns for which slopes are given; then the number of refined layers, each as ``layer, m,
  shared, m neurons``, then hint rows: one where ``shared`` is 1, else 2 m, for the lower and then the upper bounds of
  the neurons. First the slopes of all hint rows, of the columns on earlier layers (four to a word, in steps of 1/15;
  a row starts a new word); then per hint row one multiplier per split on an earlier layer, in the order of the path
  (the upper half of a float32).
* ``PROOF`` (item): one case is proved here and for everything below: the index of the case, a float32 weight per row,
  slopes of all columns (two to a word, in steps of 1/255), a float32 multiplier per split on the path.
* ``ZONOTOPE`` (item): one case is proved here and for everything below, by more splits in one zonotope: the index of
  the case, a float32 weight per row, a slope per column (a word, in steps of 1/65535), a float32 multiplier per split
  on the path; then the number of nodes of its tree (high word first), for each node in preorder 0 if it is a leaf,
  65535 if it is an open one, or 1 + the column that is split; and for each split in the same order two multipliers (the
  upper half of a float32 each), for the side <= 0 and the side >= 0. For every open leaf of a node's items there
  follows, after the node's ending, a node that has the splits above the leaf on its path and has to prove the one case,
  unless an item before this one, of the node or of one above, proves it.
* ``MULTIPLIERS`` (item): one case is proved here and for everything below, by a linear or quadratic form: the index of
  the case, a float32 weight per row, a float32 multiplier per split on the path; the number of listed columns and these
  (a word each, no two alike), 1 if the form is quadratic or 0; then float32 numbers: for every listed column those of
  a >= 0, of b >= 0 and of the chord, and if it is quadratic those of a b = 0 and of b (L - b) >= 0, that of the case's
  ball, then the squares of the constant, of every input and of every listed column. Those of a b = 0 and of the
  constant may be negative.
* ``SYMBOLS`` (item): before everything else at the root only; ranges at the root are also those of a zonotope with a
  symbol for every unstable ReLU.
* ``RELU layer neuron`` (ending): two nodes follow, for the neuron's argument <= 0 and >= 0.
* ``END``: nothing is left to prove. ``EMPTY``: the bounds show that the region holds no input.

Words are 16 bits. Layers are numbered by the order of the nodes that are ReLUs or signs; signs are refined like ReLUs,
but they have neither slopes nor phases. What the hints say can only make bounds loose;
coverage follows from the grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError
from verifier.checker.words import Reader, high_halves

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint16]
Split = tuple[int, int, int]  # ReLU layer, neuron, sign

FRAME, PROOF, RELU, END, EMPTY, ZONOTOPE, SYMBOLS, MULTIPLIERS = 1, 2, 3, 4, 5, 6, 7, 8
CUT_OPEN = 65535  # the word of an open leaf
LEAF, OPEN = -1, -2
MOST_SPLITS = 2000  # on one path
MOST_NODES = 1 << 21  # of one tree, together with their items; bounds memory
MOST_CUTS = 1 << 23  # nodes of its trees in zonotopes
MOST_STEPS = 1 << 21  # splits above open leaves of these, added up


@dataclass(frozen=True)
class Refined:
    """Neurons of one layer whose bounds are computed backward, with hints for all of them or for each bound."""

    layer: int
    neurons: Ints
    shared: bool
    columns: Ints  # which of the frame's columns lie on earlier layers
    splits: tuple[int, ...]  # which of the path's splits do
    packed_slopes: Words
    packed_multipliers: Words

    @property
    def hint_rows(self) -> int:
        return 1 if self.shared else 2 * len(self.neurons)

    @cached_property
    def slopes(self) -> Floats:
        """(hint rows, columns), in [0, 1]."""
        words = self.packed_slopes.reshape(self.hint_rows, -(-len(self.columns) // 4))
        nibbles = np.stack([words >> 12, words >> 8 & 15, words >> 4 & 15, words & 15], axis=2)
        return nibbles.reshape(len(words), 4 * words.shape[1])[:, : len(self.columns)] / 15.0

    @cached_property
    def multipliers(self) -> Floats:
        """(hint rows, splits), each >= 0."""
        return high_halves(self.packed_multipliers).reshape(self.hint_rows, len(self.splits))


@dataclass(frozen=True)
class Frame:
    """``columns`` (P, 2): layer and neuron that each slope belongs to."""

    columns: Ints
    refined: tuple[Refined, ...]


@dataclass(frozen=True)
class Proof:
    """Hints that prove case ``case``; ``position`` is where they stand in the chunk."""

    position: int
    case: int
    weights: Floats
    slopes: Floats
    multipliers: Floats


@dataclass(frozen=True)
class Cuts:
    """Hints that prove case ``case`` by further splits.

    Node t of the tree is a leaf (``column[t]`` is LEAF), an open one (OPEN), or split at a column; its children are
    t + 1, with multiplier ``below[t]``, and ``second[t]``, with multiplier ``above[t]``.

    ``number`` is its place among the endings, which are counted with these proofs.
    """

    position: int
    number: int
    case: int
    weights: Floats
    slopes: Floats
    multipliers: Floats
    column: Ints
    second: Ints
    below: Floats
    above: Floats


@dataclass(frozen=True)
class Multiplied:
    """Hints that prove case ``case`` by a form in the symbols of the inputs and of the listed columns (K,).

    ``multipliers`` are those of the splits on the path. ``positive``, ``above``, ``chord``, ``product`` and ``back``
    (K,) are those of the listed columns, ``ball`` is the one of the case's ball, ``squares`` (1 + inputs + K,) are
    those of the constant, the inputs and the listed columns; the last four are 0 where the form is linear. ``product``
    and ``squares[0]`` have any sign.
    """

    position: int
    case: int
    weights: Floats
    multipliers: Floats
    columns: Ints
    positive: Floats
    above: Floats
    chord: Floats
    quadratic: bool
    product: Floats
    back: Floats
    ball: float
    squares: Floats


Item = Frame | Proof | Cuts | Multiplied


class Child(NamedTuple):
    """A node below another: its position in the list of nodes, the splits in between.

    ``item`` is the place among the node's items of the ``Cuts`` whose open leaf it is, None below a split ReLU.
    """

    at: int
    splits: tuple[Split, ...]
    item: int | None


@dataclass(slots=True)
class Node:
    """``end`` is the number of its ending, -1 if a ReLU is split; then the two sides are the last of ``children``.

    ``first_end`` counts the endings, and the items ``Cuts``, before the node, ``last_end`` those up to and including it
    and all below it.
    """

    position: int
    items: tuple[Item, ...]
    end: int
    empty: bool
    first_end: int
    last_end: int = 0
    children: list[Child] = field(default_factory=list)


@dataclass(frozen=True)
class PhaseTree:
    """The cases it speaks of and its nodes in preorder. ``symbols``: the root is bounded by a zonotope, too."""

    cases: tuple[int, ...]
    nodes: tuple[Node, ...]
    symbols: bool = False

    @property
    def ends(self) -> int:
        """The number of endings, ``Cuts`` included."""
        return self.nodes[0].last_end

    def leaves(self, first_end: int, last_end: int) -> int:
        """Leaves among these endings: a tree in a zonotope has many."""
        items = [item for node in self.nodes for item in node.items if isinstance(item, Cuts)]
        mine = [np.count_nonzero(item.column == LEAF) for item in items if first_end <= item.number < last_end]
        return last_end - first_end + int(sum(mine)) - len(mine)


def read_phase_tree(
    words: Words, inputs: int, widths: list[int], rows: list[int], signs: frozenset[int] = frozenset()
) -> PhaseTree:
    """Parse a chunk; raises CheckError unless it is exactly one tree about existing neurons and cases.

    ``inputs`` is the number of inputs, ``widths`` are the sizes of the layers, ``signs`` those of them that are no
    ReLUs and have neither slopes nor phases; ``rows`` is the number of rows of every case of the query.
    """
    phased = [0 if layer in signs else width for layer, width in enumerate(widths)]
    reader = Reader(words)
    cases = tuple(reader.take(reader.one()).tolist())
    if not cases or len(set(cases)) != len(cases) or max(cases) >= len(rows):
        raise CheckError("a phase tree is about no case, one that does not exist, or one twice")
    symbols = reader.next_is(SYMBOLS)
    nodes: list[Node] = []
    ends = held = cut = steps = 0
    path: list[Split] = []
    # Waiting: how much of the path is the parent's, the parent, the splits below it, columns, the parent's item.
    waiting: list[tuple[int, int, tuple[Split, ...], Ints, int | None]] = []
    waiting.append((0, -1, (), np.zeros((0, 2), dtype=np.int64), None))
    while waiting:
        above, parent, last, columns, of = waiting.pop()
        path[above:] = last
        if len(path) > MOST_SPLITS:
            raise CheckError(f"more than {MOST_SPLITS} ReLU splits above word {reader.at}")
        if parent >= 0:
            nodes[parent].children.append(Child(len(nodes), last, of))
        position, first_end = reader.at, ends
        items: list[Item] = []
        below: list[tuple[tuple[Split, ...], Ints, int | None]] = []
        while (word := reader.one()) in (FRAME, PROOF, ZONOTOPE, MULTIPLIERS):
            if word == FRAME:
                frame = _frame(reader, widths, phased, path)
                items.append(frame)
                columns = frame.columns
            elif word == PROOF:
                items.append(_proof(reader, cases, rows, len(columns), len(path)))
            elif word == MULTIPLIERS:
                items.append(_multiplied(reader, cases, rows, inputs, len(columns), len(path)))
                held += 3  # a dozen arrays, however short
            else:
                cuts = _cuts(reader, cases, rows, len(columns), len(path), ends, MOST_CUTS - cut)
                for splits in _open_paths(cuts, columns):
                    steps += len(splits)
                    if steps > MOST_STEPS:
                        raise CheckError(f"a phase tree has more than {MOST_STEPS} splits above open leaves")
                    below.append((splits, columns, len(items)))
                items.append(cuts)
                ends += 1
                cut += len(cuts.column)
            held += 1
            _check_size(held)
        held += 1
        _check_size(held)
        node = Node(position, tuple(items), -1 if word == RELU else ends, word == EMPTY, first_end)
        nodes.append(node)
        if word == RELU:
            layer, neuron = reader.one(), reader.one()
            _check(np.array([[layer, neuron]]), phased)
            below += [(((layer, neuron, sign),), columns, None) for sign in (-1, 1)]
        elif word in (END, EMPTY):
            ends += 1
            node.last_end = ends
        else:
            raise CheckError(f"unknown word {word} at {reader.at - 1} of a phase tree")
        waiting += [(len(path), len(nodes) - 1, *rest) for rest in reversed(below)]
    if reader.at != len(words):
        raise CheckError("a phase tree goes on after its end")
    for node in reversed(nodes):
        if node.children:
            node.last_end = nodes[node.children[-1].at].last_end
    return PhaseTree(cases, tuple(nodes), symbols)


def _check_size(held: int) -> None:
    if held > MOST_NODES:
        raise CheckError(f"a phase tree has more than {MOST_NODES} nodes and items")


def _frame(reader: Reader, widths: list[int], phased: list[int], splits: list[Split]) -> Frame:
    columns = reader.take(2 * reader.one()).reshape(-1, 2).astype(np.int64)
    _check(columns, phased)
    if len(np.unique(columns, axis=0)) != len(columns):
        raise CheckError("a frame of a phase tree has a column twice")
    refined: list[Refined] = []
    for _ in range(reader.one()):
        layer, count, shared = reader.one(), reader.one(), reader.one()
        neurons = reader.take(count).astype(np.int64)
        _check(np.stack([np.full(count, layer), neurons], axis=1), widths)
        ordered = layer < len(widths) and (not refined or layer > refined[-1].layer)
        if not ordered or shared > 1 or not count or len(set(neurons.tolist())) != count:
            raise CheckError("the refined layers of a frame are out of order, or one is malformed")
        mine = np.flatnonzero(columns[:, 0] < layer)
        above = tuple(s for s, split in enumerate(splits) if split[0] < layer)
        hint_rows = 1 if shared else 2 * count
        slopes = reader.take(hint_rows * -(-len(mine) // 4))
        multipliers = reader.take(hint_rows * len(above))
        refined.append(Refined(layer, neurons, bool(shared), mine, above, slopes, multipliers))
    return Frame(columns, tuple(refined))


def _case(reader: Reader, cases: tuple[int, ...]) -> int:
    position, case = reader.at - 1, reader.one()
    if case >= len(cases):
        raise CheckError(f"word {position} proves case {case} of {len(cases)} in a phase tree")
    return case


def _proof(reader: Reader, cases: tuple[int, ...], rows: list[int], columns: int, splits: int) -> Proof:
    position, case = reader.at - 1, _case(reader, cases)
    weights = reader.floats(rows[cases[case]])
    packed = reader.take((columns + 1) // 2)
    slopes = np.stack([packed >> 8, packed & 255], axis=1).reshape(-1)[:columns] / 255.0
    return Proof(position, case, weights, slopes, reader.floats(splits))


def _multiplied(
    reader: Reader, cases: tuple[int, ...], rows: list[int], inputs: int, columns: int, splits: int
) -> Multiplied:
    position, case = reader.at - 1, _case(reader, cases)
    weights, multipliers = reader.floats(rows[cases[case]]), reader.floats(splits)
    count = reader.one()
    listed = reader.take(count).astype(np.int64)
    if listed.max(initial=-1) >= columns or len(np.unique(listed)) != count:
        raise CheckError(f"word {position} lists a column that the frame does not have, or one twice")
    quadratic = reader.one()
    if quadratic > 1:
        raise CheckError(f"word {position}: a form is linear (0) or quadratic (1), not {quadratic}")
    positive, above, chord = (reader.floats(count) for _ in range(3))
    product = back = np.broadcast_to(0.0, count)  # what is not in the file must not take room
    ball = 0.0
    squares = np.broadcast_to(0.0, 1 + inputs + count)
    if quadratic:
        product, back, ball = reader.signed(count), reader.floats(count), float(reader.floats(1)[0])
        squares = np.concatenate([reader.signed(1), reader.floats(inputs + count)])
    linear = position, case, weights, multipliers, listed, positive, above, chord
    return Multiplied(*linear, bool(quadratic), product, back, ball, squares)


def _cuts(
    reader: Reader, cases: tuple[int, ...], rows: list[int], columns: int, splits: int, number: int, most: int
) -> Cuts:
    position, case = reader.at - 1, _case(reader, cases)
    weights = reader.floats(rows[cases[case]])
    slopes, multipliers = reader.take(columns) / 65535.0, reader.floats(splits)
    count = reader.one() << 16 | reader.one()
    if count > most:
        raise CheckError(f"a phase tree has more than {MOST_CUTS} nodes in zonotopes")
    column = reader.take(count).astype(np.int64) - 1
    column[column == CUT_OPEN - 1] = OPEN
    inner = np.flatnonzero(column >= 0)
    hints = np.zeros((count, 2))
    hints[inner] = high_halves(reader.take(2 * len(inner))).reshape(-1, 2)
    if column.max(initial=-1) >= columns:
        raise CheckError(f"word {position} splits a column that the frame does not have")
    return Cuts(
        position, number, case, weights, slopes, multipliers, column, _seconds(column, position), *hints.T.copy()
    )


def _seconds(column: Ints, position: int) -> Ints:
    """Where the second child of each node of a binary tree in preorder stands; leaves have a negative column."""
    second = np.zeros(len(column), dtype=np.int64)
    waiting = [(-1, 0)]  # parents of the nodes to come (of a second child only; -1 otherwise), their depths
    for node, split in enumerate((column >= 0).tolist()):
        if not waiting:
            raise CheckError(f"the tree at word {position} goes on after its end")
        parent, depth = waiting.pop()
        if parent >= 0:
            second[parent] = node
        if depth > MOST_SPLITS:
            raise CheckError(f"more than {MOST_SPLITS} splits above a leaf of the tree at word {position}")
        if split:
            waiting += [(node, depth + 1), (-1, depth + 1)]
    if waiting:
        raise CheckError(f"the tree at word {position} ends too early")
    return second


def _open_paths(cuts: Cuts, columns: Ints) -> Iterator[tuple[Split, ...]]:
    """The splits above each open leaf, in preorder."""
    if not (cuts.column == OPEN).any():
        return
    path: list[Split] = []
    waiting = [(0, 0, 0)]  # node, its depth, the sign of the split above it
    above = np.zeros(MOST_SPLITS + 1, dtype=np.int64)  # columns split on the path
    while waiting:
        node, depth, sign = waiting.pop()
        if depth:
            layer, neuron = columns[above[depth - 1]].tolist()
            path[depth - 1 :] = [(layer, neuron, sign)]
        column = int(cuts.column[node])
        if column == OPEN:
            yield tuple(path[:depth])
        elif column >= 0:
            above[depth] = column
            waiting += [(int(cuts.second[node]), depth + 1, 1), (node + 1, depth + 1, -1)]


def _check(neurons: Ints, widths: list[int]) -> None:
    """Neurons (N, 2) exist."""
    if len(neurons) and (
        neurons[:, 0].max() >= len(widths) or (neurons[:, 1] >= np.array(widths)[neurons[:, 0]]).any()
    ):
        raise CheckError("a phase tree names a neuron that does not exist, or one of a sign where only ReLUs can stand")
