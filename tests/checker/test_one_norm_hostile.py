"""Every rounding claim about balls of the norm 1 against exact fractions, at magnitudes chosen to hurt.

The least value of ``g . y`` where ``|y| <= rho`` and ``sum |y_i - a_i| / r_i <= 1`` is the greatest over t >= 0 of

    -t + sum of the least ``g_i y + t |y - a_i| / r_i`` over y in [-rho_i, rho_i],

by duality of linear programs. Each summand is convex in y and piecewise linear, so least at an end or at the point
nearest to a_i, and what is taken of t changes only where t is one of ``|g_i| r_i``.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.checker.test_rounding import exact
from verifier.checker import ball as ball_module
from verifier.checker.ball import TINY_ROOT, Ball, ExactBall
from verifier.checker.bounds import Bounder, _concretise
from verifier.checker.boxes import Boxes
from verifier.checker.forward import Forward, range_in
from verifier.checker.lines import U
from verifier.checker.network import Affine, Dense, Input, Network
from verifier.checker.zonotope import Zonotope

Floats = NDArray[np.float64]
Point = list[Fraction]
NO_COLUMNS = np.zeros((0, 2), dtype=np.int64)


def least(g: Point, away: Point, radii: Point, rho: Point) -> Fraction:
    """The least value of ``g . y``; arbitrary where box and ball do not meet."""

    def worth(t: Fraction) -> Fraction:
        total = -t
        for slope, a, r, end in zip(g, away, radii, rho, strict=True):
            total += min(slope * y + t * abs(y - a) / r for y in (-end, end, min(max(a, -end), end)))
        return total

    return max(worth(t) for t in {Fraction(0), *(abs(slope) * r for slope, r in zip(g, radii, strict=True))})


def meet(away: Point, radii: Point, rho: Point) -> bool:
    gaps = (max(abs(a) - end, Fraction(0)) / r for a, r, end in zip(away, radii, rho, strict=True))
    return sum(gaps, Fraction(0)) <= 1


def float_cross(rng: np.random.Generator, count: int, spread: int) -> Ball:
    radii = 10.0 ** rng.uniform(-min(spread, 99), min(spread, 79), count)
    return Ball(rng.normal(size=count) * 10.0 ** rng.uniform(-spread, min(spread, 70), count), radii, norm=1)


def box_at(rng: np.random.Generator, ball: Ball, spread: int) -> tuple[Floats, Floats]:
    """Middle and radii of a box: around the center, shifted by a share of radii or by ulps, narrow, wide or a point."""
    count = len(ball.center)
    shift = ball.radii * rng.uniform(-1.2, 1.2, count) * rng.choice([0.0, 0.3, 1.0]) / count
    mid = ball.center + np.where(rng.random(count) < 0.2, ball.center * U * rng.integers(-3, 4, count), shift)
    rad = ball.radii * 10.0 ** rng.uniform(-2, 1, count) * rng.choice([0.0, 1.0, 1.0, 1.0], count)
    if rng.random() < 0.2:
        rad = 10.0 ** rng.uniform(-spread - 1, min(spread, 70) + 1, count)
    return mid[None], rad[None]


@pytest.mark.parametrize("spread", [0, 3, 30, 95])
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_forms_are_never_bounded_too_boldly(count: int, spread: int) -> None:
    """Ball.over, and what ranges and rows make of it; nor are they bounded by much too little."""
    rng = np.random.default_rng(count + 1000 * spread)
    gamma, compared = (2 * count + 64) * U, 0
    for _ in range(25):
        ball = float_cross(rng, count, spread)
        mid, rad = box_at(rng, ball, spread)
        generators = rng.normal(size=(1, count, 3)) * 10.0 ** rng.uniform(-spread, spread, (1, count, 3))
        generators *= rng.random(generators.shape) < 0.8
        radii, rho = exact(ball.radii), exact(rad[0])
        away = [c - m for c, m in zip(exact(ball.center), exact(mid[0]), strict=True)]
        with np.errstate(all="ignore"):
            values, fall, rise = ball.over(generators, mid, rad, gamma)
            form = Forward(generators, rng.normal(size=(1, 3)), np.zeros((1, 3)), np.ones((1, 3)))
            low, up = range_in(ball, form, mid, rad, gamma)
        if not meet(away, radii, rho):
            continue
        for n in np.flatnonzero(np.isfinite(fall[0]) & np.isfinite(rise[0])):
            g = exact(generators[0, :, n])
            down, height = least(g, away, radii, rho), -least([-a for a in g], away, radii, rho)
            assert Fraction(values[0, n].item()) - Fraction(fall[0, n].item()) <= down
            assert Fraction(values[0, n].item()) + Fraction(rise[0, n].item()) >= height
            nearest = [min(max(a, -end), end) for a, end in zip(away, rho, strict=True)]
            spent = sum((abs(a) / r for a, r in zip(away, radii, strict=True)), Fraction(1))
            charged = sum((abs(a * q) for a, q in zip(g, nearest, strict=True)), Fraction(0))
            charged += max(abs(a) * r for a, r in zip(g, radii, strict=True)) * spent
            allowed = 16 * Fraction(gamma) * (charged + height - down) + 2 * Fraction(TINY_ROOT)
            assert Fraction(values[0, n].item()) - Fraction(fall[0, n].item()) >= down - allowed
            compared += 1
            constant = Fraction(form.center[0, n].item())
            if np.isfinite(low[0, n]):
                assert Fraction(low[0, n].item()) <= down + constant
                assert Fraction(up[0, n].item()) >= height + constant
            for k in (-4096, -64, -8, -1, 0, 1, 8, 64, 4096):  # the least value is next to 0
                rest = float(-down) * (1 + k * U) if abs(down) < 1e300 else 0.0
                for error in (0.0, abs(rest)):
                    with np.errstate(all="ignore"):
                        [found] = _concretise(
                            generators[:, :, n], np.array([rest]), np.array([error]), mid, rad, ball, gamma
                        )
                    if np.isfinite(found):
                        assert Fraction(found.item()) <= down + Fraction(rest) - Fraction(error)
    assert compared > 10


def test_bounds_do_not_depend_on_how_many_are_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of any size, with generators of each box or shared, the same to the last digit; also of no box."""
    rng = np.random.default_rng(0)
    ball = float_cross(rng, 4, 1)
    mid, rad = ball.center + rng.normal(size=(7, 4)), rng.random((7, 4)) * 3
    for generators in (rng.normal(size=(1, 4, 3)), rng.normal(size=(7, 4, 3))):
        found = []
        for cells in (1, 12, 25, 1 << 22):
            monkeypatch.setattr(ball_module, "CELLS_AT_ONCE", cells)
            found.append(np.stack(ball.over(generators, mid, rad, 80 * U)))
            assert found[-1].shape == (3, 7, 3)
        assert all(np.allclose(each, found[0], rtol=1e-14, atol=0) for each in found)
    assert [part.shape for part in ball.over(np.zeros((0, 4, 1)), mid[:0], rad[:0], 80 * U)] == [(0, 1)] * 3


