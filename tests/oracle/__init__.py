"""Ground truth for tiny ReLU networks, in exact rational arithmetic and without any code of the product.

``minimum`` and ``minimum_of_max`` give exact optima over a box, ``counterexample`` and ``holds`` the exact decision
of "everywhere in the box at least one row is true". They enumerate the activation regions and solve one small
linear program in each; two to four inputs and two dozen ReLUs take well under a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tests.oracle.network import Layers, Network, Row, Unit, exact
from tests.oracle.regions import Region, regions

__all__ = [
    "Network",
    "Row",
    "Unit",
    "counterexample",
    "exact",
    "holds",
    "minimum",
    "minimum_of_max",
    "number_of_regions",
]

Point = tuple[Fraction, ...]
Numbers = Sequence[Any]


def minimum(net: Network | Layers, lower: Numbers, upper: Numbers, row: Row) -> Fraction:
    """Exact least value of the row's left-hand side over the box ``lower <= x <= upper``."""
    return minimum_of_max(net, lower, upper, [row])[0]


def minimum_of_max(
    net: Network | Layers, lower: Numbers, upper: Numbers, rows: Sequence[Row]
) -> tuple[Fraction, Point]:
    """Exact least value over the box of the largest left-hand side, and an input where it is taken."""
    network, low, up = _question(net, lower, upper)
    folded, value = _with_maximum(network, rows)
    best: tuple[Fraction, Point] | None = None
    for region in regions(folded, low, up):
        least, point = region.cell.minimise(region.values[value])
        least /= region.scales[value]
        if best is None or least < best[0]:
            best = least, _input(low, point)
    assert best is not None, "regions cover the box, which is not empty"
    return best


def counterexample(net: Network | Layers, lower: Numbers, upper: Numbers, rows: Sequence[Row]) -> Point | None:
    """An input of the box where every row is false, or None when there is none: then the property holds.

    Decided exactly, with each row as strict as it says.
    """
    network, low, up = _question(net, lower, upper)
    strict, loose = [r for r in rows if r.strict], [r for r in rows if not r.strict]
    whole = network.extended(*(network.row_unit(row) for row in strict))
    strict_values = range(network.inputs + len(network.units), whole.inputs + len(whole.units))
    if not loose:
        return next((_input(low, p) for r in regions(whole, low, up) if (p := _refute(r, strict_values))), None)
    folded, value = _with_maximum(whole, loose)
    found = (_refute(r, strict_values, value) for r in regions(folded, low, up))
    return next((_input(low, point) for point in found if point), None)


def holds(net: Network | Layers, lower: Numbers, upper: Numbers, rows: Sequence[Row]) -> bool:
    """Whether for every input of the box at least one row is true."""
    return counterexample(net, lower, upper, rows) is None


def number_of_regions(net: Network | Layers, lower: Numbers, upper: Numbers) -> int:
    """How many activation regions meet the box: what an answer costs."""
    return sum(1 for _ in regions(*_question(net, lower, upper)))


def _question(net: Network | Layers, lower: Numbers, upper: Numbers) -> tuple[Network, Point, Point]:
    network = net if isinstance(net, Network) else Network.dense(net)
    low, up = tuple(map(exact, lower)), tuple(map(exact, upper))
    if not len(low) == len(up) == network.inputs:
        raise ValueError(f"{len(low)} lower and {len(up)} upper bounds for {network.inputs} inputs")
    if any(a > b for a, b in zip(low, up)):
        raise ValueError("the box is empty")
    return network, low, up


def _with_maximum(network: Network, rows: Sequence[Row]) -> tuple[Network, int]:
    """The network with the largest left-hand side as its last value, by max(a, b) = a + relu(b - a)."""
    if not rows:
        raise ValueError("the maximum of no rows")
    one = Fraction(1)
    network = network.extended(network.row_unit(rows[0]))
    largest = network.inputs + len(network.units) - 1
    for row in rows[1:]:
        unit = network.row_unit(row)
        excess = Unit((*unit.terms, (largest, -one)), unit.constant, relu=True)
        network = network.extended(excess, Unit(((largest, one), (largest + 1, one))))
        largest += 2
    return network, largest


def _refute(region: Region, at_most_zero: Sequence[int], negative: int | None = None) -> Point | None:
    """A point of the region where some values are <= 0 and one is < 0."""
    cell = region.cell
    for value in at_most_zero:
        part = cell.cut([-a for a in region.values[value]])
        if part is None:
            return None
        cell = part
    if negative is None:
        return cell.minimise([0] * len(region.values[0]))[1]
    least, point = cell.minimise(region.values[negative])
    return point if least < 0 else None


def _input(lower: Point, point: Point) -> Point:
    return tuple(lo + t for lo, t in zip(lower, point))
