"""Interval bound propagation: the cheapest bounds, all correlations forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relaxations.bounds.balls import Ball, least
from relaxations.network import Layer, ReluNetwork, push, rows_of

Array = Any
CELLS_AT_ONCE = 1 << 22  # of one matrix of coefficients; bounds memory, not results
Range = tuple[Array, Array]  # lower and upper bounds


def through_layer(layer: Layer, ranges: Sequence[Range]) -> Range:
    """Bounds of a layer's values from those of its sources, ``ranges[source]``."""
    center, radius = layer.bias, 0
    for source, weight in layer.terms:
        low, up = ranges[source]
        center = center + push(weight, (low + up) / 2)
        radius = radius + push(abs(weight), (up - low) / 2)
    return center - radius, center + radius


def affine_range(layer: Layer, lower: np.ndarray, upper: np.ndarray, ball: Ball) -> Range:
    """Bounds (n,) of the values of a layer that reads the input alone, on a box (inputs,) as far as it is in a ball."""
    mid, rad = (lower + upper) / 2, (upper - lower) / 2
    low, up = np.empty(len(layer.bias)), np.empty(len(layer.bias))
    step = max(1, CELLS_AT_ONCE // len(mid))
    for at in range(0, len(low), step):
        rows = np.arange(at, min(at + step, len(low)))
        [form] = [rows_of(weight, rows).astype(float) for _, weight in layer.terms]
        center = form @ mid + layer.bias[rows]
        low[rows] = center + least(form, mid, rad, ball, np)[0]
        up[rows] = center - least(-form, mid, rad, ball, np)[0]
    return low, up


def reads_input(layer: Layer) -> bool:
    """Whether a layer reads the input and nothing else."""
    return [source for source, _ in layer.terms] == [0]


def interval_bounds(network: ReluNetwork, lower: Array, upper: Array, ball: Ball | None = None) -> list[Range]:
    """Bounds (B, n) of every layer's values and of the outputs (last), for boxes (B, inputs).

    With a ``ball`` they hold on the parts of the boxes in it, and layers that read the input alone have the best there
    are. Source: Gowal et al. 2018, arXiv:1810.12715.
    """
    ranges, bounds = [(lower, upper)], []
    for layer in (*network.layers, network.output):
        if ball is not None and reads_input(layer):
            found = [affine_range(layer, *box, ball) for box in zip(lower, upper)]
            low, up = (np.stack(side) for side in zip(*found))
        else:
            low, up = through_layer(layer, ranges)
        bounds.append((low, up))
        ranges.append((layer.output(low), layer.output(up)))
    return bounds
