"""Interval bound propagation: the cheapest bounds, all correlations forgotten."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from relaxations.network import ReluNetwork, push

Array = Any


def interval_bounds(network: ReluNetwork, lower: Array, upper: Array, xp: ModuleType) -> list[tuple[Array, Array]]:
    """Bounds (B, n) of every ReLU layer's input and of the outputs (last), for boxes (B, inputs).

    Source: Gowal et al. 2018, arXiv:1810.12715.
    """
    mids, rads = [(lower + upper) / 2], [(upper - lower) / 2]
    bounds = []
    for layer in (*network.layers, network.output):
        mid = sum((push(w, mids[s]) for s, w in layer.terms), start=layer.bias)
        rad = sum(push(abs(w), rads[s]) for s, w in layer.terms)
        low, up = mid - rad, mid + rad
        bounds.append((low, up))
        relu_low, relu_up = xp.maximum(low, 0), xp.maximum(up, 0)
        mids.append((relu_low + relu_up) / 2)
        rads.append((relu_up - relu_low) / 2)
    return bounds
