"""How large the derivative of a network is, as one more network of the same input.

Let ``f`` be a chain of affine layers and ReLUs. Wherever no ReLU sits at its kink, the derivative of an output is a
product of weights and of steps ``s``, 1 where a ReLU is active and 0 where not; at a kink, every ``s`` in [0, 1] gives
an element of a set that holds the generalised derivative (Clarke, *Optimization and Nonsmooth Analysis*, 1983). On a
convex set of inputs the largest operator norm of these is a Lipschitz constant.
Bounding it by networks of steps is due to Jordan and Dimakis (*Exactly computing the local Lipschitz constant of ReLU
networks*, NeurIPS 2020) and to Shi et al. (*Efficiently computing local Lipschitz constants of neural networks via
bound propagation*, NeurIPS 2022).

No step is continuous, so it is enclosed: with ``clip(v) = min(max(v, 0), 1)``,

    clip(z / width) <= s <= clip(z / width + 1),

both sides being 0 or 1 where ``|z| > width``. From the output back to the input an interval is kept for every element
of the derivative. Through a layer it is mapped as by interval arithmetic. Through a step, ``g s`` is at most

    min(max(g, 0), M s_upper) - max(max(-g, 0) - M (1 - s_lower), 0)        where |g| <= M,

which is ``g s`` itself where s is 0 or 1. So the result is an upper bound everywhere, and the norm of the derivative at
every input that is further than ``width`` from all kinks. All of it is made of affine layers and ReLUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp

import numpy as np

from specs.compose.composer import Composer
from specs.graph import Graph, Node, ops
from specs.graph.graph import Array

WIDTH = 2.0**-10
"""Of the transition of a step; a power of two, so that the division is exact."""


@dataclass(frozen=True)
class Size:
    """``values`` is the node (m,) of upper bounds, one for each output; ``kinks`` are the pre-activations."""

    values: str
    kinks: tuple[str, ...]


def derivative_size(composer: Composer, graph: Graph, argument: str, prefix: str) -> Size:
    """The sum of the absolute values of the derivative of each output by the inputs: the operator norm for the
    infinity norm is the largest of them.

    Raises ``ValueError`` where ``graph`` is no chain of matrix products, sums with constants and ReLUs.
    """
    layers = _layers(graph)
    steps, kinks = [], []
    before = [layer.before for layer in layers[:-1]]
    for name in composer.inline(graph, [argument], before, prefix):
        flat = composer.flat(name)
        kinks.append(flat)
        steps.append(_steps(composer, flat))
    sizes = [_size_of(composer, layers, steps, k) for k in range(layers[-1].weight.shape[1])]
    return Size(composer.joined(sizes), tuple(kinks))


@dataclass(frozen=True)
class _Layer:
    """``x @ weight`` with weights (in, out) between ReLUs; ``before`` is the node that the next ReLU reads."""

    weight: Array
    before: str


def _layers(graph: Graph) -> list[_Layer]:
    """The layers of a chain, from the input on. Raises ``ValueError`` for any other graph."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError("has several inputs or outputs; the derivative of a chain of layers is supported")
    weights: list[_Layer] = []
    weight: Array | None = None
    node = graph.by_name[graph.outputs[0]]
    last = node.name
    while not isinstance(node.op, ops.Input):
        parents = [graph.by_name[name] for name in node.inputs]
        moving = [parent for parent in parents if not isinstance(parent.op, ops.Constant)]
        if len(moving) != 1:
            raise ValueError(f"is no chain of layers: {node.name} joins {len(moving)} values")
        match node.op:
            case ops.MatMul():
                if weight is not None:
                    raise ValueError("multiplies by two matrices in a row; the derivative is not supported")
                weight = _weight_of(node, parents)
            case ops.Relu():
                if weight is None:
                    raise ValueError("has a ReLU that no matrix product follows; the derivative is not supported")
                weights.append(_Layer(weight, last))
                weight, last = None, moving[0].name
            case ops.Add() | ops.Sub() if moving[0] is parents[0] or isinstance(node.op, ops.Add):
                pass
            case ops.Reshape():
                pass
            case _:
                kind = type(node.op).__name__
                raise ValueError(f"has a layer of kind {kind}, whose derivative is not supported")
        if node.op.__class__ in (ops.Add, ops.Sub) and node.shape != moving[0].shape:
            raise ValueError(f"is no chain of layers: {node.name} changes the shape")
        node = moving[0]
    if weight is None:
        raise ValueError("begins with a ReLU; the derivative is not supported")
    weights.append(_Layer(weight, last))
    if len(weights) == 1:
        raise ValueError("is affine: its derivative is the same everywhere")
    return weights[::-1]


def _weight_of(node: Node, parents: list[Node]) -> Array:
    """The weights (in, out) of a product with a row, or of a product of a matrix with a vector or a column."""
    left, right = parents
    if isinstance(right.op, ops.Constant) and np.prod(left.shape) == right.shape[0] and right.op.value.ndim == 2:
        return np.asarray(right.op.value)
    if isinstance(left.op, ops.Constant) and np.prod(right.shape) == left.shape[-1] and left.op.value.ndim == 2:
        return np.asarray(left.op.value).T
    raise ValueError(f"is no chain of layers: {node.name} multiplies matrices")


