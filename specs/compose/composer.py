"""One graph made of several, in which equal computations are one: hash-consing over operators and constants.

Hash-consing (Ershov, *On programming of arithmetic operations*, CACM 1958) looks every operator up by itself and its
arguments before it becomes a node. So a module applied twice to the same values is one set of nodes, a tap of a model
is the very node that the model's output depends on, and what two models share up to some layer is computed once. A
bound that is propagated through the result knows all of these equalities, because there is nothing left to be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from specs.graph import Graph, Node, Op, ops
from specs.graph.graph import Array, Shape

Key = tuple[object, ...]
Written = Mapping[str, Callable[[str], str]]


class Composer:
    """A graph while it grows; nodes are only added. Every name that a method takes is one that a method returned."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._known: dict[Key, str] = {}
        self._contents: dict[int, tuple[Array, Key]] = {}

    def input(self, name: str, shape: Shape) -> str:
        """An input of the composed graph, under exactly this name. Raises ``ValueError`` when it is taken."""
        if name in self._nodes:
            raise ValueError(f"there is a value {name!r} already")
        return self._put(name, ops.Input(shape), (), shape)

    def constant(self, value: Array, name: str = "constant") -> str:
        """A constant; one with the same shape, type and bits is the same node."""
        key = self._content(value)
        if key not in self._known:
            self._known[key] = self._put(self._fresh(name), ops.Constant(value), (), value.shape)
        return self._known[key]

    def add(self, op: Op, *inputs: str, name: str = "") -> str:
        """``op`` applied to values; an equal one that is there already is returned instead.

        Raises ``ValueError`` when the shapes do not fit.
        """
        key: Key = (type(op), op, inputs)
        if key not in self._known:
            shape = op.infer_shape(*(self.shape(value) for value in inputs))
            self._known[key] = self._put(self._fresh(name or type(op).__name__), op, inputs, shape)
        return self._known[key]

    def inline(
        self, graph: Graph, arguments: Sequence[str], wanted: Sequence[str], prefix: str, written: Written | None = None
    ) -> tuple[str, ...]:
        """What the nodes ``wanted`` of ``graph`` compute when its inputs are ``arguments``.

        Only what these depend on becomes nodes, called ``prefix.NAME``. ``written`` gives for nodes of ``graph`` what
        stands in their place from there on, as a function of the value they have. Raises ``ValueError`` unless there is
        one argument of the right shape for each input.
        """
        written = written or {}
        shapes = [graph.by_name[name].shape for name in graph.inputs]
        found = [self.shape(name) for name in arguments]
        if shapes != found:
            raise ValueError(f"takes inputs of shapes {shapes}, not {found}")
        names: dict[str, str] = dict(zip(graph.inputs, arguments))
        needed = ancestors(graph.by_name, wanted)
        for node in graph.nodes:
            if node.name not in needed:
                continue
            if node.name in names:
                names[node.name] = written.get(node.name, _unchanged)(names[node.name])
                continue
            called = f"{prefix}.{node.name}" if prefix else node.name
            if isinstance(node.op, ops.Constant):
                names[node.name] = self.constant(node.op.value, called)
            else:
                computed = self.add(node.op, *(names[value] for value in node.inputs), name=called)
                names[node.name] = written.get(node.name, _unchanged)(computed)
        return tuple(names[name] for name in wanted)

    def flat(self, name: str) -> str:
        """The value as a vector, in row-major order."""
        return self.reshaped(name, (prod(self.shape(name)),))

    def reshaped(self, name: str, shape: Shape) -> str:
        """The same elements in another shape."""
        name = self.unshaped(name)
        return name if self.shape(name) == shape else self.add(ops.Reshape(shape), name)

    def unshaped(self, name: str) -> str:
        """Of a reshaped value: the first one that has its elements."""
        while isinstance(self._nodes[name].op, ops.Reshape):
            (name,) = self._nodes[name].inputs
        return name

    def joined(self, names: Sequence[str]) -> str:
        """The values flat, one after the other."""
        flat = [self.flat(name) for name in names]
        return flat[0] if len(flat) == 1 else self.add(ops.Concat(0), *flat)

    def picked(self, name: str, places: Sequence[int]) -> str:
        """The elements at flat ``places``, as a vector."""
        if list(places) == list(range(prod(self.shape(name)))):
            return self.flat(name)
        index = self.constant(np.asarray(places, dtype=np.int64), "places")
        return self.add(ops.Gather(0), self.flat(name), index)

    def shape(self, name: str) -> Shape:
        return self._nodes[name].shape

    def behind(self, names: Sequence[str]) -> set[str]:
        """All that the values depend on, themselves among it."""
        return ancestors(self._nodes, names)

    def inputs_of(self, names: Sequence[str]) -> frozenset[str]:
        """The inputs that any of the values depends on."""
        return frozenset(n for n in ancestors(self._nodes, names) if isinstance(self._nodes[n].op, ops.Input))

    def build(self, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
        """The graph of what ``outputs`` depend on, with these inputs, whether anything reads them or not."""
        needed = ancestors(self._nodes, outputs) | set(inputs)
        nodes = tuple(node for node in self._nodes.values() if node.name in needed)
        free = [node.name for node in nodes if isinstance(node.op, ops.Input) and node.name not in inputs]
        if free:
            raise ValueError(f"the outputs depend on {', '.join(free)} as well")
        return Graph(nodes, tuple(inputs), tuple(outputs))

    def _content(self, value: Array) -> Key:
        """A key by the bits of a constant; remembered by object, since models are inlined many times."""
        known = self._contents.get(id(value))
        if known is None or known[0] is not value:
            known = value, (value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())
            self._contents[id(value)] = known
        return known[1]

    def _put(self, name: str, op: Op, inputs: tuple[str, ...], shape: Shape) -> str:
        self._nodes[name] = Node(name, op, inputs, shape)
        return name

    def _fresh(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._nodes:
            number += 1
            name = f"{stem}#{number}"
        return name


def _unchanged(name: str) -> str:
    return name


def ancestors(nodes: Mapping[str, Node], names: Sequence[str]) -> set[str]:
    """The values that ``names`` depend on, themselves among them."""
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += nodes[name].inputs
    return found
