"""What a split reaches: bounds of later layers that rest on neurons whose bounds it has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verifier.engine.phases.node import Node

Moved = dict[int, np.ndarray]  # by layer, the neurons whose bounds a node has changed
Behind = tuple[Node, Moved, np.ndarray]  # and some of a later layer's whose bounds rest on these


def split_alone(node: Node) -> Moved:
    """What has moved in a node whose new splits are all that is known of it yet."""
    new = node.splits[len(node.splits) - node.fresh :]
    return {layer: np.unique([n for k, n, _ in new if k == layer]) for layer in {k for k, _, _ in new}}


def behind_split(nodes: Sequence[Node], moved: Sequence[Moved], k: int) -> list[Behind]:
    """The nodes where bounds of layer k rest on what has moved, and its unstable neurons for which this is so."""
    found = []
    for node, here in zip(nodes, moved):
        if not node.empty and k in node.rows:
            reached = np.intersect1d(node.rows[k].reached(here), node.unstable(k), assume_unique=True)
            if len(reached):
                found.append((node, here, reached))
    return found
