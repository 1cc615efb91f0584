"""The linear pieces of a network over a box: every activation region with its affine functions, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from tests.oracle.network import Network
from tests.oracle.polytope import Affine, Polytope


@dataclass(frozen=True)
class Region:
    """Where no ReLU changes sign: ``values[k] / scales[k]`` is value ``k`` of the network as an affine function.

    The coordinates of ``cell`` are ``t = x - lower``.
    """

    cell: Polytope
    values: Sequence[Affine]
    scales: Sequence[int]


def regions(network: Network, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Iterator[Region]:
    """Regions that cover the box; a ReLU splits a region only if it takes both signs inside it.

    Value ``k`` is carried as ``scales[k] > 0`` times itself, so that all coefficients are integers; a ReLU does not
    mind a positive factor.
    """
    scales = [value.denominator for value in lower]
    inputs = []
    for i, (value, scale) in enumerate(zip(lower, scales, strict=True)):
        form = [value.numerator] + [0] * len(lower)
        form[i + 1] = scale
        inputs.append(form)
    units = []
    for unit in network.units:
        relative = [(v, c / scales[v]) for v, c in unit.terms]
        scale = lcm(unit.constant.denominator, *(c.denominator for _, c in relative))
        units.append((int(unit.constant * scale), [(v, int(c * scale)) for v, c in relative], unit.relu))
        scales.append(scale)
    box = Polytope([up - lo for lo, up in zip(lower, upper, strict=True)])

    def explore(cell: Polytope, values: list[Affine]) -> Iterator[Region]:
        for constant, terms, relu in units[len(values) - len(inputs) :]:
            form = [constant] + [0] * len(inputs)
            for v, c in terms:
                form = [a + c * b for a, b in zip(form, values[v])]
            if relu and cell.falls_below_zero(form):
                negated = [-a for a in form]
                inactive = cell.cut(negated)
                if cell.falls_below_zero(negated):
                    active = cell.cut(form)
                    yield from explore(_non_empty(inactive), [*values, [0] * len(form)])
                    cell = _non_empty(active)
                else:
                    form = [0] * len(form)
            values = [*values, form]
        yield Region(cell, values, scales)

    yield from explore(box, inputs)


def _non_empty(cell: Polytope | None) -> Polytope:
    assert cell is not None, "a point with this sign was found just before"
    return cell
