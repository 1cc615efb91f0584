"""Pairs of ReLU nodes, neurons in order, whose differences are bounded: two copies of a network in one.

Lemma D1. Let ``d = a - b`` and ``e = max(0, a) - max(0, b)``, and s in [0, 1]. Then ``e <= s d + t`` if t is at least
``max(0, d) - s d``, or at least ``max(0, a) - s a``; and ``e >= s d - t`` if t is at least ``max(0, -d) + s d``, or at
least ``max(0, b) - s b``. So upper lines of ReLUs by L5, of d, of a, of -d and of b, are lines of e in d.

Lemma D2. ``alpha max(0, a) + beta max(0, b) = kappa e + (alpha - kappa) max(0, a) + (beta + kappa) max(0, b)``.

Which nodes are a pair is a hint of the certificate's: D1 and D2 hold for any two neurons.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError
from verifier.checker.lines import TINY, Floats, Lines, U, lines_on, of_rows
from verifier.checker.network import Affine, Dense, Network, Node, Relu, Sign
from verifier.checker.structure import parents

Pairs = tuple[tuple[int, int], ...]  # numbers of layers, as phase trees count them
Range = tuple[Floats, Floats]


@dataclass(frozen=True)
class PairLines:
    """``below d - base <= e <= above d + offset`` where ``used`` (1, else 0), per box and pair of neurons (B, n).

    ``size`` bounds |d| + |a| + |b|.
    """

    used: Floats
    below: Floats
    base: Floats
    above: Floats
    offset: Floats
    size: Floats


@dataclass(frozen=True)
class Paired:
    """The network in another order: the second node of each pair, listed in ``seconds``, follows the first."""

    network: Network
    seconds: frozenset[int]


def side_by_side(network: Network, pairs: Pairs) -> Paired:
    """Nodes in an order in which those of a pair are neighbours; the function is the same.

    Raises ``CheckError`` unless every pair is two ReLU nodes of one size, each in one pair only, and there is such an
    order: then neither depends on the other.
    """
    layers = network.layers
    named = [layer for pair in pairs for layer in pair]
    if any(layer >= len(layers) for layer in named) or len(set(named)) < len(named):
        raise CheckError("pairs: a layer that the network does not have, or that is in two pairs")
    steps: dict[int, tuple[int, ...]] = {k: (k,) for k in range(len(network.nodes))}
    for i, j in pairs:
        one, two = layers[i], layers[j]
        if isinstance(network.nodes[one], Sign) or isinstance(network.nodes[two], Sign):
            raise CheckError(f"pairs: layers {i} and {j} are not both of ReLUs")
        if network.sizes[one] != network.sizes[two]:
            raise CheckError(f"pairs: layers {i} and {j} differ in size")
        steps[one] = steps[two] = one, two
    order = _order(network, steps)
    place = {old: new for new, old in enumerate(order)}
    if len(order) < len(network.nodes) or order[0] != 0 or place[len(order) - 1] != len(order) - 1:
        raise CheckError("pairs: no order of the layers has them side by side")
    nodes = tuple(_moved(network.nodes[k], place) for k in order)
    seconds = frozenset(place[layers[j]] for _, j in pairs)
    return Paired(Network(nodes, tuple(network.sizes[k] for k in order)), seconds)


def _order(network: Network, steps: dict[int, tuple[int, ...]]) -> list[int]:
    """A topological order of the nodes, step by step; shorter than the network where the steps form a circle."""
    readers: dict[tuple[int, ...], set[tuple[int, ...]]] = {step: set() for step in steps.values()}
    waiting = dict.fromkeys(steps.values(), 0)
    for k, node in enumerate(network.nodes):
        for parent in parents(node):
            if steps[k] not in readers[steps[parent]]:
                readers[steps[parent]].add(steps[k])
                waiting[steps[k]] += 1
    ready = [step for step, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        step = heapq.heappop(ready)
        order += step
        for following in readers[step]:
            waiting[following] -= 1
            if waiting[following] == 0:
                heapq.heappush(ready, following)
    return order


def _moved(node: Node, place: dict[int, int]) -> Node:
    """The node with its parents renumbered."""
    match node:
        case Affine(terms, bias):
            return Affine(tuple((place[parent], m) for parent, m in terms), bias)
        case Relu(parent):
            return Relu(place[parent])
        case Sign(parent):
            return Sign(place[parent])
        case _:
            return node


def difference_rows(
    network: Network, one: int, two: int, neurons: NDArray[np.int64]
) -> tuple[dict[int, Floats], Floats]:
    """Rows ``v_n - w_n`` for values v of node ``one`` and w of node ``two``, as coefficients and constants.

    Each number is rounded once.
    """
    a, b = rows_of_values(network, one, neurons), rows_of_values(network, two, neurons)
    (at, of_a), (there, of_b) = a[:2], b[:2]
    coefs = {at: of_a - of_b} if at == there else {at: of_a, there: -of_b}
    return coefs, a[2] - b[2]


def rows_of_values(network: Network, k: int, neurons: NDArray[np.int64]) -> tuple[int, Floats, Floats]:
    """Rows of values of node k: a node, coefficients of its values, and constants; exact.

    Those of a single dense weight are taken as they are stored, else unit rows on the node itself.
    """
    node = network.nodes[k]
    if isinstance(node, Affine) and len(node.terms) == 1 and isinstance(node.terms[0][1], Dense):
        parent, dense = node.terms[0][0], node.terms[0][1]
        return parent, dense.weight[neurons], node.bias[neurons]
    unit = np.zeros((len(neurons), network.sizes[k]))
    unit[np.arange(len(neurons)), neurons] = 1.0
    return k, unit, np.zeros(len(neurons))


def unsure(a: Range, b: Range) -> NDArray[np.bool_]:
    """Where one of two neurons is unstable; stable ones are exact alone."""
    return np.asarray(((a[0] < 0) & (a[1] > 0)) | ((b[0] < 0) & (b[1] > 0)))


def tightened(a: Range, b: Range, d: Range, where: NDArray[np.bool_]) -> tuple[Range, Range]:
    """The ranges of a and b, each intersected with what the other's and that of ``d = a - b`` say, rounded outward."""
    low_a, up_a = _down(b[0], d[0]), -_down(-b[1], -d[1])
    low_b, up_b = _down(a[0], -d[1]), -_down(-a[1], d[0])
    return (
        (np.where(where & (low_a > a[0]), low_a, a[0]), np.where(where & (up_a < a[1]), up_a, a[1])),
        (np.where(where & (low_b > b[0]), low_b, b[0]), np.where(where & (up_b < b[1]), up_b, b[1])),
    )


