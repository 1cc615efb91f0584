"""Exact bounds: rows substituted backward through lines of every ReLU, in rationals (the checker's rules R1 and R2).

The root's ranges come from intervals; neurons that these leave unstable are bounded once more by rows of their own,
with the adaptive slopes of CROWN (Zhang et al. 2018, arXiv:1811.00866). Ranges are rounded outward to a dyadic grid so
that fractions stay short: a wider range is still a range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from relaxations.smt.encode import ZERO, Affine, Neuron, Phases, Question, Scaled, Vector, zeros
from relaxations.smt.limits import Deadline

BITS = 60  # of a rounded number, as the checker's audit keeps them
Ranges = tuple[tuple[Vector, Vector], ...]


@dataclass(frozen=True)
class Lines:
    """``below z <= relu(z) <= above z + offset`` for every neuron of a layer, on its range."""

    below: Vector
    above: Vector
    offset: Vector


def lines(l: Vector, u: Vector, slopes: Mapping[int, Fraction]) -> Lines:
    """Lines over the range; unstable neurons take their slope in [0, 1] from ``slopes``, or that of CROWN."""
    below, above, offset = zeros(len(l)), zeros(len(l)), zeros(len(l))
    for i, (low, up) in enumerate(zip(l, u)):
        if low >= 0:
            below[i] = above[i] = Fraction(1)
        elif up > 0:
            below[i] = slopes.get(i, Fraction(int(up > -low)))
            # Any slope in [0, 1] is a line above if the offset goes with it.
            above[i] = s = rounded_down(up / (up - low))
            offset[i] = max(-s * low, (1 - s) * up)
    return Lines(below, above, offset)


def substituted(
    question: Question,
    relaxed: tuple[Lines, ...],
    coefs: dict[int, Vector],
    constant: Fraction,
    shifts: Mapping[Neuron, Fraction] | None = None,
) -> tuple[Vector, Fraction]:
    """A form over the inputs that is nowhere above the form ``coefs`` over the sources, plus shifts times ``z``.

    ``shifts`` are added to the coefficients of pre-activations; needs ``relaxed`` for every layer that is read.
    """
    coefs = dict(coefs)
    for k in reversed(range(len(relaxed))):
        a = coefs.pop(k + 1, None)
        mine = {i: shift for (layer, i), shift in (shifts or {}).items() if layer == k}
        if a is None and not mine:
            continue
        a = zeros(len(relaxed[k].below)) if a is None else a
        line = relaxed[k]
        positive, negative = np.maximum(a, ZERO), np.minimum(a, ZERO)
        on_z = positive * line.below + negative * line.above
        constant += negative @ line.offset
        for i, shift in mine.items():
            on_z[i] += shift
        constant += _pull(question.layers[k], on_z, coefs)
    return coefs.get(0, zeros(len(question.lower))), constant


def least(form: Vector, constant: Fraction, lower: Vector, upper: Vector) -> Fraction:
    """The least value of ``form . x + constant`` on the box."""
    return constant + np.maximum(form, ZERO) @ lower + np.minimum(form, ZERO) @ upper


def root_ranges(question: Question, deadline: Deadline | None = None) -> Ranges:
    """Exact ranges of all pre-activations on the box; raises ``OutOfTime``."""
    values = [(question.lower, question.upper)]
    relaxed: list[Lines] = []
    found: list[tuple[Vector, Vector]] = []
    for layer in question.layers:
        l, u = _interval(layer, values)
        if any(source > 0 for source, _ in layer.terms):
            for i in unstable(l, u):
                if deadline is not None:
                    deadline.check()
                l[i] = max(l[i], _row_bound(question, tuple(relaxed), layer, i, 1))
                u[i] = min(u[i], -_row_bound(question, tuple(relaxed), layer, i, -1))
        l, u = np.vectorize(rounded_down, otypes=[object])(l), -np.vectorize(rounded_down, otypes=[object])(-u)
        found.append((l, u))
        relaxed.append(lines(l, u, {}))
        values.append((np.maximum(l, ZERO), np.maximum(u, ZERO)))
    return tuple(found)


def restricted(ranges: Ranges, phases: Phases) -> Ranges:
    """The ranges where the phases hold."""
    found = [(l.copy(), u.copy()) for l, u in ranges]
    for (layer, i), sign in phases.items():
        l, u = found[layer]
        if sign > 0:
            l[i] = max(l[i], ZERO)
        else:
            u[i] = min(u[i], ZERO)
    return tuple(found)


def unstable(l: Vector, u: Vector) -> list[int]:
    """The neurons that may be active or not."""
    return [i for i, (low, up) in enumerate(zip(l, u)) if low < 0 < up]


def rounded_down(value: Fraction) -> Fraction:
    """The number itself, or the next below it that has about 60 significant bits."""
    excess = value.numerator.bit_length() - value.denominator.bit_length()
    scale = Fraction(2) ** (BITS - excess)
    return value if value.denominator.bit_length() <= BITS else floor(value * scale) / scale


def _interval(layer: Affine, values: list[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    l, u = layer.bias, layer.bias
    for source, matrix in layer.terms:
        low, up = values[source]
        positive, negative = np.maximum(matrix, ZERO), np.minimum(matrix, ZERO)
        l, u = l + positive @ low + negative @ up, u + positive @ up + negative @ low
    return l.copy(), u.copy()


def _row_bound(question: Question, relaxed: tuple[Lines, ...], layer: Affine, neuron: int, sign: int) -> Fraction:
    """A lower bound of ``sign * z``."""
    one = zeros(len(layer.bias))
    one[neuron] = Fraction(sign)
    coefs: dict[int, Vector] = {}
    constant = _pull(layer, one, coefs)
    return least(*substituted(question, relaxed, coefs, constant), question.lower, question.upper)


def _pull(layer: Affine, on_z: Vector, coefs: dict[int, Vector]) -> Fraction:
    """Add what coefficients of a layer's values are for its sources; returns the constant."""
    for source, matrix in layer.scaled:
        part = Scaled.of(on_z) @ matrix
        coefs[source] = coefs[source] + part if source in coefs else part
    return on_z @ layer.bias
