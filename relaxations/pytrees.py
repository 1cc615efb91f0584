"""Networks as JAX pytrees: arrays are leaves, geometry is static, so a compiled program takes a network as argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from relaxations.maps import Chain, Convolution, Diagonal, Gather, Identity, Matrix, Sum, Transposed
from relaxations.maps.chain import Composite
from relaxations.maps.linear import is_sparse
from relaxations.network import Layer, ReluNetwork

LARGEST_DENSE = 16_000_000  # entries of a sparse matrix that is still worth a dense array

FIELDS: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {  # that hold arrays, that are static
    ReluNetwork: (("layers", "output"), ("input_size",)),
    Chain: (("maps",), ()),
    Sum: (("maps",), ()),
    Transposed: (("original",), ()),
    Convolution: (("kernel",), ("geometry",)),
    Diagonal: (("factor",), ()),
    Gather: (("index", "readers"), ("size",)),
    Identity: ((), ("size",)),
}


def register_with_jax() -> None:
    """Let JAX see into networks, layers and maps. A second call changes nothing."""
    import jax

    leaves, _ = jax.tree_util.tree_flatten(Identity(1))
    if not leaves:
        return  # registered before: an unknown class would be a leaf itself
    for kind, (data, static) in FIELDS.items():
        jax.tree_util.register_dataclass(kind, data_fields=list(data), meta_fields=list(static))
    jax.tree_util.register_pytree_node(Layer, _parts, _layer)


Structure = tuple[tuple[int, ...], bool]


def _parts(layer: Layer) -> tuple[tuple[Any, ...], Structure]:
    """Leaves; the sources they read and the kind of layer, which are structure."""
    leaves = *(weight for _, weight in layer.terms), layer.bias
    return leaves, (tuple(source for source, _ in layer.terms), layer.sign)


def _layer(structure: Structure, parts: tuple[Any, ...]) -> Layer:
    (sources, sign), (*weights, bias) = structure, parts
    return Layer(tuple(zip(sources, weights, strict=True)), bias, sign)


def to_jax(network: ReluNetwork, dtype: Any = np.float32) -> ReluNetwork | None:
    """The network with JAX arrays of ``dtype``; None where a sparse matrix is too large to be a dense array."""
    import jax

    register_with_jax()
    weights = [weight for layer in (*network.layers, network.output) for _, weight in layer.terms]
    if any(_sparse_cells(weight) > LARGEST_DENSE for weight in weights):
        return None

    def converted(layer: Layer) -> Layer:
        return Layer(tuple((source, _dense_parts(weight)) for source, weight in layer.terms), layer.bias, layer.sign)

    dense = ReluNetwork(network.input_size, tuple(map(converted, network.layers)), converted(network.output))
    return jax.tree_util.tree_map(jax.numpy.asarray, dense.astype(dtype))


def _sparse_cells(weight: Matrix) -> int:
    if isinstance(weight, Composite):
        return max(map(_sparse_cells, weight.maps))
    return weight.shape[0] * weight.shape[1] if is_sparse(weight) else 0


def _dense_parts(weight: Matrix) -> Matrix:
    if isinstance(weight, Composite):
        return type(weight)(tuple(map(_dense_parts, weight.maps)))
    return weight.toarray() if is_sparse(weight) else weight
