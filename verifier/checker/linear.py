"""How the linear maps act on rows of values and on rows of coefficients, in plain float64.

``push`` carries values forward (``v -> M v`` along the last axis), ``pull`` carries coefficients backward
(``a -> a M``). Every result entry is a sum of at most ``terms`` products in an unspecified order, the fact the
rounding lemmas in ``bounds`` rest on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.convolution import Convolution, Transposed
from verifier.checker.network import Dense, Gather, Index, LinearMap, Normalize, Scale, Sparse

Floats = NDArray[np.float64]


def magnitude(m: LinearMap) -> LinearMap:
    """The map with every coefficient replaced by its absolute value."""
    match m:
        case Dense(weight):
            return Dense(np.abs(weight))
        case Sparse(rows, cols, values, size):
            return Sparse(rows, cols, np.abs(values), size)
        case Scale(factor, divide):
            return Scale(np.abs(factor), divide)
        case Normalize(gain, variance, epsilon):
            return Normalize(np.abs(gain), variance, epsilon)
        case Gather():
            return m
        case Convolution() | Transposed():
            return m.magnitude()


def push(m: LinearMap, v: Floats) -> Floats:
    """``M v`` for the last axis of ``v``: shape (..., in) to (..., out)."""
    match m:
        case Dense(weight):
            return (v.reshape(-1, weight.shape[1]) @ weight.T).reshape(v.shape[:-1] + (len(weight),))
        case Sparse(rows, cols, values, size):
            order = m.by_row
            return _sums(v[..., cols[order]] * values[order], rows[order], size)
        case Scale(factor, divide):
            return v / factor if divide else v * factor
        case Normalize():
            return v * m.factor
        case Gather(index):
            out = v[..., np.maximum(index, 0)]
            out[..., index < 0] = 0.0
            return out
        case Convolution():
            return m.push(v)
        case Transposed(of):
            return of.pull(v)


def pull(m: LinearMap, a: Floats, size: int) -> Floats:
    """``a M`` for the last axis of ``a``: shape (..., out) to (..., in) with ``in = size``."""
    match m:
        case Dense(weight):
            # Rows of ReLUs that are 0 on the whole box have a coefficient of 0: most of them, in many networks.
            used = np.flatnonzero(a.reshape(-1, len(weight)).any(axis=0))
            return np.asarray(a[..., used] @ weight[used] if 2 * len(used) <= len(weight) else a @ weight)
        case Sparse(rows, cols, values, _):
            return _sums(a[..., rows] * values, cols, size)
        case Scale(factor, divide):
            return a / factor if divide else a * factor
        case Normalize():
            return a * m.factor
        case Gather(index):
            return _sums(a[..., m.used], index[m.used], size)
        case Convolution():
            return m.pull(a)
        case Transposed(of):
            return of.push(a)


def _sums(products: Floats, places: Index, size: int) -> Floats:
    """Products along the last axis summed into their places (ascending) of a new last axis."""
    out = np.zeros(products.shape[:-1] + (size,))
    if len(places):
        starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
        out[..., places[starts]] = np.add.reduceat(products, starts, axis=-1)
    return out


def terms(m: LinearMap, size: int) -> int:
    """Upper bound on the number of products summed in one entry of ``push`` or ``pull``; ``size`` is the input's."""
    match m:
        case Dense(weight):
            return int(max(weight.shape))
        case Sparse(rows, _, _, out_size):
            return min(len(rows), max(size, out_size))
        case Scale() | Normalize():
            return 1
        case Gather(index):
            return max(len(index), 1)
        case Convolution():
            return m.terms
        case Transposed(of):
            return of.terms


def weights(m: LinearMap) -> int:
    """Number of coefficients; the kernel of a convolution counts at each place where it is applied."""
    match m:
        case Dense(weight):
            return weight.size
        case Sparse(_, _, values, _):
            return values.size
        case Scale(factor, _):
            return factor.size
        case Normalize(gain):
            return gain.size
        case Gather():
            return 0
        case Convolution():
            return m.products
        case Transposed(of):
            return of.products
