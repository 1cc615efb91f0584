"""How the internal tensors of a model are called, so that an overseer can read them."""

from __future__ import annotations

import re
from difflib import get_close_matches

from specs.graph import Graph, Node, ops

_ACTIVATIONS = (
    ops.Relu, ops.LeakyRelu, ops.PRelu, ops.Elu, ops.Selu, ops.Gelu, ops.Sigmoid, ops.HardSigmoid, ops.Tanh, ops.Sign,
    ops.Softplus, ops.Softsign,
)  # fmt: skip
_AFFINE = (ops.MatMul, ops.Conv, ops.ConvTranspose)
_SHOWN = 8


def internal_tensor(graph: Graph, name: str) -> str:
    """The node that ``name`` means in ``graph``.

    A name is first of all the one in the model's own file: of the tensor in an ONNX file, of the operation in a
    PyTorch program. Otherwise a kind of operator and its number, counted from 1 in the order of computation: ``relu2``,
    ``tanh1``, ``maxpool1``; ``linear3`` is the third matrix product or convolution, its bias included; ``pre2`` is what
    the second activation function (of any kind) is given.

    Raises ``ValueError`` with the nearest names.
    """
    if name in graph.by_name and not isinstance(graph.by_name[name].op, ops.Constant):
        return name
    counted = counted_names(graph)
    if name in counted:
        return counted[name]
    own = [node.name for node in graph.nodes if not isinstance(node.op, ops.Constant)]
    raise ValueError(f"has no layer {name!r}; {_nearest(name, list(counted), own)}")


def activation_inputs(graph: Graph) -> list[str]:
    """``pre1``, ``pre2``, ...: what every activation function of the graph is given."""
    return [name for name in counted_names(graph) if re.fullmatch(r"pre\d+", name)]


def counted_names(graph: Graph) -> dict[str, str]:
    """Nodes by kind and number, in the order of computation."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}

    def count(kind: str, node: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1
        found[f"{kind}{counts[kind]}"] = node

    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for value in set(node.inputs):
            readers.setdefault(value, []).append(node)
    for node in graph.nodes:
        if isinstance(node.op, ops.Input | ops.Constant):
            continue
        if isinstance(node.op, _AFFINE):
            count("linear", _with_bias(graph, node, readers.get(node.name, [])))
        if isinstance(node.op, _ACTIVATIONS):
            count("pre", node.inputs[0])
        count(type(node.op).__name__.lower(), node.name)
    return found


def _with_bias(graph: Graph, node: Node, readers: list[Node]) -> str:
    """The sum with a constant that is all that reads the node, or the node."""
    if len(readers) == 1 and isinstance(readers[0].op, ops.Add):
        others = [graph.by_name[value].op for value in readers[0].inputs if value != node.name]
        if len(others) == 1 and isinstance(others[0], ops.Constant):
            return readers[0].name
    return node.name


def _nearest(name: str, counted: list[str], own: list[str]) -> str:
    kind = re.sub(r"\d+$", "", name.lower())
    same = [known for known in counted if re.sub(r"\d+$", "", known) == kind]
    close = get_close_matches(name, [*counted, *own], n=_SHOWN, cutoff=0.5)
    if same or close:
        return f"the nearest are {', '.join(dict.fromkeys([*same[:_SHOWN], *close]))}"
    return f"it has {', '.join([*counted, *own][: 2 * _SHOWN])}"
