"""The linear maps of a network on arrays of rationals, exactly, written without regard to speed.

Convolutions are sums of shifted tensors here, one for each tap: not the computation of ``convolution``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import isqrt
from typing import Any, Protocol

import numpy as np

from verifier.checker.convolution import Convolution, Shape, Transposed
from verifier.checker.errors import CheckError
from verifier.checker.network import Dense, Gather, Index, LinearMap, Normalize, Scale, Sparse
from verifier.checker.rational import Exact, Integers, zeros


class ExactLinear(Protocol):
    """A linear map, acting along the last axis: ``M v`` forward, ``a M`` backward; its ``abs`` has absolute entries."""

    def push(self, v: Exact) -> Exact: ...
    def pull(self, a: Exact) -> Exact: ...
    def __abs__(self) -> ExactLinear: ...


def exact_map(linear_map: LinearMap, height: int, width: int) -> ExactLinear:
    """The map with ``height`` outputs and ``width`` inputs. Refuses normalisations with irrational factors."""
    each = np.arange(height)
    match linear_map:
        case Dense(weight):
            return ExactMap(height, width, Exact.of_floats(weight))
        case Sparse(rows, cols, values, _):
            return ExactMap(height, width, Exact.of_floats(values), rows, cols)
        case Gather(index):
            rows = np.flatnonzero(index >= 0)
            return ExactMap(height, width, Exact.of_floats(np.ones(len(rows))), rows, index[rows])
        case Scale(factor, divide):
            exact = Exact.of_floats(factor)
            if divide:
                exact = Exact.of([1 / value for value in exact.fractions()])
            return ExactMap(height, width, exact, each, each)
        case Normalize(gain, variance, epsilon):
            roots = [_root(Fraction(value) + Fraction(epsilon)) for value in variance.tolist()]
            factors = [Fraction(value) / root for value, root in zip(gain.tolist(), roots, strict=True)]
            return ExactMap(height, width, Exact.of(factors), each, each)
        case Convolution():
            return ExactConvolution(linear_map, Exact.of_floats(linear_map.kernel))
        case Transposed(of):
            return ExactConvolution(of, Exact.of_floats(of.kernel), transposed=True)


def _root(value: Fraction) -> Fraction:
    root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if root * root != value:
        raise CheckError("a normalisation divides by an irrational number, which exact arithmetic does not do")
    return root


@dataclass(frozen=True)
class ExactMap:
    """A linear map, as a matrix (``rows`` is None) or as entries (rows, cols, values); ``height`` outputs."""

    height: int
    width: int
    values: Exact
    rows: Index | None = None
    cols: Index | None = None

    def push(self, v: Exact) -> Exact:
        if self.rows is None:
            return v @ Exact(self.values.numerators.T, self.values.denominator)
        return _scatter(v[..., self.cols] * self.values, self.rows, self.height)

    def pull(self, a: Exact) -> Exact:
        if self.rows is None or self.cols is None:
            return a @ self.values
        return _scatter(a[..., self.rows] * self.values, self.cols, self.width)

    def __abs__(self) -> ExactMap:
        return ExactMap(self.height, self.width, abs(self.values), self.rows, self.cols)


@dataclass(frozen=True)
class ExactConvolution:
    """A convolution with an exact kernel, or its transposed map."""

    geometry: Convolution
    kernel: Exact
    transposed: bool = False

    def push(self, v: Exact) -> Exact:
        return self._scattered(v) if self.transposed else self._gathered(v)

    def pull(self, a: Exact) -> Exact:
        return self._gathered(a) if self.transposed else self._scattered(a)

    def __abs__(self) -> ExactConvolution:
        return ExactConvolution(self.geometry, abs(self.kernel), self.transposed)

    def _gathered(self, v: Exact) -> Exact:
        """From tensors of the source's shape to tensors of the target's."""
        of, to = (self._tensor(v.numerators, self.geometry.source), self.geometry.target)
        out = np.full((len(of), self.geometry.groups, to[0] // self.geometry.groups, *to[1:]), 0, dtype=object)
        for weight, at_source, at_target in self._taps():
            out[at_target] += np.einsum("gmc,rgc...->rgm...", weight, of[at_source])
        return Exact(out.reshape(*v.numerators.shape[:-1], -1), v.denominator * self.kernel.denominator)

    def _scattered(self, a: Exact) -> Exact:
        """From tensors of the target's shape to tensors of the source's."""
        of, to = (self._tensor(a.numerators, self.geometry.target), self.geometry.source)
        out = np.full((len(of), self.geometry.groups, to[0] // self.geometry.groups, *to[1:]), 0, dtype=object)
        for weight, at_source, at_target in self._taps():
            out[at_source] += np.einsum("gmc,rgm...->rgc...", weight, of[at_target])
        return Exact(out.reshape(*a.numerators.shape[:-1], -1), a.denominator * self.kernel.denominator)

    def _tensor(self, flat: Integers, shape: Shape) -> Integers:
        groups = self.geometry.groups
        return flat.reshape(-1, groups, shape[0] // groups, *shape[1:])

    def _taps(self) -> Iterator[tuple[Integers, tuple[slice, ...], tuple[slice, ...]]]:
        """For each tap its weights (groups, target channels, source channels) and the places it joins."""
        conv = self.geometry
        everything: tuple[Any, ...] = (slice(None),) * 3
        kernel = self.kernel.numerators.reshape(conv.groups, -1, *self.kernel.numerators.shape[1:])
        for tap in product(*(range(size) for size in kernel.shape[3:])):
            at_source, at_target = [], []
            for axis, t in enumerate(tap):
                stride, offset = conv.strides[axis], t * conv.dilations[axis] - conv.before[axis]
                first = max(0, -(offset // stride))
                last = min(conv.target[axis + 1] - 1, (conv.source[axis + 1] - 1 - offset) // stride)
                count = max(0, last - first + 1)
                start = first * stride + offset
                at_target.append(slice(first, first + count))
                at_source.append(slice(start, start + (count - 1) * stride + 1, stride) if count else slice(0, 0))
            weight: Integers = kernel[(*everything, *tap)]
            yield weight, (*everything, *at_source), (*everything, *at_target)


def _scatter(values: Exact, to: Index, size: int) -> Exact:
    """Sums of the values along the last axis that go to the same place of a new last axis."""
    out = zeros(*values.numerators.shape[:-1], size).numerators
    np.add.at(out.T, to, values.numerators.T)
    return Exact(out, values.denominator)