def _steps(composer: Composer, kinks: str) -> tuple[str, str]:
    """Lower and upper bounds of the steps: two clips, one value apart."""
    size = composer.shape(kinks)
    scaled = composer.add(ops.Mul(), kinks, _constant(composer, np.full(size, 1 / WIDTH)))
    upper = composer.add(ops.Add(), scaled, _constant(composer, np.ones(size)))
    return _clip(composer, scaled), _clip(composer, upper)


def _clip(composer: Composer, value: str) -> str:
    """Between 0 and 1, as ``relu(1 - relu(1 - relu(v)))``.

    The outer ReLU changes nothing, but where bounds by lines would be as wide as those of ``v`` without it: then its
    argument reaches from far below 0 up to 1, and both of its own lines stay between 0 and 1.
    """
    ones = _constant(composer, np.ones(composer.shape(value)))
    short = composer.add(ops.Sub(), ones, composer.add(ops.Relu(), value))
    return composer.add(ops.Relu(), composer.add(ops.Sub(), ones, composer.add(ops.Relu(), short)))


def _size_of(composer: Composer, layers: list[_Layer], steps: list[tuple[str, str]], k: int) -> str:
    """A node (1,): the sum over inputs of the largest absolute value that the derivative of output ``k`` may have."""
    column = np.asarray(layers[-1].weight[:, k])
    most = np.abs(column.astype(np.float64))
    lower, upper = _first_gate(composer, column, *steps[-1])
    for i in range(len(steps) - 1, -1, -1):
        weight = layers[i].weight
        if i < len(steps) - 1:
            lower, upper = _gate(composer, lower, upper, steps[i], most)
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        lower, upper = (_sum(composer, positive, a, negative, b) for a, b in ((lower, upper), (upper, lower)))
        most = np.abs(weight.astype(np.float64)) @ most * (1 + 1e-9)
    return _total(composer, lower, upper)


def _first_gate(composer: Composer, column: Array, low: str, high: str) -> tuple[str, str]:
    """Weights times steps: linear in the steps."""
    positive, negative = (_constant(composer, part) for part in (np.maximum(column, 0), np.minimum(column, 0)))
    lower, upper = (
        composer.add(ops.Add(), composer.add(ops.Mul(), a, positive), composer.add(ops.Mul(), b, negative))
        for a, b in ((low, high), (high, low))
    )
    return lower, upper


def _gate(composer: Composer, lower: str, upper: str, steps: tuple[str, str], most: Array) -> tuple[str, str]:
    """An interval of numbers of at most ``most`` in size, times steps."""
    low, high = steps
    room = np.array([_up(value) for value in most])
    least = _product_above(composer, _negated(composer, lower), low, high, room)
    return _negated(composer, least), _product_above(composer, upper, low, high, room)


def _product_above(composer: Composer, g: str, low: str, high: str, room: Array) -> str:
    """What ``g s`` is at most, where ``low <= s <= high`` and ``|g| <= room``."""

    def relu(value: str) -> str:
        return composer.add(ops.Relu(), value)

    size = _constant(composer, room)
    up, down = relu(g), relu(_negated(composer, g))
    over = relu(composer.add(ops.Sub(), up, composer.add(ops.Mul(), high, size)))
    rest = composer.add(ops.Sub(), size, composer.add(ops.Mul(), low, size))
    taken = relu(composer.add(ops.Sub(), down, rest))
    return composer.add(ops.Sub(), composer.add(ops.Sub(), up, over), taken)


def _sum(composer: Composer, positive: Array, a: str, negative: Array, b: str) -> str:
    parts = [
        composer.add(ops.MatMul(), _constant(composer, weight), value)
        for weight, value in ((positive, a), (negative, b))
        if weight.any()
    ]
    if not parts:
        return _constant(composer, np.zeros(len(positive)))
    return parts[0] if len(parts) == 1 else composer.add(ops.Add(), *parts)


def _total(composer: Composer, lower: str, upper: str) -> str:
    """The sum of ``max(upper, -lower)``, as ``upper + relu(-lower - upper)``."""
    over = composer.add(ops.Relu(), composer.add(ops.Sub(), _negated(composer, lower), upper))
    sizes = composer.add(ops.Add(), upper, over)
    ones = _constant(composer, np.ones((1, composer.shape(sizes)[0])))
    return composer.add(ops.MatMul(), ones, sizes)


def _negated(composer: Composer, value: str) -> str:
    return composer.add(ops.Mul(), value, _constant(composer, np.full(composer.shape(value), -1.0)))


def _constant(composer: Composer, values: Array) -> str:
    narrow = values.astype(np.float32)
    exact = np.array_equal(narrow.astype(np.float64), values.astype(np.float64))
    return composer.constant(narrow if exact else values.astype(np.float64), "derivative")


def _up(value: float) -> float:
    """The next power of two, 1 for 0."""
    return float(2.0 ** frexp(value)[1]) if value else 1.0
