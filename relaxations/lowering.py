"""From a graph of operators to ReLU layers: every affine operator becomes part of a matrix, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from relaxations.network import Layer, ReluNetwork
from specs.errors import ModelError, UnsupportedOpError
from specs.graph import Graph, Node, ops

SPARSE_FROM, SPARSE_BELOW = 100_000, 0.1  # entries, density: what is worth scipy's sparse matrices
LARGEST_BASIS = 4096  # columns of a matrix found by probing an operator with unit vectors

MOVES = (ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Expand)
PROBED = (ops.ReduceSum, ops.ReduceMean, ops.Pad)


@dataclass(frozen=True)
class _Form:
    """A tensor as ``sum matrix @ source + bias`` (flat); a matrix of None is the identity."""

    terms: dict[int, Any]
    bias: np.ndarray
    shape: tuple[int, ...]


def lower(graph: Graph) -> ReluNetwork:
    """The ReLU network computing the same function up to float64 rounding.

    Raises UnsupportedOpError listing every operator that is neither affine nor ReLU, and ModelError for NaN or
    infinite weights, about which nothing can be proved.
    """
    lowering = _Lowering(graph)
    with np.errstate(all="ignore"):  # weights that are not finite are refused below
        for node in graph.nodes:
            lowering.visit(node)
    if lowering.offenders:
        raise UnsupportedOpError(lowering.offenders, hint="This version decides affine operators and ReLU")
    _refuse_non_finite(graph)
    outputs = [lowering.forms[name] for name in graph.outputs]
    output = _concatenate(outputs, [np.arange(len(form.bias)) for form in outputs], lowering.widths)
    return ReluNetwork(graph.input_size, tuple(lowering.layers), lowering.layer(output))


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
        self.forms: dict[str, _Form] = {}
        self.layers: list[Layer] = []
        self.widths: list[int] = [graph.input_size]
        self.offenders: list[tuple[str, str]] = []
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

    def _form(self, node: Node, parents: list[_Form]) -> _Form | None:
        op, shape, size = node.op, node.shape, prod(node.shape)
        if isinstance(op, ops.Input):
            index = np.arange(size) + self.offsets[node.name]
            whole = size == self.widths[0]
            return _Form({0: None if whole else _selection(index, self.widths[0])}, np.zeros(size), shape)
        if isinstance(op, ops.Constant):
            return _Form({}, np.asarray(op.value).reshape(-1), shape)
        if isinstance(op, ops.Relu):
            self.layers.append(self.layer(parents[0]))
            self.widths.append(size)
            return _Form({len(self.layers): None}, np.zeros(size), shape)
        varying = [parent for parent in parents if parent.terms]
        if isinstance(op, MOVES) and parents[0].terms and len(varying) == 1:
            places = np.arange(prod(parents[0].shape)).reshape(parents[0].shape)
            rest = [parent.bias.reshape(parent.shape) for parent in parents[1:]]
            return _take(parents[0], np.asarray(op.evaluate(places, *rest)).reshape(-1).astype(int), shape, self.widths)
        if isinstance(op, ops.Concat):
            tags = [np.full(prod(p.shape), k).reshape(p.shape) for k, p in enumerate(parents)]
            order = np.asarray(op.evaluate(*tags)).reshape(-1).astype(int)
            return _interleave(parents, order, op, shape, self.widths)
        if isinstance(op, (ops.Add, ops.Sub)):
            a, b = (_take(p, _broadcast_index(p.shape, shape), shape, self.widths) for p in parents)
            return _sum(a, b if isinstance(op, ops.Add) else _scaled(b, -1.0, self.widths), self.widths)
        if isinstance(op, ops.Neg):
            return _scaled(parents[0], -1.0, self.widths)
        if isinstance(op, (ops.Mul, ops.Div)) and len(varying) == 1:
            constant = next((p for p in parents if not p.terms), None)
            if constant is None or (isinstance(op, ops.Div) and parents[1] is not constant):
                return None
            factor = constant.bias.astype(float)[_broadcast_index(constant.shape, shape)]
            form = _take(varying[0], _broadcast_index(varying[0].shape, shape), shape, self.widths)
            return _scaled(form, factor if isinstance(op, ops.Mul) else 1.0 / factor, self.widths)
        if isinstance(op, ops.MatMul) and len(varying) == 1:
            return self._matmul(node, parents)
        if (
            isinstance(op, PROBED)
            and len(varying) == 1
            and parents[0].terms
            and prod(parents[0].shape) <= LARGEST_BASIS
        ):
            return self._probe(node, parents)
        return None

    def _matmul(self, node: Node, parents: list[_Form]) -> _Form | None:
        left, right = parents
        if right.terms:  # constant @ x: transpose both sides
            if len(left.shape) != 2 or len(right.shape) > 2:
                return None
            weight = left.bias.reshape(left.shape)
            columns = 1 if len(right.shape) == 1 else right.shape[1]
            if columns != 1:
                return None
        else:
            if len(right.shape) != 2 or prod(left.shape[:-1]) != 1:
                return None
            weight = right.bias.reshape(right.shape).T
        return _mapped(left if left.terms else right, _stored(weight), node.shape)

    def _probe(self, node: Node, parents: list[_Form]) -> _Form:
        """The matrix of an affine operator, column by column."""
        rest = [parent.bias.reshape(parent.shape) for parent in parents[1:]]
        size = prod(parents[0].shape)
        at_zero = np.asarray(node.op.evaluate(np.zeros(parents[0].shape), *rest)).reshape(-1)
        columns = [
            np.asarray(node.op.evaluate(unit.reshape(parents[0].shape), *rest)).reshape(-1) - at_zero
            for unit in np.eye(size)
        ]
        form = _mapped(parents[0], _stored(np.stack(columns, axis=1)), node.shape)
        return _Form(form.terms, form.bias + at_zero, node.shape)

    def layer(self, form: _Form) -> Layer:
        whole = {s: np.eye(self.widths[s]) if m is None else m for s, m in form.terms.items()}
        terms = {s: _stored(m) if isinstance(m, np.ndarray) else m for s, m in whole.items()}
        return Layer(tuple(sorted(terms.items(), key=lambda term: term[0])), form.bias.astype(float))


def _stored(matrix: np.ndarray) -> Any:
    """A matrix in the storage that suits it."""
    if matrix.size >= SPARSE_FROM and np.count_nonzero(matrix) < SPARSE_BELOW * matrix.size:
        from scipy.sparse import csr_array

        return csr_array(matrix.astype(float))
    return matrix.astype(float)


def _mapped(form: _Form, weight: Any, shape: tuple[int, ...]) -> _Form:
    terms = {s: weight if m is None else weight @ m for s, m in form.terms.items()}
    return _Form(terms, weight @ form.bias.astype(float), shape)


def _selection(index: np.ndarray, width: int) -> Any:
    matrix = np.zeros((len(index), width))
    matrix[np.arange(len(index)), index] = 1.0
    return _stored(matrix)


def _broadcast_index(shape: tuple[int, ...], target: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.arange(prod(shape)).reshape(shape), target).reshape(-1)


def _take(form: _Form, index: np.ndarray, shape: tuple[int, ...], widths: list[int]) -> _Form:
    if len(index) == len(form.bias) and np.array_equal(index, np.arange(len(index))):
        return _Form(form.terms, form.bias, shape)
    terms = {s: _selection(index, widths[s]) if m is None else m[index] for s, m in form.terms.items()}
    return _Form(terms, form.bias[index], shape)


def _scaled(form: _Form, factor: Any, widths: list[int]) -> _Form:
    column = np.broadcast_to(np.asarray(factor, dtype=float), form.bias.shape)[:, None]
    terms = {s: _stored(np.eye(widths[s]) * column) if m is None else m * column for s, m in form.terms.items()}
    return _Form(terms, form.bias * column[:, 0], form.shape)


def _sum(a: _Form, b: _Form, widths: list[int]) -> _Form:
    terms = dict(a.terms)
    for source, matrix in b.terms.items():
        if source in terms:
            mine, other = (np.eye(widths[source]) if m is None else m for m in (terms[source], matrix))
            terms[source] = mine + other
        else:
            terms[source] = matrix
    return _Form(terms, a.bias.astype(float) + b.bias, a.shape)


def _interleave(parents: list[_Form], order: np.ndarray, op: Any, shape: tuple[int, ...], widths: list[int]) -> _Form:
    """Concatenation along any axis: entry i of the result is the next unused entry of parent ``order[i]``."""
    places = [np.arange(prod(p.shape)).reshape(p.shape) for p in parents]
    within = np.asarray(op.evaluate(*places)).reshape(-1).astype(int)
    stacked = _concatenate(parents, [np.arange(len(p.bias)) for p in parents], widths)
    starts = np.cumsum([0, *(len(p.bias) for p in parents)])[:-1]
    return _take(stacked, starts[order] + within, shape, widths)


def _concatenate(forms: list[_Form], indices: list[np.ndarray], widths: list[int]) -> _Form:
    if len(forms) == 1:
        return _take(forms[0], indices[0], (len(indices[0]),), widths)
    taken = [_take(form, index, (len(index),), widths) for form, index in zip(forms, indices, strict=True)]
    total = sum(len(form.bias) for form in taken)
    terms: dict[int, Any] = {}
    for source in sorted({s for form in taken for s in form.terms}):
        block, start = np.zeros((total, widths[source])), 0
        for form in taken:
            end = start + len(form.bias)
            if source in form.terms:
                matrix = form.terms[source]
                rows = np.eye(widths[source]) if matrix is None else matrix
                block[start:end] = rows if isinstance(rows, np.ndarray) else rows.toarray()
            start = end
        terms[source] = _stored(block)
    return _Form(terms, np.concatenate([form.bias.astype(float) for form in taken]), (total,))
