"""What every linear map can do, and the same for plain matrices: forward, backward, magnitudes, chosen rows.

A map's arrays and its operands are NumPy arrays, or JAX arrays (then also traced ones): the operands decide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

import numpy as np

Array = Any
Matrix = Any  # a NumPy array, a scipy.sparse matrix where a weight is large and mostly zero, or a LinearMap


class LinearMap(ABC):
    """A linear map from vectors of ``shape[1]`` numbers to vectors of ``shape[0]``."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Sizes of the result and of the operand, like the shape of a matrix."""

    @abstractmethod
    def push(self, values: Array) -> Array:
        """``M v`` for rows of values: (N, in) to (N, out)."""

    @abstractmethod
    def pull(self, coefs: Array) -> Array:
        """``a M`` for rows of coefficients: (N, out) to (N, in)."""

    @abstractmethod
    def __abs__(self) -> Matrix:
        """A map whose coefficients are at least the absolute values of this one's; equal to them but for products
        and sums, where they are the products and sums of the parts' absolute values."""

    @abstractmethod
    def astype(self, dtype: Any) -> Matrix:
        """The map with its coefficients rounded to ``dtype``."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The largest absolute value of a stored coefficient."""

    @property
    @abstractmethod
    def nonzeros(self) -> int:
        """How many multiplications by a nonzero number one ``push`` of one vector takes."""

    def rows(self, index: np.ndarray) -> np.ndarray:
        """The chosen rows as a dense array (N, in)."""
        unit = np.zeros((len(index), self.shape[0]))
        unit[np.arange(len(index)), index] = 1.0
        return np.asarray(self.pull(unit))


def namespace(*arrays: Array) -> ModuleType:
    """NumPy, or ``jax.numpy`` when one of the arrays is JAX's."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np
    import jax.numpy

    return jax.numpy


def is_sparse(weight: Matrix) -> bool:
    return hasattr(weight, "tocsr")


def push(weight: Matrix, value: Array) -> Array:
    """``weight @ v`` along the last axis of ``value``: (..., in) to (..., out)."""
    flat = value.reshape(-1, value.shape[-1])
    if isinstance(weight, LinearMap):
        out = weight.push(flat)
    elif is_sparse(weight):
        out = np.ascontiguousarray((weight @ flat.T).T)
    else:
        out = _product(flat, weight.T)
    return out.reshape(*value.shape[:-1], weight.shape[0])


def pull(weight: Matrix, coefs: Array) -> Array:
    """``a @ weight`` for rows of coefficients (N, out) to (N, in)."""
    if isinstance(weight, LinearMap):
        return weight.pull(coefs)
    return np.ascontiguousarray((weight.T @ coefs.T).T) if is_sparse(weight) else _product(coefs, weight)


def _product(a: Array, b: Array) -> Array:
    """``a @ b``. BLAS raises the flag of an invalid operation for lanes that it then throws away, now and then."""
    with np.errstate(invalid="ignore"):
        return a @ b


def rows_of(weight: Matrix, index: np.ndarray) -> np.ndarray:
    """The chosen rows as a dense array (N, in)."""
    if isinstance(weight, LinearMap):
        return weight.rows(index)
    return np.asarray(weight[index].toarray() if is_sparse(weight) else weight[index])


def dense(weight: Matrix) -> np.ndarray:
    """All of the map as a NumPy array."""
    return rows_of(weight, np.arange(weight.shape[0]))


def largest(weight: Matrix) -> float:
    """The largest absolute value of a stored coefficient."""
    if isinstance(weight, LinearMap):
        return weight.largest
    return float(abs(weight).max()) if min(weight.shape) else 0.0


def nonzeros(weight: Matrix) -> int:
    """How many multiplications by a nonzero number one ``push`` of one vector takes."""
    if isinstance(weight, LinearMap):
        return weight.nonzeros
    return int(weight.nnz) if is_sparse(weight) else int(np.count_nonzero(weight))
