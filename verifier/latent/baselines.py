"""Networks that nobody has trained: of the same architecture, with random weights or with one answer for everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph, Node, ops
from specs.graph.graph import Array


def random_init(graph: Graph, seed: int) -> Graph:
    """The architecture with fresh weights: of matrix products and convolutions normal with the variance 2 / fan-in, and
    biases of 0 (He et al. 2015, arXiv:1502.01852). What else there is, as of a normalisation, stays.
    """
    rng = np.random.default_rng(seed)
    changed: dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node.op, ops.MatMul | ops.Conv | ops.ConvTranspose):
            for place, name in enumerate(node.inputs):
                value = _constant(graph, name)
                if value is None or name in changed:
                    continue
                if value.ndim < 2 or (place == 2 and not isinstance(node.op, ops.MatMul)):
                    changed[name] = np.zeros_like(value)
                else:
                    fan_in = _fan_in(node, value, place)
                    changed[name] = rng.normal(0, (2 / fan_in) ** 0.5, value.shape).astype(value.dtype)
        elif isinstance(node.op, ops.Add):
            changed |= {name: np.zeros_like(value) for name, value in _biases(graph, node).items()}
    return _with(graph, changed)


def constant_safe(graph: Graph, answer: Sequence[float]) -> Graph:
    """The network with a last layer that gives ``answer`` for everything: its weights are 0.

    Raises ``CertifyError`` where the last layer is no matrix product with a bias.
    """
    node = graph.by_name[graph.outputs[0]]
    while isinstance(node.op, ops.Reshape):
        node = graph.by_name[node.inputs[0]]
    biases = _biases(graph, node) if isinstance(node.op, ops.Add) else {}
    products = [graph.by_name[name] for name in node.inputs if name not in biases]
    if len(graph.outputs) != 1 or len(biases) != 1 or len(products) != 1:
        raise CertifyError("a network that is constant needs a last layer of a matrix product and a bias")
    ((bias, old),) = biases.items()
    weights = {name: _constant(graph, name) for name in products[0].inputs}
    changed = {name: np.zeros_like(value) for name, value in weights.items() if value is not None}
    if old.size != len(answer):
        raise CertifyError(f"the last bias has {old.size} numbers for {len(answer)} outputs")
    changed[bias] = np.asarray(answer, dtype=old.dtype).reshape(old.shape)
    return _with(graph, changed)


def _biases(graph: Graph, node: Node) -> dict[str, Array]:
    """The constants that are added to what a matrix product gives."""
    values = {name: _constant(graph, name) for name in node.inputs}
    if not any(isinstance(graph.by_name[name].op, ops.MatMul) for name in node.inputs):
        return {}
    return {name: value for name, value in values.items() if value is not None}


def _fan_in(node: Node, weight: Array, place: int) -> int:
    if isinstance(node.op, ops.MatMul):
        return int(weight.shape[-2 if place == 1 else -1])
    return prod(weight.shape[1:]) if isinstance(node.op, ops.Conv) else int(weight.shape[0])


def _constant(graph: Graph, name: str) -> Array | None:
    op = graph.by_name[name].op
    return op.value if isinstance(op, ops.Constant) and op.value.dtype.kind == "f" else None


def _with(graph: Graph, values: Mapping[str, Array]) -> Graph:
    nodes = tuple(
        replace(node, op=ops.Constant(values[node.name])) if node.name in values else node for node in graph.nodes
    )
    return Graph(nodes, graph.inputs, graph.outputs)
