"""The tree as it is found, kept in the certificate's words (docs/reference/certificate-format.md)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from relaxations.multipliers import Multipliers
from verifier.certificate.words import EMPTY, END, FRAME, MULTIPLIERS, PROOF, RELU, SYMBOLS, ZONOTOPE
from verifier.engine.phases.cutting import Cut
from verifier.engine.phases.node import FinalDuals, Node, RowDuals
from verifier.engine.phases.store import Place, Store

ENTRY = 200  # bytes in memory of an item that is stored
Item = bytes | Place
Kept = dict[int, list[Item]]  # items by node


@dataclass
class PhaseTree:
    """What is known of every node by number: the packed words of its items, and how it ends.

    ``rows`` is the number of rows of each case, ``names`` the network's number of each neuron of a layer, where nodes
    count but some of them; ``symbols`` tells that a zonotope has bounded the root, too. ``zonotopes`` are the items of
    splits in zonotopes, which are written after all others: what these prove, open leaves need not prove again, in
    whatever order they were found. ``split`` holds the neuron, by this number, and the number of the first child;
    ``below`` the nodes that prove what splits in the node's zonotope have left. With a ``store`` items are kept there
    from the first on, and leave memory when they are many.
    """

    rows: np.ndarray
    names: list[np.ndarray]
    symbols: bool = False
    items: Kept = field(default_factory=dict)
    zonotopes: Kept = field(default_factory=dict)
    split: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    below: dict[int, list[int]] = field(default_factory=dict)
    held: int = 0  # bytes in memory
    size: int = 0  # words
    store: Store | None = None

    def frame(self, node: Node, inherited: np.ndarray) -> np.ndarray:
        """Record the node's refreshed bounds; returns the columns (P, 2) for which slopes are stored from here on.

        At the root there is a frame even where no bound was refreshed: without columns no slope could be stored.
        """
        if not node.refreshed and (node.splits or len(inherited) or not node.lower):
            return inherited
        unstable = [node.free(k) for k in range(len(node.lower))]
        columns = np.concatenate([np.stack([np.full(len(n), k), n], axis=1) for k, n in enumerate(unstable)])
        named = np.concatenate([np.stack([np.full(len(n), k), self.names[k][n]], 1) for k, n in enumerate(unstable)])
        parts = [np.array([FRAME, len(columns)]), named.reshape(-1), np.array([len(node.refreshed)])]
        for k, neurons in sorted(node.refreshed.items()):
            parts += _refined(k, node.rows[k].select(neurons), self.names[k], unstable, node.splits)
        self._add(node.number, parts)
        return columns

    def proof(self, node: Node, case: int, final: FinalDuals, first_row: int, columns: np.ndarray) -> None:
        """Record that a case is proved at the node; ``final`` holds the duals of this one row."""
        steps = np.zeros(len(columns) + len(columns) % 2, dtype=np.uint16)
        for k in np.unique(columns[:, 0]):
            on = np.flatnonzero(columns[:, 0] == k)
            steps[on] = final.slopes[k][columns[on, 1]]
        weights = final.weights[first_row : first_row + self.rows[case]]
        parts = [np.array([PROOF, case]), _floats(weights), steps[::2] << 8 | steps[1::2], _floats(final.multipliers)]
        self._add(node.number, parts)

    def cuts(self, node: Node, case: int, cut: Cut, first_row: int, columns: np.ndarray, left: Sequence[int]) -> None:
        """Record that a case is proved at the node by splits in its zonotope but for leaves, the nodes ``left``."""
        slopes = np.zeros(len(columns), dtype=np.uint16)
        place = [np.zeros(len(lower), dtype=np.int64) for lower in node.lower]
        for k in np.unique(columns[:, 0]):
            on = np.flatnonzero(columns[:, 0] == k)
            slopes[on] = cut.slopes[k][columns[on, 1]]
            place[k][columns[on, 1]] = on
        column = np.concatenate([at[node.free(k)] for k, at in enumerate(place)])
        weights = cut.weights[first_row : first_row + self.rows[case]]
        parts = [np.array([ZONOTOPE, case]), _floats(weights), slopes, _floats(cut.multipliers)]
        self._add(node.number, parts + cut.search.words(column), self.zonotopes)
        self.below.setdefault(node.number, []).extend(left)

    def multiplied(self, node: Node, case: int, dual: Multipliers, of_splits: np.ndarray, columns: np.ndarray) -> None:
        """Record that a case is proved at the node by multipliers of its unstable neurons and of the splits (S,)."""
        place = [np.zeros(len(lower), dtype=np.int64) for lower in node.lower]
        for k in np.unique(columns[:, 0]):
            on = np.flatnonzero(columns[:, 0] == k)
            place[k][columns[on, 1]] = on
        nothing = np.zeros(0, dtype=np.int64)  # all that there is of a network without ReLUs
        listed = np.concatenate([nothing, *(at[node.free(k)] for k, at in enumerate(place))])
        parts = [np.array([MULTIPLIERS, case]), _floats(dual.weights), _floats(of_splits)]
        parts += [np.array([len(listed)]), listed, np.array([int(dual.squares is not None)])]
        kinds = [dual.positive, dual.above, dual.chord]
        if dual.product is not None and dual.back is not None:
            kinds += [dual.product, dual.back]
        parts += [_floats(np.concatenate([nothing, *kind])) for kind in kinds]
        if dual.squares is not None:
            parts += [_floats(np.array([dual.ball])), _floats(dual.squares)]
        self._add(node.number, parts)

    def close(self, node: Node) -> None:
        """The node has no case left, or no input."""
        self.ended[node.number] = EMPTY if node.empty else END

    def branch(self, node: Node, neuron: tuple[int, int], first_child: int) -> None:
        """A neuron is split; the node's children are ``first_child`` (inactive) and the next number."""
        layer, place = neuron
        self.split[node.number] = layer, int(self.names[layer][place]), first_child

    def merge(self, other: PhaseTree) -> None:
        """Take over what another part of the same tree has recorded, also of nodes that were known before."""
        for mine, theirs in ((self.items, other.items), (self.zonotopes, other.zonotopes)):
            for number, items in theirs.items():
                for item in items:
                    self._keep(number, other.bytes_of(item), mine)
        for number, left in other.below.items():
            self.below.setdefault(number, []).extend(left)
        self.split.update(other.split)
        self.ended.update(other.ended)
        self.size += other.size

    def words(self, cases: Sequence[int]) -> PhaseWords:
        """The whole chunk, the cases by the checker's numbers; every node must have ended."""
        return PhaseWords(self, tuple(cases))

    def bytes_of(self, item: Item) -> bytes:
        """The packed words of an item, wherever they are."""
        if isinstance(item, bytes):
            return item
        assert self.store is not None
        return self.store.get(item)

    def _add(self, number: int, parts: list[np.ndarray], where: Kept | None = None) -> None:
        words = np.concatenate([part.astype("<u2") for part in parts])
        self._keep(number, zlib.compress(words.tobytes(), 1), self.items if where is None else where)
        self.size += len(words)

    def _keep(self, number: int, data: bytes, where: Kept) -> None:
        where.setdefault(number, []).append(data if self.store is None else self.store.put(data))
        self.held += len(data) if self.store is None else ENTRY


