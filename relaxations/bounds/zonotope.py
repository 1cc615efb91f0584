"""Generator form: everything a network computes on a box as affine forms in one set of bounded symbols.

An input is ``mid + rad e``. An unstable ReLU with bounds l < 0 < u lies in a band of any slope s in [0, 1],
``relu(z) = s z + h (1 + e)`` with ``2 h = max(-s l, (1 - s) u)`` and a fresh symbol e. With the slopes that a row's
backward substitution has chosen (the lower line's where the row's coefficient is positive, the chord's where it is
negative), the least value of the row's form is the bound that the substitution gives.

What phases add is then linear in the symbols: where z >= 0 the ReLU is z, so its symbol can be replaced, and z >= 0 is
a constraint with a multiplier. A region of any depth costs one row of coefficients, not a pass through the network.

Sources: Singh et al. 2018 (DeepZ), NeurIPS; Scott et al. 2016 (constrained zonotopes), Automatica 69.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from relaxations.network import Layer, ReluNetwork, rows_of

ROWS_AT_ONCE = 512  # bounds memory, not results


@dataclass(frozen=True)
class Zonotope:
    """Forms in N symbols: the inputs', then one for each of n unstable ReLUs, layer by layer.

    ``z_i = rows[i] . e + constant[i]`` (n, N), (n,) is the argument of a ReLU, whose band has ``slope[i]`` and half
    height ``half[i]``; ``form . e + offset`` is the row to be bounded. ``starts[k]`` is the first ReLU of layer k, the
    last entry n. Symbols from ``N - n + starts[k]`` on have no part in the forms of layer k.
    """

    rows: np.ndarray
    constant: np.ndarray
    slope: np.ndarray
    half: np.ndarray
    form: np.ndarray
    offset: float
    starts: tuple[int, ...]

    @property
    def inputs(self) -> int:
        return len(self.form) - len(self.half)


def zonotope(
    network: ReluNetwork,
    target: Layer,
    weights: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    bounds: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    slopes: Sequence[np.ndarray],
    shifts: Sequence[tuple[int, int, float]] = (),
) -> Zonotope:
    """The zonotope of a box (middle and radius, (inputs,)) with bounds (lower, upper) and slopes (n_k,) on each layer.

    The row is ``weights @ target`` plus ``shift * z`` for every (layer, neuron, shift), the multipliers of phases that
    are known already. Computed in the network's precision.
    """
    mid = box[0]
    bands, starts = [], [0]
    for l, u, s in zip(*bounds, slopes):
        free = np.flatnonzero((l < 0) & (u > 0))
        starts.append(starts[-1] + len(free))
        slope, half = (l >= 0).astype(mid.dtype), np.zeros_like(l)
        slope[free] = s[free]
        half[free] = np.maximum(-s[free] * l[free], (1 - s[free]) * u[free]) / 2
        bands.append(_Band(free, slope, half))
    symbols = len(mid) + starts[-1]
    rows, constant = np.zeros((starts[-1], symbols), dtype=mid.dtype), np.zeros(starts[-1], dtype=mid.dtype)
    for k, (layer, band) in enumerate(zip(network.layers, bands)):
        for at in range(0, len(band.free), ROWS_AT_ONCE):
            some = band.free[at : at + ROWS_AT_ONCE]
            here = slice(starts[k] + at, starts[k] + at + len(some))
            coefs = {source: rows_of(weight, some).astype(mid.dtype) for source, weight in layer.terms}
            constant[here] = layer.bias[some] + _down(network, bands[:k], starts, box, coefs, rows[here])
    coefs = {}
    target.pull_into(coefs, weights[None])
    for layer, neuron, shift in shifts:
        for source, weight in network.layers[layer].terms:
            coefs[source] = coefs.get(source, 0) + shift * rows_of(weight, np.array([neuron])).astype(mid.dtype)
    form = np.zeros((1, symbols), dtype=mid.dtype)
    offset = float(weights @ target.bias) + sum(shift * float(network.layers[k].bias[i]) for k, i, shift in shifts)
    offset += float(_down(network, bands, starts, box, coefs, form)[0])
    slope = np.concatenate([mid[:0], *(band.slope[band.free] for band in bands)])
    half = np.concatenate([mid[:0], *(band.half[band.free] for band in bands)])
    return Zonotope(rows, constant, slope, half, form[0], offset, tuple(starts))


class _Band(NamedTuple):
    """Of one layer: the unstable ReLUs, all slopes (n,), half heights (n,), 0 where stable."""

    free: np.ndarray
    slope: np.ndarray
    half: np.ndarray


def _down(
    network: ReluNetwork,
    bands: Sequence[_Band],
    starts: Sequence[int],
    box: tuple[np.ndarray, np.ndarray],
    coefs: dict[int, np.ndarray],
    rows: np.ndarray,
) -> np.ndarray:
    """Write forms of rows over sources, ``coefs[source]`` (m, n), into ``rows`` (m, N); returns constants (m,)."""
    mid, rad = box
    constant = np.zeros(len(rows), dtype=rows.dtype)
    for k in range(len(bands) - 1, -1, -1):
        if k + 1 not in coefs:
            continue
        a, (free, slope, half) = coefs.pop(k + 1), bands[k]
        symbols = len(mid) + starts[k]
        rows[:, symbols : symbols + len(free)] = a[:, free] * half[free]
        constant += a @ half
        a = a * slope
        constant += a @ network.layers[k].bias
        network.layers[k].pull_into(coefs, a)
    if 0 in coefs:
        rows[:, : len(mid)] = coefs[0] * rad
        constant += coefs[0] @ mid
    return constant
