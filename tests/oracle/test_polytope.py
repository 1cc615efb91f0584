"""The exact simplex method against closed forms and against floating-point linear programming."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from tests.oracle.polytope import Polytope

F = Fraction


def test_a_box_is_minimised_at_the_corner_the_signs_choose() -> None:
    box = Polytope([F(1, 3), F(5, 7), F(2)])
    value, point = box.minimise([11, -3, 7, -1])
    assert value == 11 - 3 * F(1, 3) - 2
    assert point == (F(1, 3), F(0), F(2))


def test_a_cut_moves_the_optimum_to_a_rational_vertex() -> None:
    triangle = Polytope([F(1), F(1)]).cut([2, -3, -5])  # 3s + 5t <= 2
    assert triangle is not None
    value, (s, t) = triangle.minimise([0, -1, -1])
    assert (value, s, t) == (F(-2, 3), F(2, 3), F(0))
    assert triangle.minimise([0, 1, -2]) == (F(-4, 5), (F(0), F(2, 5)))


def test_emptiness_is_decided_at_the_last_digit() -> None:
    tiny = 10**40
    box = Polytope([F(1), F(1)])
    assert box.cut([-2, 1, 1]) is not None  # only the corner (1, 1)
    assert box.cut([-2 * tiny - 1, tiny, tiny]) is None
    touching = box.cut([-2, 1, 1])
    assert touching is not None
    assert touching.minimise([0, 1, 0]) == (1, (F(1), F(1)))


def test_a_point_is_a_polytope() -> None:
    point = Polytope([F(0), F(0)])
    assert point.minimise([3, -1, 5]) == (3, (F(0), F(0)))
    assert point.cut([0, 1, -1]) is not None
    assert point.cut([-1, 100, 100]) is None


def test_a_sign_is_found_exactly_when_it_is_taken() -> None:
    box = Polytope([F(1), F(1)])
    assert box.falls_below_zero([1, -1, -1])
    assert not box.falls_below_zero([2, -1, -1])
    assert not box.falls_below_zero([0, 0, 0])


def test_cycling_prone_degeneracy_ends() -> None:
    """Beale's example, on which the textbook pivot rule cycles: optimum -1/20."""
    part: Polytope | None = Polytope([F(10)] * 4)
    for cut in ([0, -25, 6000, 4, -900], [0, -50, 9000, 2, -300], [1, 0, 0, -1, 0]):
        assert part is not None
        part = part.cut(cut)
    assert part is not None
    assert part.minimise([0, -75, 15000, -2, 600])[0] == F(-1, 20) * 100


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_floating_point_linear_programming(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = random.Random(seed)
    n, m = rng.randint(1, 5), rng.randint(0, 12)
    width = [F(rng.randint(0, 9), rng.randint(1, 5)) for _ in range(n)]
    cuts = [[rng.randint(-3, 12), *(rng.randint(-5, 5) for _ in range(n))] for _ in range(m)]
    cost = [rng.randint(-5, 5) for _ in range(n + 1)]
    part: Polytope | None = Polytope(width)
    for cut in cuts:
        part = part.cut(cut) if part else None
    peer = optimize.linprog(
        cost[1:],
        A_ub=[[-a for a in cut[1:]] for cut in cuts] or None,
        b_ub=[cut[0] for cut in cuts] or None,
        bounds=[(0, float(w)) for w in width],
    )
    assert (part is None) == (peer.status == 2)
    if part is not None:
        value, point = part.minimise(cost)
        assert float(value) == pytest.approx(peer.fun + cost[0], abs=1e-7)
        assert value == cost[0] + sum(c * t for c, t in zip(cost[1:], point))
        assert all(0 <= t <= w for t, w in zip(point, width))
        assert all(cut[0] + sum(c * t for c, t in zip(cut[1:], point)) >= 0 for cut in cuts)
