"""Rows of several nodes side by side, for one pass: whose they are, their frames, and their duals spread out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.bounds.balls import Ball
from relaxations.bounds.dual import Duals, Frame, Lines, lines
from verifier.engine.phases.node import FINE, Node

Stored = Sequence[Sequence[np.ndarray]]  # per node and layer, (rows, n)


class Batch:
    """Nodes with their first ``depth`` layers; a row has an ``owner`` (the node) and a ``place`` (among its rows)."""

    def __init__(
        self, nodes: Sequence[Node], depth: int, mid: np.ndarray, rad: np.ndarray, ball: Ball | None = None
    ) -> None:
        self.nodes, self.depth, self.mid, self.rad, self.ball = nodes, depth, mid, rad, ball
        self.signs = nodes[0].signs
        self.lower = [np.stack([node.lower[j] for node in nodes]) for j in range(depth)]
        self.upper = [np.stack([node.upper[j] for node in nodes]) for j in range(depth)]
        self.phases: list[np.ndarray | None] = []
        for j in range(depth):
            signs = [node.phase(j) for node in nodes]
            split = [s for s in signs if s is not None]
            whole = np.stack([np.zeros_like(split[0]) if s is None else s for s in signs]) if split else None
            self.phases.append(whole)

    def lines(self, owner: np.ndarray) -> tuple[Frame, Lines]:
        """Frame and lines, one per row, or one for all rows where there is but one node."""
        where: np.ndarray | slice = owner if len(self.nodes) > 1 else slice(None)
        lower, upper = (tuple(part[where] for part in parts) for parts in (self.lower, self.upper))
        frame = Frame(self.mid, self.rad, lower, upper, self.ball)
        return frame, lines(frame, tuple(None if p is None else p[where] for p in self.phases), np, self.signs)

    def slopes(self, stored: Stored, owner: np.ndarray, place: np.ndarray, levels: int) -> tuple[np.ndarray, ...]:
        """Slopes (N, n) per layer from steps of 1 / levels."""
        out = []
        for j in range(self.depth):
            rows = np.empty((len(owner), self.lower[j].shape[1]), dtype=np.float32)
            for i in np.unique(owner):
                mine = owner == i
                rows[mine] = stored[i][j][place[mine]]
            out.append(rows / np.float32(levels))
        return tuple(out)

    def multipliers(
        self, stored: Sequence[np.ndarray], owner: np.ndarray, place: np.ndarray
    ) -> tuple[np.ndarray | None, ...]:
        """Multipliers (N, n) per layer from those of each row's splits; None for a layer that no node has split."""
        out = [None if p is None else np.zeros((len(owner), p.shape[1]), dtype=np.float32) for p in self.phases]
        for i in np.unique(owner):
            rows = np.flatnonzero(owner == i)
            for s, (layer, neuron, _) in enumerate(self.nodes[i].splits):
                if layer < self.depth:
                    values = out[layer]
                    assert values is not None
                    values[rows, neuron] = stored[i][place[rows], s]
        return tuple(out)

    def store(
        self, duals: Duals, owner: np.ndarray, place: np.ndarray, levels: int, slopes: Stored, multipliers: Stored
    ) -> None:
        """Write the duals of rows back to where ``slopes`` and ``multipliers`` would read them."""
        for i in np.unique(owner):
            rows = np.flatnonzero(owner == i)
            for j in range(self.depth):
                slopes[i][j][place[rows]] = np.round(duals.slopes[j][rows] * levels).astype(np.uint8)
            for s, (layer, neuron, _) in enumerate(self.nodes[i].splits):
                if layer < self.depth:
                    values = duals.multipliers[layer]
                    multipliers[i][place[rows], s] = values[rows, neuron]  # type: ignore[call-overload]


def as_stored(duals: Duals, levels: int) -> Duals:
    """The duals as a certificate holds them: slopes in steps, multipliers of intermediate rows cut to 16 bits."""
    slopes = tuple(np.round(np.clip(s, 0, 1) * levels) / np.float32(levels) for s in duals.slopes)
    if levels == FINE:
        return Duals(slopes, duals.multipliers, duals.weights)
    return Duals(slopes, tuple(None if b is None else _cut(b) for b in duals.multipliers), duals.weights)


def halved(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def whole(halves: np.ndarray) -> np.ndarray:
    """The float32 numbers that have these upper halves, and lower ones of 0."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def padded(multipliers: np.ndarray, splits: int) -> np.ndarray:
    """Multipliers (N, S) with zeros for the splits made since; a copy."""
    return np.pad(multipliers, ((0, 0), (0, splits - multipliers.shape[1])))


def _cut(values: np.ndarray) -> np.ndarray:
    """Float32 numbers with the lower half of their bits cleared."""
    return (np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