def test_what_cancels_at_the_center_leaves_its_rounding_behind() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        ball = Ball(rng.normal(size=3), np.full(3, 1e-30), norm=1)
        mid, form = rng.normal(size=(1, 3)), rng.normal(size=3)
        rad = np.abs(ball.center - mid) * 2
        form[2] = -(form[:2] @ (ball.center - mid[0])[:2]) / (ball.center - mid[0])[2]
        values, fall, _ = ball.over(form[None, :, None], mid, rad, 70 * U)
        away = [c - m for c, m in zip(exact(ball.center), exact(mid[0]))]
        true = least(exact(form), away, exact(ball.radii), exact(rad[0]))
        assert Fraction(values[0, 0].item()) - Fraction(fall[0, 0].item()) <= true


def test_products_that_underflow_do_not_shrink_a_reach() -> None:
    ball = Ball(np.zeros(1), np.full(1, 1e-100), norm=1)
    for form in (1e-100, 1e-250, 5e-324):
        values, fall, rise = ball.over(np.full((1, 1, 1), form), np.zeros((1, 1)), np.ones((1, 1)), 66 * U)
        assert values[0, 0] == 0
        assert Fraction(fall[0, 0].item()) >= Fraction(form) * Fraction(1e-100)
        assert Fraction(rise[0, 0].item()) >= Fraction(form) * Fraction(1e-100)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_proves_nothing(value: float) -> None:
    """In the form, in the box, or because products overflow: the bound is that of the box, or none."""
    ball = Ball(np.zeros(2), np.ones(2), norm=1)
    with np.errstate(all="ignore"):
        for form, mid, rad in (
            ([value, 1.0], [0.0, 0.0], [1.0, 1.0]),
            ([1.0, 1.0], [value, 0.0], [1.0, 1.0]),
            ([1.0, 1.0], [0.0, 0.0], [abs(value), 1.0]),
        ):
            rows, middle, sides = (np.array([part]) for part in (form, mid, rad))
            given = rows, np.array([5.0]), np.zeros(1), middle, sides
            assert _concretise(*given, ball, 70 * U) == _concretise(*given, None, 70 * U)
            of_form = Forward(rows[:, :, None], np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)))
            low, up = range_in(ball, of_form, middle, sides, 70 * U)
            assert not low[0, 0] > -1  # what it is in the ball
            assert not up[0, 0] < 1