def _down(x: Floats, y: Floats) -> Floats:
    """Less than ``x + y``, by a little more than rounding and ``TINY`` (what L2 asks of ranges)."""
    total = x + y
    return np.asarray(total - 4 * U * np.abs(total) - TINY)


def pair_lines(d: Range, a: Lines, b: Lines, used: NDArray[np.bool_]) -> PairLines:
    """Lines by D1; of the two on each side the one that is better in the middle of the range of d."""
    middle = 0.5 * (d[0] + d[1])
    over, under = lines_on(*d), lines_on(-d[1], -d[0])
    of_a = a.slope * middle + a.offset < over.slope * middle + over.offset
    of_b = b.slope * middle - b.offset > under.slope * middle - under.offset
    return PairLines(
        used.astype(np.float64),
        np.where(of_b, b.slope, under.slope),
        np.where(of_b, b.offset, under.offset),
        np.where(of_a, a.slope, over.slope),
        np.where(of_a, a.offset, over.offset),
        (over.size + a.size + b.size) * (1 + 4 * U),
    )


def shared(first: Floats, second: Floats) -> Floats:
    """Kappa: of the numbers between 0 and ``-second`` the nearest to ``first``; exact."""
    return np.minimum(np.maximum(first, np.minimum(-second, 0.0)), np.maximum(-second, 0.0))


def through(
    pair: PairLines, first: Floats, second: Floats, index: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Rows with coefficients on the ReLUs of a and of b (N, n), by D2 and D1: ``index`` has the rows' boxes.

    Returns what is left on each, the coefficients of d, what the constants change by (N,), and |kappa|.
    """
    kappa = shared(first, second) * of_rows(pair.used, index)
    negative = np.minimum(kappa, 0.0)
    positive = kappa - negative
    on_d = positive * of_rows(pair.below, index) + negative * of_rows(pair.above, index)
    moved = (negative * of_rows(pair.offset, index) - positive * of_rows(pair.base, index)).sum(axis=1)
    return first - kappa, second + kappa, on_d, moved, np.abs(kappa)
