"""Which layers of a network are the same layer of two copies, and the network with these side by side.

Copies are found by structure: two layers of ReLUs of one size that read the same sources, or sources that are a pair
themselves, with nearly the same weights and biases. Equal weights are not enough: a clipped value is ``relu(z - l) -
relu(z - h)``, whose two arguments differ by a constant, and bounded as a difference it no longer depends on z. What is
found decides no truth, only whether bounds on differences are tried.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.maps.linear import Matrix, push
from relaxations.network import Layer, ReluNetwork

CLOSE = 0.5  # the weights of a pair differ by at most this share of theirs, in the Frobenius norm
OF_WEIGHTS = 0.1  # biases are at least this share of the weights, when it is asked whether they differ by much
PROBES = 8  # random vectors by which maps are compared that are no arrays

Pair = tuple[int, int]  # numbers of two layers, from 0


@dataclass(frozen=True)
class Paired:
    """The network with the two layers of each pair next to each other.

    ``order[k]`` is the number that layer k had before; ``seconds`` are the sources that are paired with the one before.
    """

    network: ReluNetwork
    order: tuple[int, ...]
    seconds: frozenset[int]


def pairs_of(network: ReluNetwork) -> tuple[Pair, ...]:
    """Pairs of layers of two copies, each layer in one pair at most; the earlier layer of a pair comes first."""
    partner: dict[int, int] = {}  # of sources
    found: list[Pair] = []
    ancestors = _ancestors(network)
    for j, layer in enumerate(network.layers):
        distances = [
            (distance, i)
            for i in range(j)
            if i + 1 not in partner
            and i + 1 not in ancestors[j + 1]
            and (distance := _distance(network.layers[i], layer, partner)) <= CLOSE
        ]
        if distances:
            i = min(distances)[1]
            partner[i + 1], partner[j + 1] = j + 1, i + 1
            found.append((i, j))
    return tuple(found)


def side_by_side(network: ReluNetwork, pairs: Sequence[Pair]) -> Paired:
    """Reorder the layers. Raises ``ValueError`` where no order has all pairs side by side."""
    order = _order(network, pairs)
    source = {0: 0, **{old + 1: new + 1 for new, old in enumerate(order)}}
    layers = tuple(_renamed(network.layers[k], source) for k in order)
    seconds = frozenset(source[pair[1] + 1] for pair in pairs)
    return Paired(ReluNetwork(network.input_size, layers, _renamed(network.output, source)), tuple(order), seconds)


def _renamed(layer: Layer, source: dict[int, int]) -> Layer:
    terms = sorted(((source[s], w) for s, w in layer.terms), key=lambda term: term[0])
    return Layer(tuple(terms), layer.bias, layer.sign)


def _order(network: ReluNetwork, pairs: Sequence[Pair]) -> list[int]:
    """A topological order in which every pair is one step."""
    step = {k: (k,) for k in range(len(network.layers))}
    for pair in pairs:
        step[pair[0]] = step[pair[1]] = pair
    readers: dict[tuple[int, ...], set[tuple[int, ...]]] = {s: set() for s in step.values()}
    waiting = dict.fromkeys(step.values(), 0)
    for k, layer in enumerate(network.layers):
        for s, _ in layer.terms:
            if s > 0 and step[k] not in readers[step[s - 1]]:
                readers[step[s - 1]].add(step[k])
                waiting[step[k]] += 1
    ready = [s for s, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        now = heapq.heappop(ready)
        order += now
        for following in readers[now]:
            waiting[following] -= 1
            if waiting[following] == 0:
                heapq.heappush(ready, following)
    if len(order) < len(network.layers):
        raise ValueError("the pairs depend on each other in a circle")
    return order


def _ancestors(network: ReluNetwork) -> list[set[int]]:
    """By source, all sources it is made from."""
    found: list[set[int]] = [set()]
    for layer in network.layers:
        found.append({s for s, _ in layer.terms}.union(*(found[s] for s, _ in layer.terms)))
    return found


def _distance(one: Layer, other: Layer, partner: dict[int, int]) -> float:
    """The largest relative distance of corresponding weights, or of biases; infinite where layers do not correspond."""
    if one.sign or other.sign or len(one.bias) != len(other.bias) or len(one.terms) != len(other.terms):
        return np.inf
    weights = dict(other.terms)
    found, size = 0.0, 0.0
    for s, w in one.terms:
        v = weights.get(partner.get(s, s))
        if v is None or w.shape != v.shape:
            return np.inf
        apart, larger = _apart(*_entries(w, v))
        found, size = max(found, _share(apart, larger)), max(size, larger)
    apart, larger = _apart(one.bias, other.bias)
    return max(found, _share(apart, max(larger, OF_WEIGHTS * size)))


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Frobenius norms: of the difference, and of the larger of the two."""
    return float(np.linalg.norm(one - other)), float(max(np.linalg.norm(one), np.linalg.norm(other)))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _entries(one: Matrix, other: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Arrays as they are; else the images of vectors of random signs, whose mean square is the norm's (Hutchinson)."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one, other
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (PROBES, one.shape[1])) / np.sqrt(PROBES)
    return push(one, signs), push(other, signs)
