"""Interval bound propagation: the cheapest bounds, all correlations forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relaxations.network import Layer, ReluNetwork, push

Array = Any
Range = tuple[Array, Array]  # lower and upper bounds


def through_layer(layer: Layer, ranges: Sequence[Range]) -> Range:
    """Bounds of a layer's values from those of its sources, ``ranges[source]``."""
    center, radius = layer.bias, 0
    for source, weight in layer.terms:
        low, up = ranges[source]
        center = center + push(weight, (low + up) / 2)
        radius = radius + push(abs(weight), (up - low) / 2)
    return center - radius, center + radius


def interval_bounds(network: ReluNetwork, lower: Array, upper: Array) -> list[Range]:
    """Bounds (B, n) of every layer's values and of the outputs (last), for boxes (B, inputs).

    Source: Gowal et al. 2018, arXiv:1810.12715.
    """
    ranges, bounds = [(lower, upper)], []
    for layer in (*network.layers, network.output):
        low, up = through_layer(layer, ranges)
        bounds.append((low, up))
        ranges.append((layer.output(low), layer.output(up)))
    return bounds
