"""A network without the ReLU units that data never uses, and the question how far that is from the network itself.

A unit that no example activates contributes 0 on all of them, so without it nothing changes there; elsewhere it may.
Source: Liu, Dolan-Gavitt and Garg, *Fine-pruning: defending against backdooring attacks on deep neural networks*,
RAID 2018, who prune what clean data leaves idle and retrain. Here nothing is retrained, and the difference is a
question that can be answered for all inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specs.compose.internal import counted_names
from specs.graph import Graph, Node, ops
from specs.hulls.activations import activations

Reals = NDArray[np.float64]
SHARE = 0.01  # of the range of the outputs on the data: how closely the gap is looked for


@dataclass(frozen=True)
class Pruned:
    """``graph`` without ``units``: by the name of a ReLU layer, such as ``relu1``, the numbers of its units, flat."""

    graph: Graph
    units: Mapping[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        return sum(map(len, self.units.values()))


def pruned(graph: Graph, inputs: Reals, min_support: int = 1) -> Pruned:
    """The graph without the ReLU units that fewer than ``min_support`` rows of ``inputs`` activate, in float64.

    What such a unit returns is multiplied by 0, and that of its neighbours by 1, which changes no number in any
    floating-point format: the function is that of a network without the unit. Raises ``ValueError`` as `activations`
    does, and where there is no ReLU.
    """
    names = {node: name for name, node in counted_names(graph).items() if isinstance(graph.by_name[node].op, ops.Relu)}
    if not names:
        raise ValueError("has no ReLU, so no unit is ever idle")
    found = activations(graph, inputs, [graph.by_name[node].inputs[0] for node in names])
    idle: dict[str, NDArray[np.bool_]] = {}
    for node in names:
        active = (found.values[graph.by_name[node].inputs[0]] > 0).sum(axis=0)
        if (active < min_support).any():
            idle[node] = active < min_support
    nodes = tuple(part for node in graph.nodes for part in _without(node, idle.get(node.name), graph))
    units = {names[node]: tuple(map(int, np.flatnonzero(which))) for node, which in idle.items()}
    return Pruned(Graph(nodes, graph.inputs, graph.outputs), units)


def _without(node: Node, idle: NDArray[np.bool_] | None, graph: Graph) -> Iterator[Node]:
    """The node; one with idle units under another name, and under its own what is left of it."""
    if idle is None:
        yield node
        return
    whole, kept = (_fresh(f"{node.name}_{word}", graph) for word in ("whole", "exercised"))
    yield Node(whole, node.op, node.inputs, node.shape)
    yield Node(kept, ops.Constant(np.where(idle, 0, 1).astype(np.float32).reshape(node.shape)), (), node.shape)
    yield Node(node.name, ops.Mul(), (whole, kept), node.shape)


def _fresh(name: str, graph: Graph) -> str:
    while name in graph.by_name:
        name += "_"
    return name


def gap_spec(name: str, model: str, other: str, graph: Graph, inputs: Reals) -> str:
    """A spec.yaml that asks how far the outputs of the files ``model`` and ``other`` are apart.

    It asks about the box of ``inputs`` (examples, size), which are what the network consumes, for the user to widen.
    """
    outputs = np.stack([graph.evaluate_flat(x) for x in inputs])
    width = float((outputs.max(axis=0) - outputs.min(axis=0)).max())
    resolution = 10.0 ** np.floor(np.log10(SHARE * width)) if 0 < width < np.inf else 0.001
    shape = list(graph.by_name[graph.inputs[0]].shape) if len(graph.inputs) == 1 else [graph.input_size]
    low, high = (json.dumps([float(v) for v in end]) for end in (inputs.min(axis=0), inputs.max(axis=0)))
    return f"""certify: "1.0"
name: {json.dumps(f"{name} without the units that data leaves idle")}
description: How far pruning what no example exercises can change an output, on the box that the examples span.
models:
  original: {{path: {json.dumps(model)}}}
  pruned: {{path: {json.dumps(other)}, role: reference}}
inputs:
  x:
    shape: {json.dumps(shape)}
    box:
      lo: {low}
      hi: {high}
require:
  - id: gap
    severity: benign
    assert: "norm(original(x) - pruned(x), inf) <= most"
    solve_for: {{most: {{minimize: true, resolution: {resolution:g}}}}}
"""
