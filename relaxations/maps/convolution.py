"""Convolution as a map of flat tensors (channel, *space): a kernel and a geometry, never a matrix of all of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from relaxations.maps import unfolding
from relaxations.maps.geometry import Geometry
from relaxations.maps.linear import Array, LinearMap, namespace


@dataclass(frozen=True, eq=False)
class Convolution(LinearMap):
    """``out[m, o] = sum of kernel[m, c, k] * v[c, o * stride - begin + k * dilation]`` over the group's channels.

    ``kernel`` has shape (filters, channels / groups, *window); outside the image v is 0.
    """

    kernel: Array
    geometry: Geometry

    @property
    def shape(self) -> tuple[int, int]:
        return self.geometry.shape

    def push(self, values: Array) -> Array:
        if namespace(values, self.kernel) is np:
            return unfolding.push(self.kernel, self.geometry, values)
        from relaxations.maps import lax_convolution

        return lax_convolution.push(self.kernel, self.geometry, values)

    def pull(self, coefs: Array) -> Array:
        if namespace(coefs, self.kernel) is np:
            return unfolding.pull(self.kernel, self.geometry, coefs)
        from relaxations.maps import lax_convolution

        return lax_convolution.pull(self.kernel, self.geometry, coefs)

    def __abs__(self) -> Convolution:
        return Convolution(abs(self.kernel), self.geometry)

    def astype(self, dtype: Any) -> Convolution:
        return Convolution(self.kernel.astype(dtype), self.geometry)

    @property
    def largest(self) -> float:
        return float(abs(self.kernel).max())

    @property
    def nonzeros(self) -> int:
        count = (np.asarray(self.kernel) != 0).sum(axis=(0, 1))
        for axis in range(count.ndim):
            count = count * self.geometry.inside(axis).reshape(-1, *(1,) * (count.ndim - 1 - axis))
        return int(count.sum())

    def rows(self, index: np.ndarray) -> np.ndarray:
        g = self.geometry
        filters, places = np.divmod(index, prod(g.out_space))
        starts = [o * s - b for o, s, b in zip(np.unravel_index(places, g.out_space), g.strides, g.begin)]
        out = np.zeros((len(index), g.groups, g.channels // g.groups, prod(g.space)), dtype=self.kernel.dtype)
        for offset in np.ndindex(*g.window):
            place = [start + k * d for start, k, d in zip(starts, offset, g.dilations)]
            used = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(place, g.space)])
            flat = np.ravel_multi_index([p[used] for p in place], g.space)
            chosen = filters[used]
            group = chosen // (g.filters // g.groups)
            out[np.flatnonzero(used), group, :, flat] = self.kernel[(chosen, slice(None), *offset)]
        return out.reshape(len(index), -1)
