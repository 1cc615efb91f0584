"""Our networks as PyTorch modules, for libraries that read those. Importing this imports PyTorch.

A module takes a batch (B, *input_shape) of inputs and gives the rows' values (B, R), in the dtype it is made with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import nn

from relaxations.bounds.boxes import Rows, composed
from relaxations.maps.linear import dense
from relaxations.network import ReluNetwork
from relaxations.peers.operators import OPERATORS
from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Graph, Node, ops


def module_of(network: Graph | ReluNetwork, rows: Rows, dtype: torch.dtype) -> nn.Module:
    """The rows' values as a module in evaluation mode.

    Raises UnsupportedOpError listing every operator that has no counterpart, and ModelError for a graph that is not a
    function of one tensor with a leading axis of size 1, the batch.
    """
    module = GraphRows(network, rows) if isinstance(network, Graph) else LayerRows(network, rows)
    return module.to(dtype).eval()


class LayerRows(nn.Module):
    """Layers of ReLUs with dense weights, and the rows composed with the output layer: what our own bounds read."""

    images_only = False

    def __init__(self, network: ReluNetwork, rows: Rows) -> None:
        super().__init__()
        self.input_shape = (network.input_size,)
        if network.signs:
            raise UnsupportedOpError([("Sign", f"layer {k + 1}") for k in sorted(network.signs)])
        coefs, constant = composed(rows, network.output)
        hidden = [([(source, dense(w)) for source, w in layer.terms], layer.bias) for layer in network.layers]
        self.hidden = nn.ModuleList(_Sum(terms, bias) for terms, bias in hidden)
        self.last = _Sum(sorted(coefs.items()), constant)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = [x]
        for layer in self.hidden:
            values.append(torch.relu(layer(values)))
        return self.last(values)


class GraphRows(nn.Module):
    """The graph, operator by operator, and the rows as one linear layer on its flat output (and input).

    A product with a constant matrix and the constant added to it are one linear layer, which is what libraries expect.
    """

    def __init__(self, graph: Graph, rows: Rows) -> None:
        super().__init__()
        _refuse(graph)
        self.graph = graph
        self.input_shape = graph.by_name[graph.inputs[0]].shape[1:]
        self.stored = {node.name: f"constant{k}" for k, node in enumerate(graph.nodes) if _is_constant(node)}
        for name, attribute in self.stored.items():
            self.register_parameter(attribute, _parameter(_operand(graph, name)))
        biased = _biased(graph)
        self.absorbed = {product for product, _ in biased.values()}
        linear = {}
        for node in graph.nodes:
            product, bias = biased.get(node.name, (node.name, ""))
            if isinstance(graph.by_name[product].op, ops.MatMul) and node.name not in self.absorbed:
                weight = _value(graph, graph.by_name[product].inputs[1]).T
                linear[node.name] = _linear(weight, _value(graph, bias).reshape(-1) if bias else np.zeros(len(weight)))
        self.argument = {name: graph.by_name[biased.get(name, (name, ""))[0]].inputs[0] for name in linear}
        self.place = {name: k for k, name in enumerate(linear)}
        self.linear = nn.ModuleList(linear.values())
        self.rows = _Sum([(1, rows.y), (0, rows.x)] if rows.x.any() else [(1, rows.y)], rows.constant)

    @property
    def images_only(self) -> bool:
        """Whether there are convolutions, and all sums left in the graph are of images."""
        sums = [node for node in self.graph.nodes if isinstance(node.op, (ops.Add, ops.Sub))]
        images = all(len(node.shape) == 4 for node in sums if node.name not in self.place)
        return images and any(isinstance(node.op, ops.Conv) for node in self.graph.nodes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[str, torch.Tensor] = {name: getattr(self, attribute) for name, attribute in self.stored.items()}
        for node in self.graph.nodes:
            if isinstance(node.op, ops.Input):
                values[node.name] = x
            elif node.name in self.place:
                values[node.name] = self.linear[self.place[node.name]](values[self.argument[node.name]])
            elif node.name not in values and node.name not in self.absorbed:
                values[node.name] = OPERATORS[type(node.op)](node.op, *(values[name] for name in node.inputs))
        return self.rows([_flat(x), _flat(values[self.graph.outputs[0]])])


def _flat(x: torch.Tensor) -> torch.Tensor:
    return x if x.ndim == 2 else x.flatten(1)


def _is_constant(node: Node) -> bool:
    return isinstance(node.op, ops.Constant)


def _value(graph: Graph, name: str) -> np.ndarray:
    return np.asarray(graph.by_name[name].op.evaluate(), dtype=np.float64)


def _operand(graph: Graph, name: str) -> np.ndarray:
    """The constant, without leading axes of size 1 if it is broadcast only: auto_LiRPA 0.3 takes them for a batch."""
    value = _value(graph, name)
    users = [node for node in graph.nodes if name in node.inputs]
    broadcast = all(isinstance(node.op, (ops.Add, ops.Sub, ops.Mul, ops.Div)) for node in users)
    if broadcast and all(graph.by_name[i].shape in (value.shape, node.shape) for node in users for i in node.inputs):
        while value.ndim and value.shape[0] == 1:
            value = value[0]
    return value


def _biased(graph: Graph) -> dict[str, tuple[str, str]]:
    """The product and the bias by the name of their sum, where nothing else uses the product."""
    found = {}
    uses = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)
    for node in graph.nodes:
        if not isinstance(node.op, ops.Add):
            continue
        for product, bias in (node.inputs, node.inputs[::-1]):
            first, second = graph.by_name[product], graph.by_name[bias]
            alone = isinstance(first.op, ops.MatMul) and _is_constant(second) and uses[product] == 1
            if alone and prod(second.shape) == first.shape[-1] and first.shape == node.shape:
                found[node.name] = (product, bias)
    return found


class _Sum(nn.Module):
    """``sum of weight @ values[source] + bias``."""

    def __init__(self, terms: Sequence[tuple[int, np.ndarray]], bias: np.ndarray) -> None:
        super().__init__()
        self.sources = [source for source, _ in terms]
        biases = [bias, *(np.zeros_like(bias) for _ in terms[1:])]
        self.parts = nn.ModuleList(_linear(weight, b) for (_, weight), b in zip(terms, biases))

    def forward(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        total, *rest = (part(values[source]) for source, part in zip(self.sources, self.parts))
        for other in rest:
            total = total + other
        return total


def _parameter(value: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(value, dtype=np.float64)), requires_grad=False)


def _linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = _parameter(weight), _parameter(bias)
    return layer


def _refuse(graph: Graph) -> None:
    """Raises for what ``GraphRows`` cannot express."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError("a peer bounds a function of one tensor; this network has several inputs or outputs")
    constants = {node.name for node in graph.nodes if _is_constant(node)}

    def known(node: Node) -> bool:
        if isinstance(node.op, (ops.Input, ops.Constant)):
            return True
        moving = [name for name in node.inputs if name not in constants]
        if isinstance(node.op, ops.MatMul):
            weight = graph.by_name[node.inputs[1]]
            return moving == [node.inputs[0]] and len(weight.shape) == 2
        return type(node.op) in OPERATORS and (len(moving) == 1 or isinstance(node.op, (ops.Add, ops.Sub)))

    wrong = [(type(node.op).__name__, node.name) for node in graph.nodes if not known(node)]
    if wrong:
        raise UnsupportedOpError(wrong, hint="A peer is given affine operators, ReLU, sigmoid and tanh")
    flat = [n.name for n in graph.nodes if n.name not in constants and (len(n.shape) < 2 or n.shape[0] != 1)]
    if flat:
        raise ModelError(f"a peer needs a leading axis of size 1, which is the batch; {flat[0]!r} has none")
