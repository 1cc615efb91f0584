"""Optimisation-based bound tightening: ranges of neurons as optima of the linear program of the layers before them.

Every new bound is what a dual proves (``relaxations.lp.safe_dual``), never the solver's own optimum, so a solver that
errs can only leave a range as it was. Source: for networks, Tjeng, Xiao and Tedrake 2019, arXiv:1711.07356 (section
4.1); for mixed-integer programs, Gleixner et al. 2017, doi:10.1007/s10898-016-0450-4.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from relaxations.base import Branch, Query
from relaxations.bounds.boxes import Rows
from relaxations.lp.phase_program import PhaseProgram
from relaxations.network import ReluNetwork


def tightened(query: Query, neurons: Iterable[tuple[int, int]] | None = None, seconds: float = np.inf) -> Query:
    """The query with ranges that are nowhere looser, those of the chosen (layer, neuron) tightened in turn.

    All unstable neurons are chosen if none are named; each layer uses what was found before it. Two linear programs for
    each neuron. Out of time, the rest stays as it was.
    """
    end = time.monotonic() + seconds
    chosen = sorted(set(neurons)) if neurons is not None else None
    for k in range(len(query.network.layers)):
        free = set(query.unstable(k).tolist())
        here = sorted(free if chosen is None else free & {i for layer, i in chosen if layer == k})
        if here and k > 0:
            query = _layer(query, k, here, end)
    return query


def worth_tightening(branches: Sequence[Branch], count: int) -> list[tuple[int, int]]:
    """The neurons of the ``count`` most promising branches that a relaxation's ``tighten`` returned."""
    return [(branch.layer, branch.neuron) for branch in branches[:count]]


def _layer(query: Query, k: int, neurons: list[int], end: float) -> Query:
    """One layer: it is the output of a network that ends with it, and each bound a row over that."""
    layer, m = query.network.layers[k], len(neurons)
    unit = np.zeros((2 * m, len(layer.bias)))
    unit[np.arange(m), neurons], unit[m + np.arange(m), neurons] = 1.0, -1.0
    network = ReluNetwork(query.network.input_size, query.network.layers[:k], replace(layer, sign=False))
    rows = Rows(np.zeros((2 * m, query.network.input_size)), unit, np.zeros(2 * m))
    program = PhaseProgram(Query(network, rows, query.lower, query.upper, query.ranges[:k]))
    low, up = (side.copy() for side in query.ranges[k])
    for r in range(2 * m):
        left = end - time.monotonic()
        if left <= 0:
            break
        least = -program.least(r, left).safe.value
        i = neurons[r % m]
        if not np.isfinite(least):
            continue
        if r < m:
            low[i] = max(low[i], least)
        else:
            up[i] = min(up[i], -least)
    ranges = (*query.ranges[:k], (low, up), *query.ranges[k + 1 :])
    return replace(query, ranges=ranges)
