"""A network without the neurons that are idle on a box: their ReLU is 0 there, and nothing reads anything else of them.

Verified networks have many: of the first layers of a classifier trained on digits, four in five at a radius of 0.05.
What is left of a convolution is a sparse matrix, which takes as long for each of its coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.maps.linear import LinearMap, Matrix, rows_of
from relaxations.network import Layer, ReluNetwork

WORTH_CUTTING = 0.25  # share of idle neurons from which on a structured map is cut
LARGEST_CUT = 50_000_000  # entries, zeros included, of a structured map that is cut
CELLS_AT_ONCE = 1 << 21


def slimmed(
    network: ReluNetwork, target: Layer, idle: Sequence[np.ndarray]
) -> tuple[ReluNetwork, Layer, tuple[np.ndarray, ...]]:
    """The network and a further layer over its sources without neurons, and those that are kept, by layer.

    ``idle[k]`` (n,) marks the neurons of layer k whose ReLU is 0. A layer keeps them where they are too few to cut a
    structured map for them, and no layer loses all. On inputs where the marked ReLUs are 0, all values kept are the
    same.
    """
    layers = (*network.layers, network.output, target)
    touching: list[list[Matrix]] = [[w for _, w in layer.terms] for layer in network.layers]
    for layer in layers:
        for source, weight in layer.terms:
            if source > 0:
                touching[source - 1].append(weight)
    kept = tuple(_kept(mask, maps) for mask, maps in zip(idle, touching))
    columns = np.arange(network.input_size), *kept
    rows = *kept, np.arange(len(network.output.bias)), np.arange(len(target.bias))
    *slim, output, rest = (_cut(layer, some, columns) for layer, some in zip(layers, rows))
    return ReluNetwork(network.input_size, tuple(slim), output), rest, kept


def _kept(idle: np.ndarray, maps: list[Matrix]) -> np.ndarray:
    """The neurons that a layer keeps, given the maps that lead to it and those that read it."""
    structured = [weight for weight in maps if isinstance(weight, LinearMap)]
    large = any(weight.shape[0] * weight.shape[1] > LARGEST_CUT for weight in structured)
    if structured and (large or idle.mean() < WORTH_CUTTING):
        return np.arange(len(idle))
    return np.flatnonzero(~idle) if not idle.all() else np.arange(1)


def _cut(layer: Layer, rows: np.ndarray, columns: Sequence[np.ndarray]) -> Layer:
    """Some values of a layer, over some values of each of its sources."""
    return Layer(tuple((s, _part(weight, rows, columns[s])) for s, weight in layer.terms), layer.bias[rows], layer.sign)


def _part(weight: Matrix, rows: np.ndarray, columns: np.ndarray) -> Matrix:
    if weight.shape == (len(rows), len(columns)):
        return weight
    if isinstance(weight, LinearMap):
        import scipy.sparse  # it takes long to load, and most questions do without

        step = max(1, CELLS_AT_ONCE // weight.shape[1])
        parts = (rows_of(weight, rows[at : at + step])[:, columns] for at in range(0, len(rows), step))
        return scipy.sparse.vstack([scipy.sparse.csr_matrix(part) for part in parts], format="csr")
    part = weight[rows][:, columns]
    return np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part
