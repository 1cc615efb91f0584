"""CROWN: linear bounds of rows by backward substitution through the network.

Source: Zhang et al. 2018, arXiv:1811.00866; batching over boxes and rows as in Xu et al. 2021 (alpha-CROWN).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from relaxations.bounds.balls import Ball, least
from relaxations.bounds.differences import PairLines, through
from relaxations.functions.relu import Lines
from relaxations.network import ReluNetwork

Array = Any


def backward(
    network: ReluNetwork,
    coefs: dict[int, Array],
    constant: Array,
    index: Array,
    lines: list[Lines],
    xp: ModuleType,
    seen: dict[int, Array] | None = None,
    pairs: Mapping[int, PairLines] | None = None,
) -> tuple[Array, Array]:
    """Affine lower bound ``form . x + constant`` of rows over sources, one row per entry of ``index``.

    ``coefs[source]`` has shape (N, width of the source), ``index[i]`` is the box of row i, and ``lines[j - 1]`` holds
    the lines of ReLU layer j per box, (B, n). ``seen`` receives the coefficients (N, n) on every ReLU layer.
    ``pairs[source]`` are lines for the differences of the source before this one and of this one.
    Sound for the real-valued search network up to float rounding.
    """
    coefs = dict(coefs)  # the caller keeps its own
    form = coefs.get(0)
    further: dict[int, Array] = {}  # coefficients on arguments, from differences
    for source in range(max(coefs), 0, -1):
        if source not in coefs:
            continue
        if pairs and source in pairs and source - 1 in coefs:
            if seen is not None:
                seen[source - 1], seen[source] = coefs[source - 1], coefs[source]
            rest = through(pairs[source], coefs[source - 1], coefs[source], index, xp)
            coefs[source - 1], coefs[source], on_d, moved = rest
            constant = constant + moved
            further[source - 1], further[source] = on_d, -on_d
        a, layer, line = coefs[source], network.layers[source - 1], _of_rows(lines[source - 1], index)
        if seen is not None:
            seen.setdefault(source, a)
        negative = xp.minimum(a, 0)
        constant = constant + xp.einsum("ij,ij->i", negative, line.upper_offset)
        a = (a - negative) * line.lower_slope + negative * line.upper_slope
        if source in further:
            a = a + further.pop(source)
        constant = constant + a @ layer.bias
        layer.pull_into(coefs, a)
        form = coefs.get(0)
    if form is None:
        form = xp.zeros((len(constant), network.input_size), dtype=constant.dtype)
    return form, constant


def _of_rows(lines: Lines, index: Array) -> Lines:
    """The lines of each row's box; those of a single box serve all rows as they are."""
    return lines if lines.lower_slope.shape[0] == 1 else Lines(*(part[index] for part in lines))


def concretise(
    form: Array, constant: Array, mid: Array, rad: Array, xp: ModuleType, ball: Ball | None = None
) -> tuple[Array, Array]:
    """Value at the middle and least value over box and ball, for rows (N, inputs) and their boxes' mid and rad."""
    at_mid = constant + xp.einsum("ij,ij->i", form, mid)
    if ball is not None:
        return at_mid, at_mid + least(form, mid, rad, ball, xp)[0]
    return at_mid, at_mid - xp.einsum("ij,ij->i", xp.abs(form), rad)
