"""Bounds on differences of corresponding neurons of two networks that are nearly the same.

A pair of neurons with arguments a, b has ``d = a - b`` in [l, u], and ``e = relu(a) - relu(b)`` lies between
``min(d, 0)`` and ``max(d, 0)``, since a ReLU neither decreases nor grows faster than its argument. A row
``alpha relu(a) + beta relu(b)`` is ``kappa e + (alpha - kappa) relu(a) + (beta + kappa) relu(b)`` for every kappa; with
the kappa between 0 and -beta that is nearest to alpha, nothing is left that cancels. So what is nearly the same in the
two networks is bounded through d, whose interval is narrow however wide those of a and b are.

Sources: Paulsen, Wang and Wang, *ReluDiff* (ICSE 2020); Paulsen et al., *NeuroDiff* (ASE 2020); Teuber et al.,
*VeryDiff* (2025). They propagate such differences forward. Here rows are substituted backward, whose coefficients say
what is shared; where a neuron is stable its line is exact, and the rules of theirs for that case are not needed.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from relaxations.functions.relu import Lines, lines

Array = Any


class PairLines(NamedTuple):
    """Lines of ``e`` in ``d``, per box and pair (B, n), where ``used``; elsewhere the two neurons are bounded alone.

    ``lower_slope d + lower_offset <= e <= upper_slope d + upper_offset``. ``loss`` is the longest that d may be.
    """

    used: Array
    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array
    loss: Array


def pair_lines(l: Array, u: Array, a: Lines, b: Lines, used: Array, xp: ModuleType) -> PairLines:
    """Lines for ``d`` in [l, u], given the lines of the two neurons.

    Above: ``e - s d`` is at most ``relu(d) - s d``, and at most ``relu(a) - s a`` because ``relu(b) >= s b``. So the
    upper line of a ReLU of d will do, and that of the ReLU of a; taken is the one that is lower in the middle of
    [l, u]. Below, the same with a and b exchanged and d turned around.
    """
    middle = (l + u) / 2
    above, below = lines(l, u, xp), lines(-u, -l, xp)
    of_a = a.upper_slope * middle + a.upper_offset < above.upper_slope * middle + above.upper_offset
    of_b = b.upper_slope * middle - b.upper_offset > below.upper_slope * middle - below.upper_offset
    return PairLines(
        used,
        xp.where(of_b, b.upper_slope, below.upper_slope),
        -xp.where(of_b, b.upper_offset, below.upper_offset),
        xp.where(of_a, a.upper_slope, above.upper_slope),
        xp.where(of_a, a.upper_offset, above.upper_offset),
        xp.maximum(xp.abs(l), xp.abs(u)),
    )


def shared(alpha: Array, beta: Array, xp: ModuleType) -> Array:
    """Kappa: of the numbers between 0 and -beta the nearest to alpha; one of its differences to both is 0."""
    return xp.minimum(xp.maximum(alpha, xp.minimum(-beta, 0)), xp.maximum(-beta, 0))


def through(
    pair: PairLines, first: Array, second: Array, index: Array, xp: ModuleType
) -> tuple[Array, Array, Array, Array]:
    """Rewrite rows with coefficients ``first`` on relu(a) and ``second`` on relu(b), (N, n) each; ``index`` has boxes.

    Returns the coefficients that are left on relu(a) and relu(b), those on d, and what the constants change by (N,).
    """
    used, below, base, above, offset = (
        part if part.shape[0] == 1 else part[index]
        for part in (pair.used, pair.lower_slope, pair.lower_offset, pair.upper_slope, pair.upper_offset)
    )
    kappa = shared(first, second, xp) * used
    negative = xp.minimum(kappa, 0)
    positive = kappa - negative
    constant = (positive * base + negative * offset).sum(axis=1)
    return first - kappa, second + kappa, positive * below + negative * above, constant


def tightened(
    a: tuple[Array, Array], b: tuple[Array, Array], d: tuple[Array, Array], xp: ModuleType
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The ranges of a and of b, each intersected with what the other's and that of ``d = a - b`` say."""
    (a_l, a_u), (b_l, b_u), (d_l, d_u) = a, b, d
    return (
        (xp.maximum(a_l, b_l + d_l), xp.minimum(a_u, b_u + d_u)),
        (xp.maximum(b_l, a_l - d_u), xp.minimum(b_u, a_u - d_l)),
    )
