"""Exact optima of tiny networks over a box cut by a ball of the norm 1: regions, each cut by the ball's facets."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import lcm

from tests.oracle import Network, Numbers, Row, exact
from tests.oracle.network import Layers
from tests.oracle.polytope import Affine
from tests.oracle.regions import regions

Point = tuple[Fraction, ...]


def minimum_in_cross(
    net: Network | Layers, lower: Numbers, upper: Numbers, row: Row, center: Numbers, weights: Numbers, bound: Fraction
) -> tuple[Fraction, Point] | None:
    """Least value of the row where ``sum weights[i] |x[i] - center[i]| <= bound`` in the box, and an input there.

    None where ball and box do not meet. Two or three inputs have four or eight facets.
    """
    network = net if isinstance(net, Network) else Network.dense(net)
    low, up, c, w = (tuple(map(exact, part)) for part in (lower, upper, center, weights))
    whole = network.extended(network.row_unit(row))
    best: tuple[Fraction, Point] | None = None
    for region in regions(whole, low, up):
        cell = region.cell
        for facet in facets(low, c, w, bound):
            part = cell.cut(facet)
            if part is None:
                break
            cell = part
        else:
            least, point = cell.minimise(region.values[-1])
            least /= region.scales[len(region.values) - 1]
            if best is None or least < best[0]:
                best = least, tuple(a + t for a, t in zip(low, point, strict=True))
    return best


def facets(lower: Point, center: Point, weights: Point, bound: Fraction) -> list[Affine]:
    """``bound - sum +-weights[i] (x[i] - center[i])``, in ``t = x - lower``, times a number that makes it whole."""
    found = []
    for signs in product((1, -1), repeat=len(lower)):
        slopes = [-sign * weight for sign, weight in zip(signs, weights, strict=True)]
        constant = bound + sum((s * (low - c) for s, low, c in zip(slopes, lower, center, strict=True)), Fraction(0))
        factor = lcm(*(number.denominator for number in (constant, *slopes)))
        found.append([int(constant * factor), *(int(slope * factor) for slope in slopes)])
    return found
