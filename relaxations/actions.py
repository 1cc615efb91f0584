"""Relaxed actions that several relaxations share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.base import Query


@dataclass(frozen=True)
class Point:
    """An input (n,), and for every layer its pre-activations ``z[k]`` and outputs ``a[k]`` (n_k,).

    In a real execution ``a = max(z, 0)``; a relaxation lets the adversary choose ``a`` in a set around that.
    """

    x: np.ndarray
    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]

    @staticmethod
    def real(query: Query, x: np.ndarray) -> Point:
        """What the network itself does at an input (n,)."""
        seen, _ = query.network.preactivations(x[None])
        z = tuple(values[0] for values in seen)
        return Point(x, z, tuple(layer.output(values) for layer, values in zip(query.network.layers, z)))

    def margins(self, query: Query) -> np.ndarray:
        """The rows' values (R,), the outputs computed from this action's own ``a``."""
        y = query.network.output.apply([self.x[None], *(values[None] for values in self.a)])[0]
        return query.rows.x @ self.x + query.rows.y @ y + query.rows.constant

    def gaps(self) -> list[np.ndarray]:
        """By layer, how far each output stands above the ReLU of its pre-activation: what the adversary invented."""
        return [a - np.maximum(z, 0) for z, a in zip(self.z, self.a)]