@pytest.mark.parametrize("exponent", [0, -40, -320, 30, 300, -1000, 1000])
def test_the_float_ball_contains_the_exact_one_at_its_vertices(exponent: int) -> None:
    """And wherever else, since both are convex; also for radii and shifts that underflow."""
    rng = random.Random(exponent)
    scale, found = Fraction(10) ** exponent, 0
    for _ in range(60):
        count = rng.choice([1, 2, 5])
        unit = rng.choice([Fraction(1), Fraction(2) ** -52, Fraction(10) ** -60])
        center = tuple(Fraction(rng.random()) * scale / 3 for _ in range(count))
        weights = tuple(1 / (Fraction(rng.random() + 0.1) * scale * unit) for _ in range(count))
        ball = ExactBall(center, weights, Fraction(rng.choice([0, 1, 1, 3]), 7), 1)
        outer = Ball.of(ball)
        if outer is None:
            continue
        found += 1
        assert outer.norm == 1
        d, r = exact(outer.center), exact(outer.radii)
        for i in range(count):
            for sign in (1, -1):
                x = [c + (sign * ball.bound / weights[i] if i == j else 0) for j, c in enumerate(center)]
                assert ball.contains(x)
                assert sum((abs(v - e) / q for v, e, q in zip(x, d, r, strict=True)), Fraction(0)) <= 1
    assert found or exponent in (300, 1000)


