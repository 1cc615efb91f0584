"""The walk over the graph: every affine operator becomes part of a map, in float64, every other one ReLU layers."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from relaxations.lowering import affine, piecewise, windows
from relaxations.lowering.forms import Form, concatenated, of_constant, of_source, taken
from relaxations.maps.composing import settled
from relaxations.maps.elementwise import gather
from relaxations.network import Layer, ReluNetwork
from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Graph, Node, ops

RULES = affine.RULES | windows.RULES


def lower(graph: Graph) -> ReluNetwork:
    """The ReLU network computing the same function up to float64 rounding.

    Raises UnsupportedOpError listing every operator that is neither affine nor made of ReLUs, and ModelError for NaN
    or infinite weights, about which nothing can be proved.
    """
    lowering = _Lowering(graph)
    with np.errstate(all="ignore"):  # weights that are not finite are refused below
        for node in graph.nodes:
            lowering.visit(node)
    if lowering.offenders:
        raise UnsupportedOpError(lowering.offenders, hint="Decided are affine operators, what ReLUs express, and signs")
    _refuse_non_finite(graph)
    output = concatenated([lowering.forms[name] for name in graph.outputs])
    return ReluNetwork(graph.input_size, tuple(lowering.layers), layer_of(output, graph.input_size))


def layer_of(form: Form, input_size: int) -> Layer:
    """A layer reads at least one source, so that its values have a row for each point: a constant reads zeros."""
    zeros = {0: gather(np.full(len(form.bias), -1), input_size)}
    terms = [(source, settled(m)) for source, m in sorted((form.terms or zeros).items())]
    return Layer(tuple(terms), form.bias.astype(float))


def _refuse_non_finite(graph: Graph) -> None:
    wrong = [
        node.name
        for node in graph.nodes
        if isinstance(node.op, ops.Constant) and not np.isfinite(np.asarray(node.op.value)).all()
    ]
    if wrong:
        raise ModelError(f"NaN or infinite numbers in the model's constant(s) {', '.join(map(repr, wrong))}")


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.forms: dict[str, Form] = {}
        self.layers: list[Layer] = []
        self.offenders: list[tuple[str, str]] = []
        self.input = of_source(0, (graph.input_size,))
        self.offsets: dict[str, int] = {}
        start = 0
        for name in graph.inputs:
            self.offsets[name] = start
            start += prod(graph.by_name[name].shape)

    def visit(self, node: Node) -> None:
        parents = [self.forms.get(name) for name in node.inputs]
        if any(parent is None for parent in parents):
            return  # behind an unsupported operator, which has been listed
        form = self._form(node, [parent for parent in parents if parent is not None])
        if form is None:
            self.offenders.append((type(node.op).__name__, node.name))
        else:
            self.forms[node.name] = form

    def _form(self, node: Node, parents: list[Form]) -> Form | None:
        if isinstance(node.op, ops.Input):
            return taken(self.input, np.arange(prod(node.shape)) + self.offsets[node.name], node.shape)
        if isinstance(node.op, ops.Constant):
            return of_constant(np.asarray(node.op.value))
        affine_rule, piecewise_rule = RULES.get(type(node.op)), piecewise.RULES.get(type(node.op))
        if affine_rule is not None:
            return affine_rule(node, parents)
        return None if piecewise_rule is None else piecewise_rule(node, parents, self._relu)

    def _relu(self, form: Form, sign: bool = False) -> Form:
        """One more layer, of ReLUs or of signs."""
        self.layers.append(replace(layer_of(form, len(self.input.bias)), sign=sign))
        return of_source(len(self.layers), form.shape)
