"""Nodes of the tree over ReLU phases: a region of the box, the bounds known on it, and the duals that gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

Neuron = tuple[int, int]  # ReLU layer, place in it
Split = tuple[int, int, int]  # ReLU layer, neuron, sign

COARSE, FINE = 15, 255  # steps of the slopes that a certificate stores: of intermediate rows, of final rows


@dataclass(frozen=True)
class RowDuals:
    """How the bounds of one layer's unstable neurons were found: m lower rows, then m upper rows.

    ``slopes[j]`` (2 m, n_j), or (1, n_j) where all rows share them, in steps of 1/COARSE; ``multipliers`` (2 m, S) of
    the first S splits of the path. ``gap[j]`` (2 m, n_j) is what each relaxed neuron costs each bound, as the upper
    half of a float32, and 0 only where the bound does not depend on its relaxation; None when shared.
    """

    neurons: np.ndarray
    slopes: tuple[np.ndarray, ...]
    multipliers: np.ndarray
    gap: tuple[np.ndarray, ...] | None

    @property
    def shared(self) -> bool:
        """Whether all rows share their slopes, which are then the default ones."""
        return self.gap is None

    def reached(self, moved: Mapping[int, np.ndarray]) -> np.ndarray:
        """The neurons with a bound that depends on the relaxation of one of ``moved[j]`` on an earlier layer j."""
        assert self.gap is not None
        rows = np.zeros(2 * len(self.neurons), dtype=bool)
        for j, neurons in moved.items():
            if j < len(self.gap):
                rows |= self.gap[j][:, neurons].any(axis=1)
        return self.neurons[rows.reshape(2, -1).any(axis=0)]

    def select(self, neurons: np.ndarray) -> RowDuals:
        """The rows of some of the neurons (a sorted subset)."""
        at = np.searchsorted(self.neurons, neurons)
        rows = np.zeros(1, dtype=int) if self.shared else np.concatenate([at, len(self.neurons) + at])
        gap = None if self.gap is None else tuple(g[rows] for g in self.gap)
        return RowDuals(neurons, tuple(s[rows] for s in self.slopes), self.multipliers[rows], gap)

    def slimmed(self, kept: Sequence[np.ndarray], k: int) -> RowDuals:
        """The same rows of layer k among the neurons kept on each layer; the rows of the others are gone."""
        some = self.select(np.intersect1d(self.neurons, kept[k], assume_unique=True))
        slopes = tuple(s[:, keep] for s, keep in zip(some.slopes, kept))
        gap = None if some.gap is None else tuple(g[:, keep] for g, keep in zip(some.gap, kept))
        return RowDuals(np.searchsorted(kept[k], some.neurons), slopes, some.multipliers, gap)


@dataclass(frozen=True)
class FinalDuals:
    """Duals of the open cases' final rows: slopes (P, n_j) in steps of 1/FINE, multipliers (P, S), weights (P, R)."""

    slopes: tuple[np.ndarray, ...]
    multipliers: np.ndarray
    weights: np.ndarray

    def __getitem__(self, where: np.ndarray) -> FinalDuals:
        return FinalDuals(tuple(s[where] for s in self.slopes), self.multipliers[where], self.weights[where])

    def slimmed(self, kept: Sequence[np.ndarray]) -> FinalDuals:
        """The same duals among the neurons kept on each layer."""
        return replace(self, slopes=tuple(s[:, keep] for s, keep in zip(self.slopes, kept)))


class Candidate(NamedTuple):
    """A neuron that may be split, and what its relaxation costs the open rows, directly and through later bounds."""

    neuron: Neuron
    cost: float


@dataclass
class Node:
    """A region: the box where the splits hold. ``lower[k]``, ``upper[k]`` (n,) bound layer k's pre-activations on it.

    ``rows[k]`` tells how layer k's were found, here or above; ``refreshed`` the neurons for which it was here.
    ``pending`` lists the cases not proved above or here. ``bound`` is the least bound of their final rows, ``point``
    the relaxed minimiser's input that attains it, ``missing`` what all open rows together lack to be proved (<= 0), and
    ``candidates`` neurons worth splitting, the most promising first (none: all are fixed). ``by_upper`` (n,) marks the
    neurons of the last layer that an open row, here or at the parent, bounds by their upper line. ``fresh`` counts the
    splits made since intermediate bounds were last refreshed, ``share`` is the part of the whole tree that lies below.
    Of the layers ``signs`` nothing is split.
    A node that is ``begun`` has not been bounded yet; splits in its zonotope are tried from ``cut_from`` splits on.
    """

    number: int
    splits: tuple[Split, ...]
    lower: list[np.ndarray]
    upper: list[np.ndarray]
    rows: dict[int, RowDuals]
    pending: np.ndarray
    final: FinalDuals
    refreshed: dict[int, np.ndarray] = field(default_factory=dict)
    empty: bool = False
    bound: float = -np.inf
    worst: int = 0
    point: np.ndarray = field(default_factory=lambda: np.zeros(0))
    missing: float = -np.inf
    candidates: tuple[Candidate, ...] = ()
    begun: bool = False
    cut_from: int = 0
    fresh: int = 0
    share: float = 1.0
    by_upper: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    signs: frozenset[int] = frozenset()

    def unstable(self, layer: int) -> np.ndarray:
        """The neurons of a layer that may be active or not."""
        return np.flatnonzero((self.lower[layer] < 0) & (self.upper[layer] > 0))

    def free(self, layer: int) -> np.ndarray:
        """Those of them that have slopes and may be split: ReLUs."""
        return self.unstable(layer) if layer not in self.signs else np.zeros(0, dtype=np.int64)

    def slimmed(self, kept: Sequence[np.ndarray]) -> Node:
        """The root among the neurons kept on each layer, all others being idle: what is known of it is the same."""
        assert not self.splits
        return replace(
            self,
            lower=[l[keep] for l, keep in zip(self.lower, kept)],
            upper=[u[keep] for u, keep in zip(self.upper, kept)],
            rows={k: rows.slimmed(kept, k) for k, rows in self.rows.items()},
            final=self.final.slimmed(kept),
            candidates=tuple(
                Candidate((k, int(np.searchsorted(kept[k], i))), cost) for (k, i), cost in self.candidates
            ),
        )

    def phase(self, layer: int) -> np.ndarray | None:
        """Signs (n,) of the splits on a layer, None when there are none."""
        here = [(neuron, sign) for k, neuron, sign in self.splits if k == layer]
        if not here:
            return None
        signs = np.zeros(len(self.lower[layer]), dtype=np.int8)
        for neuron, sign in here:
            signs[neuron] = sign
        return signs

    def child(self, number: int, splits: Sequence[Split]) -> Node:
        """The part of the region where neurons are active (sign +1) or inactive (-1)."""
        lower, upper = list(self.lower), list(self.upper)
        for layer, neuron, sign in splits:
            side = lower if sign > 0 else upper
            side[layer] = side[layer].copy()
            side[layer][neuron] = 0
        path = (*self.splits, *splits)
        node = Node(number, path, lower, upper, dict(self.rows), self.pending, self.final, by_upper=self.by_upper)
        node.signs = self.signs
        node.fresh, node.share = self.fresh + len(splits), self.share * 2.0 ** -len(splits)
        node.cut_from = self.cut_from
        return node