@pytest.mark.parametrize("spread", [0, 8, 60])
def test_a_ball_that_reaches_a_box_does_not_miss_it(spread: int) -> None:
    rng = np.random.default_rng(spread)
    missed = 0
    for _ in range(300):
        count = int(rng.integers(1, 6))
        ball = float_cross(rng, count, spread)
        direction = rng.normal(size=count)
        direction /= np.abs(direction).sum()
        corner = ball.center + ball.radii * direction * (1 + U * rng.integers(-40, 40))
        far = corner + np.sign(direction) * ball.radii
        lower, upper = np.minimum(corner, far), np.maximum(corner, far)
        nearest = [min(max(c, l), u) for c, l, u in zip(*map(exact, (ball.center, lower, upper)), strict=True)]
        gaps = zip(nearest, exact(ball.center), exact(ball.radii), strict=True)
        meets = sum((abs(x - c) / r for x, c, r in gaps), Fraction(0)) <= 1
        assert not (meets and ball.misses(lower[None], upper[None])[0])
        beyond = ball.center + 1.001 * ball.radii * direction
        missed += bool(ball.misses(np.minimum(beyond, far + direction)[None], np.maximum(beyond, far)[None])[0])
    assert spread or missed > 100


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("spread", [0, 5, 25])
def test_leaves_in_zonotopes_hold_only_where_the_form_is_positive(spread: int, fixed: bool) -> None:
    """In symbols: ``f . e`` is ``f / rad . (x - mid)``; inputs that are fixed have no part in it."""
    rng, proved = np.random.default_rng(spread), 0
    for _ in range(150):
        count = int(rng.integers(1, 5))
        ball = float_cross(rng, count, spread)
        middle = ball.center + ball.radii * rng.uniform(-0.5, 0.5, count) / count
        half = ball.radii * rng.uniform(0.1, 2, count) * (rng.random(count) < (0.5 if fixed else 2))
        box = Boxes.of((middle - half)[None], (middle + half)[None], ball)
        nodes = (Input(count), Affine(((0, Dense(np.zeros((1, count)))),), np.zeros(1)))
        zonotope = Zonotope(Bounder(Network(nodes, (count, 1))), box, {}, {}, NO_COLUMNS, np.zeros(0))
        form = rng.normal(size=count) * box.rad[0] * 10.0 ** rng.uniform(-spread, spread, count)
        rad, mid = exact(box.rad[0]), exact(box.mid[0])
        slopes = [f / r if r else Fraction(0) for f, r in zip(exact(form), rad, strict=True)]
        away = [c - m for c, m in zip(exact(ball.center), mid, strict=True)]
        free = [i for i, r in enumerate(rad) if r]
        parts = [[part[i] for i in free] for part in (slopes, away, exact(ball.radii), rad)]
        true = least(*parts)  # what fixed inputs spend is forgotten, which enlarges the ball
        over_box = -sum((abs(f) for f in exact(form)), Fraction(0))
        for k in (-4096, -64, -8, -1, 0, 1, 8, 64, 4096):
            constant = float(-max(true, over_box)) * (1 + k * U)
            found = bool(zonotope.positive(form[None], np.array([constant]), np.zeros(1))[0])
            assert not found or Fraction(constant) + max(true, over_box) > 0
            proved += found and Fraction(constant) + over_box < 0
    assert proved > 10


def test_the_exact_ball_finds_the_least_value() -> None:
    """By spending where it counts most; compared with the dual's best."""
    for seed in range(300):
        rng = random.Random(seed)
        count = rng.randint(1, 6)

        def some(low: int, up: int, size: int = count, rng: random.Random = rng) -> Point:
            return [Fraction(rng.randint(low, up), rng.choice([1, 3, 8])) for _ in range(size)]

        center, weights, mid, rad, form = some(-5, 5), some(1, 9), some(-5, 5), some(0, 9), some(-5, 5)
        ball = ExactBall(tuple(center), tuple(weights), some(1, 30, 1)[0], 1)
        if not ball.meets([m - r for m, r in zip(mid, rad)], [m + r for m, r in zip(mid, rad)]):
            continue
        away, radii = [c - m for c, m in zip(center, mid)], [ball.bound / w for w in weights]
        low, up = ball.ends(form, mid, rad)
        assert low == least(form, away, radii, rad)
        assert up == -least([-a for a in form], away, radii, rad)


@pytest.mark.parametrize("left_out", ["left", "gain and room"])
def test_a_charge_left_out_would_be_noticed(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with fractions is sharp enough to see what rounding does where nothing pays for it."""
    worth, up = ball_module._worth, ball_module._up
    if left_out == "left":
        monkeypatch.setattr(ball_module, "_worth", lambda gain, most, left: worth(gain, most, left * (1 - 1e-11)))
    else:
        monkeypatch.setattr(ball_module, "_up", lambda values: up(values) * (1 - 1e-11))
    with pytest.raises(AssertionError):
        test_forms_are_never_bounded_too_boldly(5, 3)
