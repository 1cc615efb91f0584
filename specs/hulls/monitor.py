"""A monitor: one network that computes what a model does and by how much its activations leave a hull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from specs.compose import Composer
from specs.graph import Graph, ops
from specs.hulls.hull import Hull, HullRow

EXCESS, ACCEPT = "excess", "accept"
FEW = 2
"""Terms of a row up to which its activations are picked one by one; longer rows are one matrix."""


def monitor_graph(graph: Graph, hulls: Mapping[str, Hull]) -> Graph:
    """The graph with two more outputs, at the end.

    ``hulls`` are by nodes of ``graph``. ``excess`` (1,) is the largest ``sum coefficient * h[i] - bound`` of all rows
    of all hulls, with the numbers of these rows, and ``accept`` (1,) is whether it is at most 0. In exact arithmetic
    ``accept`` is true exactly in the hulls. A row with one coefficient, of 1 or -1, is decided without rounding by any
    IEEE arithmetic, given the activation. Raises ``ValueError`` where float32 does not hold a number of a row.
    """
    composer = Composer()
    arguments = [composer.input(name, graph.by_name[name].shape) for name in graph.inputs]
    computed = composer.inline(graph, arguments, [*graph.outputs, *hulls], "")
    outputs, taps = computed[: len(graph.outputs)], computed[len(graph.outputs) :]
    excesses = [part for tap, hull in zip(taps, hulls.values()) for part in _excesses(composer, tap, hull)]
    largest = composer.add(ops.ReduceMax((0,), True), composer.joined(excesses), name=EXCESS)
    accept = composer.add(ops.LessOrEqual(), largest, composer.constant(np.zeros(1, dtype=np.float32)), name=ACCEPT)
    return composer.build(arguments, [*outputs, largest, accept])


def _excesses(composer: Composer, tap: str, hull: Hull) -> list[str]:
    """Vectors of what the rows exceed their bounds by, rows of equal length together."""
    if prod(composer.shape(tap)) != hull.size:
        raise ValueError(f"a hull of {hull.size} activations for a layer of {prod(composer.shape(tap))}")
    lengths = dict.fromkeys(len(row.terms) for row in hull.rows)
    return [_alike(composer, tap, [row for row in hull.rows if len(row.terms) == n]) for n in lengths]


def _alike(composer: Composer, tap: str, rows: Sequence[HullRow]) -> str:
    bounds = composer.constant(_singles([row.bound for row in rows]), "bounds")
    if len(rows[0].terms) <= FEW:
        total = ""
        for terms in zip(*(row.terms for row in rows)):
            picked = composer.picked(tap, [i for i, _ in terms])
            factors = composer.constant(_singles([c for _, c in terms]), "signs")
            part = composer.add(ops.Mul(), picked, factors)
            total = composer.add(ops.Add(), total, part) if total else part
    else:
        matrix = np.zeros((len(rows), prod(composer.shape(tap))), dtype=np.float32)
        for r, row in enumerate(rows):
            matrix[r, [i for i, _ in row.terms]] = _singles([c for _, c in row.terms])
        total = composer.add(ops.MatMul(), composer.constant(matrix, "directions"), composer.flat(tap))
    return composer.add(ops.Sub(), total, bounds)


def _singles(values: Sequence[object]) -> np.ndarray:
    """Numbers in float32, exactly."""
    found = np.array([float(value) for value in values], dtype=np.float32)  # type: ignore[arg-type]
    if [float(value) for value in found] != list(values):
        raise ValueError("some number of the hull is none of float32")
    return found
