"""Grows a ``Graph`` node by node: shapes inferred, constants folded, dead nodes dropped at the end."""

from __future__ import annotations

from math import prod

import numpy as np

from specs.graph import Graph, Node, Op, ops
from specs.graph.graph import Array, Shape

MAX_ELEMENTS = 1 << 27
"""Largest tensor of a graph; a network beyond it is a mistake or an attack on memory."""
MAX_FOLDED = 1 << 27
"""How many elements folding may read and compute in all; a few lines of a file can ask for any number."""
MAX_INDEX = 1 << 24
"""Longest list of positions made up by an operator."""

_MOVING = (ops.Reshape, ops.Transpose, ops.Slice, ops.Expand, ops.Gather)
_TRUTH_VALUED = (ops.Equal, ops.Less, ops.LessOrEqual, ops.And, ops.Or, ops.Not)


class GraphBuilder:
    """Names are unique; every method that takes a name takes one that the builder returned."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._kinds: dict[str, str] = {}
        self._public: dict[str, str] = {}
        self._reserved: set[str] = set()
        self._count = 0
        self._folded = 0

    def reserve(self, name: str) -> None:
        """Keeps ``name`` free for ``input`` or ``publish``."""
        self._reserved.add(name)

    def input(self, name: str, shape: Shape) -> str:
        """A graph input, under exactly this name."""
        return self._put(name, ops.Input(shape), (), shape)

    def constant(self, value: Array, name: str = "constant") -> str:
        """A constant, under ``name`` or one made from it."""
        return self._put(self._fresh(name), ops.Constant(value), (), value.shape)

    def add(self, op: Op, *inputs: str, stem: str = "") -> str:
        """``op`` applied to earlier values; a constant, named after the first of them, if they all are.

        Raises ``ValueError`` when shapes do not fit.
        """
        shape = op.infer_shape(*(self.shape(name) for name in inputs))
        if prod(shape) > MAX_ELEMENTS:
            raise ValueError(f"a result of shape {shape} has more than {MAX_ELEMENTS:,} elements")
        constants = [self.value(name) for name in inputs]
        known = [value for value in constants if value is not None]
        if inputs and len(known) == len(inputs):
            moving = isinstance(op, _MOVING)  # mostly views, which cost nothing
            if not moving:
                self.charge(prod(shape) + sum(value.size for value in known))
            with np.errstate(all="ignore"):
                value = _narrowed(op.evaluate(*known), known)
            if moving and not np.may_share_memory(value, known[0]):
                self.charge(value.size)
            return self.constant(value, f"{self._name(inputs[0])}/{type(op).__name__}")
        return self._put(self._fresh(stem or type(op).__name__), op, inputs, shape)

    def charge(self, elements: int) -> None:
        """Accounts for folding; ``ValueError`` when it takes more than ``MAX_FOLDED`` elements in all."""
        self._folded += elements
        if self._folded > MAX_FOLDED:
            raise ValueError(f"computing its constants takes more than {MAX_FOLDED:,} elements")

    def shape(self, name: str) -> Shape:
        """Shape of a value."""
        return self._nodes[name].shape

    def value(self, name: str) -> Array | None:
        """A constant's value in its stored dtype; None if the value depends on the input."""
        op = self._nodes[name].op
        return op.value if isinstance(op, ops.Constant) else None

    def kind(self, name: str) -> str:
        """``float``, ``int`` or ``bool``. Graph inputs are real."""
        return self._kinds[name]

    def publish(self, name: str, public: str) -> None:
        """Calls a value ``public``, a reserved name, in the finished graph, unless it has a name there already."""
        if not isinstance(self._nodes[name].op, ops.Input):
            self._public.setdefault(name, public)

    def build(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Graph:
        """The graph of everything the outputs depend on, and all inputs."""
        live, stack = set(inputs), list(outputs)
        while stack:
            name = stack.pop()
            if name not in live:
                live.add(name)
                stack += self._nodes[name].inputs
        nodes = tuple(
            Node(self._name(node.name), node.op, tuple(map(self._name, node.inputs)), node.shape)
            for node in self._nodes.values()
            if node.name in live
        )
        return Graph(nodes, tuple(map(self._name, inputs)), tuple(map(self._name, outputs)))

    def _name(self, name: str) -> str:
        return self._public.get(name, name)

    def _fresh(self, stem: str) -> str:
        name = stem
        while name in self._nodes or name in self._reserved:
            self._count += 1
            name = f"{stem}.{self._count}"
        return name

    def _put(self, name: str, op: Op, inputs: tuple[str, ...], shape: Shape) -> str:
        self._nodes[name] = Node(name, op, inputs, shape)
        self._kinds[name] = self._kind_of(op, inputs)
        return name

    def _kind_of(self, op: Op, inputs: tuple[str, ...]) -> str:
        if isinstance(op, ops.Constant):
            return {"b": "bool", "i": "int", "u": "int"}.get(op.value.dtype.kind, "float")
        if isinstance(op, ops.Cast):
            return op.to
        if isinstance(op, _TRUTH_VALUED):
            return "bool"
        if not inputs:
            return "float"
        return self._kinds[inputs[1 if isinstance(op, ops.Where) else 0]]


def _narrowed(result: Array, sources: list[Array]) -> Array:
    """A folded float64 result back in float32 if that loses nothing and no source was wider."""
    if result.dtype == np.float64 and not any(source.dtype == np.float64 for source in sources):
        single = result.astype(np.float32)
        if np.array_equal(single, result, equal_nan=True):
            return single
    return result
