"""What a graph computes inside on every example of a data file, by its reference evaluation in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from specs.compose import internal_tensor
from specs.graph import Graph

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Activations:
    """``values[tap]`` (examples, elements), flat in row-major order."""

    values: Mapping[str, Reals]

    @property
    def points(self) -> int:
        return len(next(iter(self.values.values())))


def activations(graph: Graph, inputs: Reals, taps: Sequence[str]) -> Activations:
    """Activations at ``taps`` (see `specs.compose.internal_tensor`) on ``inputs`` (examples, ``graph.input_size``).

    What no tap depends on is not computed. Raises ``ValueError`` for a tap that is not there, for no examples, and for
    inputs of another size.
    """
    nodes = {tap: internal_tensor(graph, tap) for tap in taps}
    if not taps:
        raise ValueError("no layer is named")
    if inputs.ndim != 2 or inputs.shape[1] != graph.input_size:
        raise ValueError(f"examples have {prod(inputs.shape[1:])} values, but the network takes {graph.input_size}")
    if not len(inputs):
        raise ValueError("there are no examples")
    names = list(dict.fromkeys(nodes.values()))
    sizes = [prod(graph.by_name[name].shape) for name in names]
    columns = np.split(evaluate_all(_part(graph, names), inputs), np.cumsum(sizes)[:-1], axis=1)
    found = dict(zip(names, columns))
    return Activations({tap: found[name] for tap, name in nodes.items()})


def evaluate_all(graph: Graph, inputs: Reals) -> Reals:
    """Flat outputs (examples, ``graph.output_size``) at flat ``inputs`` (examples, ``graph.input_size``)."""
    return np.stack([graph.evaluate_flat(x) for x in inputs])


def _part(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph with ``names`` as outputs and without what these do not depend on."""
    needed: set[str] = set(graph.inputs)
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += graph.by_name[name].inputs
    return Graph(tuple(node for node in graph.nodes if node.name in needed), graph.inputs, tuple(names))
