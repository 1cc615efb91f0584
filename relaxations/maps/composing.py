"""Products and sums of maps, worked out where the result is no costlier than its parts."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from relaxations.maps.chain import Chain, Composite, Sum, Transposed
from relaxations.maps.convolution import Convolution
from relaxations.maps.elementwise import Diagonal, Gather, Identity, gather
from relaxations.maps.linear import LinearMap, Matrix, dense, is_sparse, nonzeros, pull

SPARSE_FROM, SPARSE_BELOW = 100_000, 0.1  # entries, density: what is worth scipy's sparse matrices
LARGEST_PRODUCT = 1 << 24  # entries of a product that is worked out to see whether it is mostly zeros


def stored(matrix: np.ndarray) -> Matrix:
    """A matrix in float64, in the storage that suits it."""
    if _mostly_zero(matrix):
        from scipy.sparse import csr_array

        return csr_array(matrix.astype(float))
    return matrix.astype(float)


def settled(weight: Matrix) -> Matrix:
    """The form in which a layer keeps a map: small ones as matrices, which cost the fewest calls."""
    if isinstance(weight, np.ndarray):
        return stored(weight)
    if not isinstance(weight, LinearMap) or _convolves(weight) or prod(weight.shape) >= SPARSE_FROM:
        return weight
    return dense(weight).astype(float)


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """``outer @ inner``: first ``inner``, then ``outer``."""
    if isinstance(inner, Identity):
        return outer
    if isinstance(outer, Identity):
        return inner
    if isinstance(outer, Chain):
        return reduce(lambda so_far, part: compose(part, so_far), outer.maps, inner)
    if isinstance(inner, Chain):
        *earlier, last = inner.maps
        merged = _product(outer, last)
        rest = earlier[0] if len(earlier) == 1 else Chain(tuple(earlier))
        return Chain((*inner.maps, outer)) if merged is None else compose(merged, rest)
    if isinstance(outer, Sum) and isinstance(inner, Gather):
        return reduce(add, (compose(part, inner) for part in outer.maps))
    merged = _product(outer, inner)
    return Chain((inner, outer)) if merged is None else merged


def add(a: Matrix, b: Matrix) -> Matrix:
    """``a + b``."""
    if isinstance(a, Gather) and isinstance(b, Gather) and not ((a.index >= 0) & (b.index >= 0)).any():
        return gather(np.maximum(a.index, b.index), a.size)
    if isinstance(a, (Identity, Diagonal)) and isinstance(b, (Identity, Diagonal)):
        return Diagonal(_factor(a) + _factor(b))
    if is_sparse(a) or is_sparse(b):
        if not (_convolves(a) or _convolves(b)):
            return _matrix(a) + _matrix(b)
    elif isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return dense(a) + dense(b)
    return Sum((*(a.maps if isinstance(a, Sum) else (a,)), *(b.maps if isinstance(b, Sum) else (b,))))


def _product(outer: Matrix, inner: Matrix) -> Matrix | None:
    """The product as one map, or None where the two stay apart."""
    if isinstance(outer, Diagonal) and isinstance(inner, Diagonal):
        return Diagonal(outer.factor * inner.factor)
    if isinstance(outer, Gather) and isinstance(inner, Gather):
        return gather(np.where(outer.index >= 0, inner.index[np.maximum(outer.index, 0)], -1), inner.size)
    if isinstance(outer, Gather) and not isinstance(inner, LinearMap):
        return _chosen_rows(inner, outer.index)
    if isinstance(outer, Diagonal) and not isinstance(inner, LinearMap):
        return _times(inner, outer.factor[:, None])
    if isinstance(outer, Diagonal) and isinstance(inner, Convolution):
        return _scaled_filters(inner, outer.factor)
    if isinstance(outer, Convolution) and isinstance(inner, Diagonal):
        return _scaled_channels(outer, inner.factor)
    if not isinstance(outer, LinearMap) and isinstance(inner, Diagonal):
        return _times(outer, inner.factor[None, :])
    if isinstance(outer, LinearMap) and isinstance(inner, LinearMap):
        return None
    if is_sparse(outer) or is_sparse(inner):
        return None if _convolves(outer) or _convolves(inner) else _matrix(outer) @ _matrix(inner)
    return _matrix_product(outer, inner)


def _matrix_product(outer: Matrix, inner: Matrix) -> np.ndarray | None:
    """The product of an array with an array or another map, unless applying the two costs less."""
    size, apart = outer.shape[0] * inner.shape[1], _cost(outer) + _cost(inner)
    matrices = isinstance(outer, np.ndarray) and isinstance(inner, np.ndarray)
    if size > max(apart, LARGEST_PRODUCT if matrices else SPARSE_FROM):
        return None
    if isinstance(outer, LinearMap):
        product = np.ascontiguousarray(outer.push(inner.T).T)
    else:
        product = np.asarray(pull(inner, outer))
    return product if size < SPARSE_FROM or _cost(product) <= apart else None


def _cost(weight: Matrix) -> int:
    """Multiplications that applying a map takes."""
    if isinstance(weight, np.ndarray) and not _mostly_zero(weight):
        return weight.size
    return nonzeros(weight)


def _mostly_zero(matrix: np.ndarray) -> bool:
    return matrix.size >= SPARSE_FROM and np.count_nonzero(matrix) < SPARSE_BELOW * matrix.size


def _convolves(weight: Matrix) -> bool:
    if isinstance(weight, Composite):
        return any(map(_convolves, weight.maps))
    return isinstance(weight, (Convolution, Transposed))


def _matrix(weight: Matrix) -> Any:
    """The same as a matrix that others can be added to or multiplied with."""
    if not isinstance(weight, LinearMap):
        return weight
    from scipy.sparse import csr_array

    if isinstance(weight, (Identity, Diagonal)):
        places = np.arange(weight.shape[0])
        return csr_array((_factor(weight), (places, places)), shape=weight.shape)
    if isinstance(weight, Gather):
        used = np.flatnonzero(weight.index >= 0)
        return csr_array((np.ones(len(used)), (used, weight.index[used])), shape=weight.shape)
    parts = [_matrix(part) for part in weight.maps]
    return reduce(lambda x, y: x + y if isinstance(weight, Sum) else y @ x, parts)


def _factor(weight: Identity | Diagonal) -> np.ndarray:
    return weight.factor if isinstance(weight, Diagonal) else np.ones(weight.size)


def _chosen_rows(matrix: Any, index: np.ndarray) -> Any:
    chosen = matrix[np.maximum(index, 0)]
    return chosen if (index >= 0).all() else _times(chosen, (index >= 0).astype(float)[:, None])


def _times(matrix: Any, factor: np.ndarray) -> Any:
    product = matrix * factor
    return product.tocsr() if is_sparse(product) else product  # scipy answers in a format that cannot be indexed


def _scaled_filters(m: Convolution, factor: np.ndarray) -> Convolution | None:
    """Results scaled: part of the kernel when the factor is one number per channel."""
    g = m.geometry
    scale = _per_channel(factor, g.filters)
    return None if scale is None else Convolution(m.kernel * scale.reshape(-1, *(1,) * (m.kernel.ndim - 1)), g)


def _scaled_channels(m: Convolution, factor: np.ndarray) -> Convolution | None:
    """Operands scaled: part of the kernel when the factor is one number per channel."""
    g = m.geometry
    scale = _per_channel(factor, g.channels)
    if scale is None:
        return None
    grouped = m.kernel.reshape(g.groups, g.filters // g.groups, g.channels // g.groups, -1)
    return Convolution((grouped * scale.reshape(g.groups, 1, -1, 1)).reshape(m.kernel.shape), g)


def _per_channel(factor: np.ndarray, channels: int) -> np.ndarray | None:
    table = factor.reshape(channels, -1)
    return table[:, 0] if (table == table[:, :1]).all() else None
