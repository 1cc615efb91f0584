"""Networks that hold two copies of one network, for the tests of bounds on differences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from verifier.checker.network import Affine, Dense, Gather, Input, LinearMap, Network, Node, Relu, Scale, Sparse

Floats = NDArray[np.float64]


def layered(rng: np.random.Generator, sizes: tuple[int, ...], scale: float = 1.0) -> Network:
    """Dense layers with ReLUs between them."""
    nodes: list[Node] = [Input(sizes[0])]
    widths = [sizes[0]]
    for k, (before, after) in enumerate(pairwise(sizes)):
        weight = rng.normal(size=(after, before)) * scale / np.sqrt(before)
        nodes.append(Affine(((len(nodes) - 1, Dense(weight)),), rng.normal(size=after) * 0.3))
        widths.append(after)
        if k < len(sizes) - 2:
            nodes.append(Relu(len(nodes) - 1))
            widths.append(after)
    return Network(tuple(nodes), tuple(widths))


def perturbed(rng: np.random.Generator, network: Network, by: float) -> Network:
    """Weights and biases changed by a relative amount of at most ``by``, in every second entry."""

    def near(values: Floats) -> Floats:
        return values * (1 + by * rng.uniform(-1, 1, values.shape) * rng.integers(0, 2, values.shape))

    def changed(m: LinearMap) -> LinearMap:
        match m:
            case Dense(weight):
                return Dense(near(weight))
            case Sparse():
                return replace(m, values=near(m.values))
            case Scale():
                return replace(m, factor=near(m.factor))
            case _:
                return m

    nodes = (
        Affine(tuple((p, changed(m)) for p, m in node.terms), near(node.bias)) if isinstance(node, Affine) else node
        for node in network.nodes
    )
    return Network(tuple(nodes), network.sizes)


def both(one: Network, other: Network) -> tuple[Network, tuple[tuple[int, int], ...]]:
    """One network after the other, then the outputs of both; and the pairs of corresponding layers."""
    shift = len(one.nodes) - 1

    def moved(node: Node) -> Node:
        match node:
            case Affine(terms, bias):
                return Affine(tuple((p + shift if p else 0, m) for p, m in terms), bias)
            case Relu(parent):
                return Relu(parent + shift if parent else 0)
            case _:
                return node

    count = one.sizes[-1]
    ends = (
        (shift, Gather(np.r_[np.arange(count), np.full(count, -1)])),
        (2 * shift, Gather(np.r_[np.full(count, -1), np.arange(count)])),
    )
    nodes = (*one.nodes, *map(moved, other.nodes[1:]), Affine(ends, np.zeros(2 * count)))
    layers = len(one.layers)
    return Network(nodes, (*one.sizes, *other.sizes[1:], 2 * count)), tuple((i, i + layers) for i in range(layers))


def differences(count: int) -> Floats:
    """Rows over the outputs of both: ``f_i - g_i`` for each i, then ``g_i - f_i``."""
    one = np.concatenate([np.eye(count), -np.eye(count)], axis=1)
    return np.concatenate([one, -one])