@dataclass(frozen=True)
class PhaseWords:
    """A tree as a chunk of a certificate."""

    tree: PhaseTree
    cases: tuple[int, ...]

    def __len__(self) -> int:
        return sum(map(len, self.pieces()))

    def pieces(self) -> Iterator[np.ndarray]:
        """The words in preorder, some at a time."""
        tree, cases = self.tree, self.cases
        yield np.array([len(cases), *cases, *([SYMBOLS] if tree.symbols else [])], dtype="<u2")
        stack = [0]
        while stack:
            number = stack.pop()
            for item in (*tree.items.get(number, ()), *tree.zonotopes.get(number, ())):
                yield np.frombuffer(zlib.decompress(tree.bytes_of(item)), dtype="<u2")
            if number in tree.split:
                layer, neuron, child = tree.split[number]
                yield np.array([RELU, layer, neuron], dtype="<u2")
                stack += [child + 1, child]
            else:
                yield np.array([tree.ended[number]], dtype="<u2")
            stack += reversed(tree.below.get(number, []))


def _refined(
    k: int, rows: RowDuals, names: np.ndarray, unstable: list[np.ndarray], splits: tuple[tuple[int, int, int], ...]
) -> list[np.ndarray]:
    """Layer k of a frame: neurons by their ``names``, slopes four to a word, multipliers of earlier splits."""
    steps = np.concatenate([np.zeros((len(rows.multipliers), 0)), *(s[:, n] for s, n in zip(rows.slopes, unstable))], 1)
    steps = np.pad(steps, ((0, 0), (0, -steps.shape[1] % 4))).astype(np.uint16).reshape(len(steps), -1, 4)
    packed = steps[:, :, 0] << 12 | steps[:, :, 1] << 8 | steps[:, :, 2] << 4 | steps[:, :, 3]
    above = [s for s, (layer, _, _) in enumerate(splits) if layer < k]
    multipliers = np.ascontiguousarray(rows.multipliers[:, above], dtype="<f4").view("<u4") >> 16
    head = np.array([k, len(rows.neurons), int(rows.shared)])
    return [head, names[rows.neurons], packed.reshape(-1), multipliers.reshape(-1)]


def _floats(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype="<f4").reshape(-1).view("<u2")
