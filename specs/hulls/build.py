"""Boxes, octagons and template polytopes around data.

A row of a hull is a direction with small exact coefficients and a bound on it. The bound is the largest value that the
data takes in this direction, or the ``min_support``-th largest, rounded outward twice: by the rounding error that the
float64 sum can have, and to the next float32. So at least all data points up to the outliers left out satisfy the rows
in exact arithmetic, a network that holds the bounds (a monitor) needs no float64, and another machine, whose
activations may differ in their last bits, all but surely gets the same numbers.

Octagons are those of Mine (*The octagon abstract domain*, HOSC 2006), polytopes with a fixed set of directions those
of Sankaranarayanan, Sipma and Manna (*Scalable analysis of linear systems using mathematical programming*, VMCAI 2005)
with principal directions of the data as in Stursberg and Krogh (*Efficient representation and computation of
reachable sets for hybrid systems*, HSCC 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from specs.hulls.hull import Hull, HullRow
from specs.problem import Terms

Kind = Literal["box", "octagon", "polytope"]
Reals = NDArray[np.float64]

PAIRS_PER_UNIT = 2
"""Of an octagon: as many pairs as this times the activations are bounded, unless ``pairs`` says otherwise."""
DIRECTIONS = 16
"""Of a polytope, unless ``directions`` says otherwise."""
QUANTUM = 64
"""Principal directions are rounded to multiples of 1 / QUANTUM."""
NOTHING = 1e-9
"""Share of the largest standard deviation below which the data counts as not varying."""


@dataclass(frozen=True)
class HullShape:
    """Which hull.

    ``box``: each activation. ``octagon``: the box, and sums and differences of ``pairs`` pairs of activations, those
    with the largest absolute correlation in the data. ``polytope``: the box, and the ``directions`` principal
    directions of the data along which it is narrowest compared with its box, both ways.

    ``min_support``: a bound is a value that at least so many data points reach or pass. With 1 every data point is
    inside; with m, up to m - 1 outliers a row are left outside. ``margin``: every bound is moved outward by this share
    of the distance between it and the bound of the opposite direction.
    """

    kind: Kind = "box"
    min_support: int = 1
    margin: Fraction = Fraction(0)
    pairs: int | None = None
    directions: int | None = None


def hull_of(values: Reals, shape: HullShape) -> Hull:
    """The hull of the rows of ``values`` (points, activations), float64.

    Raises ``ValueError`` where there are fewer points than ``min_support``, or values that are not finite in float32.
    """
    points, size = values.shape
    if shape.min_support < 1 or points < shape.min_support:
        raise ValueError(f"{points} data points are fewer than min_support, {shape.min_support}")
    if not np.all(np.abs(values) < np.finfo(np.float32).max):
        raise ValueError("some activation on the data is not a finite number of float32")
    rows: list[HullRow] = []
    for index, coefficients in _directions(values, shape):
        rows += _two_rows(values, index, coefficients, shape)
    return Hull(shape.kind, size, tuple(rows), points)


def _directions(values: Reals, shape: HullShape) -> Iterator[tuple[list[int], list[float]]]:
    """Directions, one of each pair of opposite ones: indices and coefficients that float32 holds."""
    size = values.shape[1]
    yield from (([i], [1.0]) for i in range(size))
    if shape.kind == "octagon":
        for i, j in most_correlated(values, PAIRS_PER_UNIT * size if shape.pairs is None else shape.pairs):
            yield [i, j], [1.0, 1.0]
            yield [i, j], [1.0, -1.0]
    elif shape.kind == "polytope":
        for direction in principal_directions(values, DIRECTIONS if shape.directions is None else shape.directions):
            index = np.flatnonzero(direction).tolist()
            if len(index) > 1:
                yield index, direction[index].tolist()


def _two_rows(values: Reals, index: list[int], coefficients: list[float], shape: HullShape) -> list[HullRow]:
    """The row of a direction and that of its opposite."""
    coefs = np.array(coefficients)
    terms = values[:, index] * coefs
    along = np.zeros(len(values))
    for column in terms.T:
        along += column
    # Any order of n - 1 additions and n products errs by at most gamma_n times the sum of absolute values (Higham,
    # Accuracy and Stability of Numerical Algorithms, 2002, section 4.2); 2 n u is more than gamma_n.
    slack: Reals | float = 0.0
    if len(index) > 1:
        slack = 2 * len(index) * np.finfo(float).eps * np.abs(terms).sum(axis=1)
    up, down = (_reached(sign * along + slack, shape.min_support) for sign in (1, -1))
    up_support, down_support = (_support(sign * along, shape.min_support) for sign in (1, -1))
    widened = shape.margin * (up + down) if up + down > 0 else Fraction(0)
    exact = tuple((i, Fraction(c)) for i, c in zip(index, coefficients))
    opposite: Terms = tuple((i, -c) for i, c in exact)
    return [
        HullRow(exact, rounded_up(up + widened), up_support),
        HullRow(opposite, rounded_up(down + widened), down_support),
    ]


def _reached(along: Reals, min_support: int) -> Fraction:
    """The ``min_support``-th largest value, rounded up as the sum with the slack may have been rounded down."""
    value = _largest(along, min_support)
    return Fraction(float(np.nextafter(value, np.inf) if value != 0 else value))


def _support(along: Reals, min_support: int) -> int:
    return int((along >= _largest(along, min_support)).sum())


def _largest(along: Reals, k: int) -> np.float64:
    """The ``k``-th largest value."""
    found: np.float64 = np.partition(along, len(along) - k)[len(along) - k]
    return found


def rounded_up(value: Fraction) -> Fraction:
    """The least float32 that is not below ``value``. Raises ``ValueError`` where there is none."""
    with np.errstate(over="ignore"):
        near = np.float32(float(value))
    if np.isfinite(near) and Fraction(float(near)) < value:
        with np.errstate(over="ignore"):
            near = np.nextafter(near, np.float32(np.inf))
    if not np.isfinite(near):
        raise ValueError("a bound of the hull is no finite number of float32")
    return Fraction(float(near))


def most_correlated(values: Reals, count: int) -> list[tuple[int, int]]:
    """The ``count`` pairs ``i < j`` of largest absolute correlation; pairs with a constant activation come never.

    Ties, and what differs by rounding only, go to the smaller indices.
    """
    spread = values.std(axis=0)
    alive = np.flatnonzero(spread > 0)
    scaled = (values[:, alive] - values[:, alive].mean(axis=0)) / spread[alive]
    correlation = np.round(np.abs(scaled.T @ scaled) / len(values), 9)
    first, second = np.triu_indices(len(alive), k=1)
    order = np.argsort(-correlation[first, second], kind="stable")[:count]
    return [(int(alive[first[k]]), int(alive[second[k]])) for k in order]


def principal_directions(values: Reals, count: int) -> Reals:
    """Up to ``count`` principal directions (count, activations) of the data, rounded to multiples of 1 / QUANTUM.

    Those along which the data is narrowest compared with its box come first: these bounds cut off most. Directions in
    which the data does not vary at all are left out: they are not unique. The largest entry of each is positive, so
    that a direction does not depend on the sign the solver happens to take.
    """
    centred = values - values.mean(axis=0)
    _, lengths, rows = np.linalg.svd(centred, full_matrices=False)
    rows = rows[lengths > NOTHING * lengths.max(initial=0.0)]
    if not len(rows):
        return np.zeros((0, values.shape[1]))
    largest = np.abs(rows).argmax(axis=1)
    signs = np.sign(rows[np.arange(len(rows)), largest])
    found = np.round(QUANTUM * rows * signs[:, None]) / QUANTUM
    share = np.ptp(centred @ found.T, axis=0) / (np.abs(found) @ np.ptp(values, axis=0))
    return np.asarray(found[np.argsort(np.round(share, 6), kind="stable")[:count]])
