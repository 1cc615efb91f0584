"""Every rounding claim about balls against exact fractions, at magnitudes chosen to hurt.

The least value of ``g . x`` over a ball is ``g . c - sqrt(bound sum g_i^2 / w_i)``; a number L is at most that where
``T = g . c - L`` is not negative and ``T^2`` is at least what the root is taken of. Both are rational.
"""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.checker.judging import LEAF, Judge
from tests.checker.phase_words import END, SYMBOLS, certificate, chunk, multiplied, proof, words, zonotope
from tests.checker.test_multipliers import combined, tree_around
from tests.checker.test_rounding import dot, exact, hostile_box, hostile_network, hostile_rows
from tests.checker.test_rounding_phases import arguments
from verifier.checker import phases
from verifier.checker.ball import TINY_ROOT, Ball, ExactBall, root_above
from verifier.checker.bounds import Bounder, _concretise
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.check import Checker
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation
from verifier.checker.forward import Forward, range_in
from verifier.checker.lines import U
from verifier.checker.multipliers import Lifted
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.phase_tree import Multiplied, read_phase_tree
from verifier.checker.phases import PhaseProver
from verifier.checker.vnnlib import QueryCase, QueryRow, read_query
from verifier.checker.zonotope import Zonotope

Floats = NDArray[np.float64]
NO_COLUMNS = np.zeros((0, 2), dtype=np.int64)


def ulps(value: Fraction) -> list[float]:
    """Floats just below and above, where a bound that is too bold shows."""
    near = value.numerator / value.denominator
    return [near * (1 + k * U) for k in (-4096, -64, -8, -1, 0, 1, 8, 64, 4096)]


def at_most(low: Fraction, at_center: Fraction, square: Fraction) -> bool:
    """Whether ``low <= at_center - sqrt(square)``."""
    return at_center >= low and (at_center - low) ** 2 >= square


def float_ball(rng: np.random.Generator, count: int, spread: int) -> Ball:
    radii = 10.0 ** rng.uniform(-min(spread, 99), min(spread, 79), count)
    return Ball(rng.normal(size=count) * 10.0 ** rng.uniform(-spread, min(spread, 70), count), radii)


def squared_reach(form: list[Fraction], ball: Ball) -> Fraction:
    return sum(((g * r) ** 2 for g, r in zip(form, exact(ball.radii), strict=True)), Fraction(0))


@pytest.mark.parametrize("spread", [0, 3, 30, 95])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_forms_over_a_ball_are_never_bounded_too_boldly(count: int, spread: int) -> None:
    """Ball.over, and what ranges and rows make of it."""
    rng = np.random.default_rng(count + spread)
    gamma = (2 * count + 64) * U
    for _ in range(15):
        ball = float_ball(rng, count, spread)
        generators = rng.normal(size=(1, count, 4)) * 10.0 ** rng.uniform(-spread, spread, (1, count, 4))
        mid = np.where(rng.random(count) < 0.5, ball.center * (1 + U), rng.normal(size=count) * 10.0**spread)[None]
        mid = ball.center[None] if rng.random() < 0.3 else mid
        values, reach, _ = ball.over(generators, mid, np.full_like(mid, np.inf), gamma)
        away = [c - m for c, m in zip(exact(ball.center), exact(mid[0]), strict=True)]
        form = Forward(generators, rng.normal(size=(1, 4)), np.zeros((1, 4)), np.ones((1, 4)))
        low, up = range_in(ball, form, mid, np.full_like(mid, np.inf), gamma)
        box = 1e9 * (np.abs(ball.center - mid) + ball.radii)  # far from helping
        for n in np.flatnonzero(np.isfinite(reach[0])):
            g = exact(generators[0, :, n])
            true, square = dot(generators[0, :, n], away), squared_reach(g, ball)
            value, width = Fraction(values[0, n].item()), Fraction(reach[0, n].item())
            assert at_most(value - width, true, square)
            assert at_most(-(value + width), -true, square)
            charged = root_above(square) + sum(abs(a * b) for a, b in zip(away, g, strict=True))
            assert width <= root_above(square) + 16 * Fraction(gamma) * charged + 2 * Fraction(TINY_ROOT)
            constant = Fraction(form.center[0, n].item())
            if np.isfinite(low[0, n]):
                assert at_most(Fraction(low[0, n].item()), true + constant, square)
                assert at_most(-Fraction(up[0, n].item()), -true - constant, square)
            for rest in ulps(root_above(square) - true):  # the least value is next to 0
                one = generators[:, :, n]
                for error in (0.0, abs(rest)):
                    lacking = np.array([error])
                    [least] = _concretise(one, np.array([rest]), lacking, mid, box, ball, gamma)
                    if np.isfinite(least):
                        assert at_most(Fraction(least.item()), true + Fraction(rest) - Fraction(error), square)


def test_what_cancels_at_the_center_leaves_its_rounding_behind() -> None:
    """The form is worth nearly nothing at a center far from the middle, and moves by nearly nothing."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        ball = Ball(rng.normal(size=3), np.full(3, 1e-30))
        mid, form = rng.normal(size=(1, 3)), rng.normal(size=3)
        form[2] = -(form[:2] @ (ball.center - mid[0])[:2]) / (ball.center - mid[0])[2]
        values, reach, _ = ball.over(form[None, :, None], mid, np.ones_like(mid), 70 * U)
        true = dot(form, [c - m for c, m in zip(exact(ball.center), exact(mid[0]), strict=True)])
        least = Fraction(values[0, 0].item()) - Fraction(reach[0, 0].item())
        assert at_most(least, true, squared_reach(exact(form), ball))


def test_squares_that_underflow_do_not_shrink_a_reach() -> None:
    tiny, box = np.full((1, 1, 1), 1e-100), (np.zeros((1, 1)), np.ones((1, 1)))
    values, reach, _ = Ball(np.zeros(1), np.full(1, 1e-100)).over(tiny, *box, 66 * U)
    assert values[0, 0] == 0
    assert reach[0, 0] >= 1e-200


def test_what_a_box_cannot_bound_is_bounded_by_no_ball() -> None:
    """Magnitudes beyond the caps of lemma L4."""
    ball, far = Ball(np.zeros(1), np.ones(1)), np.full((1, 1), 1e90)
    found = _concretise(np.ones((1, 1)), np.array([5.0]), np.zeros(1), np.zeros((1, 1)), far, ball, 70 * U)
    assert found.tolist() == [-np.inf]


@pytest.mark.parametrize("exponent", [0, -40, -320, 30, 300, -1000, 1000])
def test_the_float_ball_contains_the_exact_one_at_its_outermost_points(exponent: int) -> None:
    """Along an axis, and where the shift of the center points; also for radii and shifts that underflow."""
    rng = random.Random(exponent)
    scale, found = Fraction(10) ** exponent, 0
    for _ in range(40):
        count = rng.choice([1, 2, 5])
        # Shifts as large as radii: these are a few ulps of the center.
        unit = rng.choice([Fraction(1), Fraction(2) ** -52, Fraction(10) ** -60])
        center = tuple(Fraction(rng.random()) * scale / 3 for _ in range(count))
        weights = tuple(1 / (Fraction(rng.random() + 0.1) * scale * unit) ** 2 for _ in range(count))
        ball = ExactBall(center, weights, Fraction(rng.choice([0, 1, 1, 3]), 7))
        outer = Ball.of(ball)
        if outer is None:
            continue
        found += 1
        d, r = exact(outer.center), exact(outer.radii)
        shift = [(c - e) / q**2 for c, e, q in zip(center, d, r, strict=True)]
        for way in (shift, *([Fraction(int(i == j)) for j in range(count)] for i in range(count))):
            for sign in (1, -1):
                direction = [sign * v / w for v, w in zip(way, weights, strict=True)]
                size = sum((w * v * v for w, v in zip(weights, direction, strict=True)), Fraction(0))
                share = 1 / root_above(size / ball.bound) if size and ball.bound else Fraction(0)
                x = [c + v * share for c, v in zip(center, direction, strict=True)]
                assert ball.contains(x)
                assert sum((((v - e) / q) ** 2 for v, e, q in zip(x, d, r, strict=True)), Fraction(0)) <= 1
    assert found or exponent in (300, 1000)


def test_the_shift_of_a_center_is_paid_for() -> None:
    """A point for a ball, halfway between two floats: nothing but the shift is left of it."""
    center = (1 + Fraction(1, 2**53), 1 + Fraction(1, 2**53))
    outer = Ball.of(ExactBall(center, (Fraction(1), Fraction(1)), Fraction(1, 2**110)))
    assert outer is not None
    away = sum((((c - d) / r) ** 2 for c, d, r in zip(center, exact(outer.center), exact(outer.radii))), Fraction(0))
    assert Fraction(1, 2) < away <= 1


@pytest.mark.parametrize("spread", [0, 8, 60])
def test_a_ball_that_reaches_a_box_does_not_miss_it(spread: int) -> None:
    rng = np.random.default_rng(spread)
    missed = 0
    for _ in range(200):
        count = int(rng.integers(1, 6))
        ball = float_ball(rng, count, spread)
        direction = rng.normal(size=count)
        direction /= np.sqrt(direction @ direction)
        corner = ball.center + ball.radii * direction * (1 + U * rng.integers(-40, 40))
        far = corner + np.sign(direction) * ball.radii
        lower, upper = np.minimum(corner, far), np.maximum(corner, far)
        nearest = [min(max(c, l), u) for c, l, u in zip(*map(exact, (ball.center, lower, upper)), strict=True)]
        gaps = zip(nearest, exact(ball.center), exact(ball.radii), strict=True)
        meets = sum((((x - c) / r) ** 2 for x, c, r in gaps), Fraction(0)) <= 1
        assert not (meets and ball.misses(lower[None], upper[None])[0])
        beyond = ball.center + 1.001 * ball.radii * direction
        missed += bool(ball.misses(np.minimum(beyond, far + direction)[None], np.maximum(beyond, far)[None])[0])
    assert spread or missed > 100


def test_a_ball_that_touches_a_box_does_not_miss_it() -> None:
    """At corners (a, b) with a^2 + b^2 = c^2: some of the sums of (a / c)^2 and (b / c)^2 are computed above 1."""
    above = 0
    for m, n in product(range(2, 60), repeat=2):
        a, b, c = float(abs(m * m - n * n)), float(2 * m * n), float(m * m + n * n)
        above += (a / c) ** 2 + (b / c) ** 2 > 1
        corner = np.array([[a, b]])
        assert not Ball(np.zeros(2), np.full(2, c)).misses(corner, corner + 1)[0]
        assert not Ball(np.zeros(2), np.full(2, c)).misses(-corner - 1, -corner)[0]
    assert above > 20


@pytest.mark.parametrize("below", [1, 2**300])
def test_a_root_of_what_has_too_many_digits_is_not_below_it(below: int) -> None:
    for whole in (0, 1, 4, 10**40):
        value = whole + Fraction(1, below * 2**400)
        assert root_above(value) ** 2 >= value


def linear(count: int) -> Bounder:
    """y_0 = 0 and inputs of which the rows are made."""
    return Bounder(Network((Input(count), Affine(((0, Dense(np.zeros((1, count)))),), np.zeros(1))), (count, 1)))


def sides(rng: np.random.Generator, ball: Ball, fixed: bool, least: float = 0.1) -> Boxes:
    """A box around a shifted part of the ball, around all of it if ``least`` is 1.6; some inputs maybe fixed."""
    count = len(ball.center)
    middle = ball.center + ball.radii * rng.uniform(-0.5, 0.5, count)
    half = ball.radii * rng.uniform(least, 2 * least + 2, count) * (rng.random(count) < (0.5 if fixed else 2))
    return Boxes.of((middle - half)[None], (middle + half)[None], ball)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("spread", [0, 5, 25])
def test_leaves_in_zonotopes_hold_only_where_the_form_is_positive(spread: int, fixed: bool) -> None:
    """In symbols: ``f . e`` over the ball is ``f / rad . (x - mid)``; inputs that are fixed have no part in it."""
    rng, proved = np.random.default_rng(spread), 0
    for _ in range(60):
        count = int(rng.integers(1, 5))
        ball = float_ball(rng, count, spread)
        box = sides(rng, ball, fixed)
        zonotope = Zonotope(linear(count), box, {}, {}, NO_COLUMNS, np.zeros(0))
        form = rng.normal(size=count) * box.rad[0] * 10.0 ** rng.uniform(-spread, spread, count)
        rad, mid = exact(box.rad[0]), exact(box.mid[0])
        slopes = [f / r if r else Fraction(0) for f, r in zip(exact(form), rad, strict=True)]
        moved = dot(np.array([1.0] * count), [a * (c - m) for a, c, m in zip(slopes, exact(ball.center), mid)])
        square = squared_reach(slopes, ball)
        over_box = sum((abs(f) for f in exact(form)), Fraction(0))
        for constant in ulps(min(root_above(square) - moved, over_box)):
            found = zonotope.positive(form[None], np.array([constant]), np.zeros(1))[0]
            of_ball = not at_most(Fraction(0), Fraction(constant) + moved, square)
            assert not found or not of_ball or Fraction(constant) > over_box
            proved += bool(found) and Fraction(constant) < over_box
    assert proved > 10


@pytest.mark.parametrize("spread", [0, 3, 9])
def test_the_multiplier_of_a_ball_takes_off_what_it_may(spread: int) -> None:
    """The best kappa for a linear row bounds it by its least value over the ball, nearly; none claims more."""
    rng = np.random.default_rng(spread)
    for _ in range(30):
        count = int(rng.integers(1, 5))
        ball = float_ball(rng, count, spread)
        box = sides(rng, ball, fixed=False, least=1.6)
        g = rng.normal(size=count) / ball.radii
        square, at_center = squared_reach(exact(g), ball), dot(g, exact(ball.center))
        swing = float(root_above(square))
        least = float(at_center - root_above(square))
        size = abs(least) + swing + float(np.abs(g) @ sizes_of(box)[0][0])
        for share in (0.5, 0.25, 0.45, 1.0, 10.0):
            for claim in (-1e-6, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 1.0, 3.0):
                wanted = least + claim * (size if claim < 0 else swing)
                squares = np.array([-wanted, *[1e-8 * size / count] * count])
                found = by_multiplier(ball, box, g, share * swing, squares)
                assert not np.isfinite(found) or at_most(Fraction(found), at_center, square)
                if claim < 0 and share == 0.5:
                    assert found > least - 1e-5 * size


def sizes_of(box: Boxes) -> dict[int, Floats]:
    return {0: (np.abs(box.mid) + box.rad) * (1 + 2 * U), 1: np.zeros((1, 1))}


def by_multiplier(ball: Ball, box: Boxes, g: Floats, kappa: float, squares: Floats) -> float:
    """A bound of ``g . x`` by rule R4 with these numbers alone."""
    nothing = np.zeros(0)
    item = Multiplied(
        0, 0, np.ones(1), nothing, np.zeros(0, dtype=np.int64), nothing, nothing, nothing, True, nothing, nothing,
        kappa, squares,
    )  # fmt: skip
    lifted = Lifted(linear(len(g)), box, {}, sizes_of(box), NO_COLUMNS, (), item)
    with np.errstate(all="ignore"):
        return lifted.least(Rows(g[None], np.zeros((1, 1)), np.zeros(1)))


IDENTITY = Network((Input(2), Affine(((0, Dense(np.eye(2))),), np.zeros(2))), (2, 2))
CIRCLE = ExactBall((Fraction(1), Fraction(-2)), (Fraction(1), Fraction(1)), Fraction(25))


@pytest.mark.parametrize("box", [(-4, 6, -7, 3), (-5, 20, -9, 9), (-30, 7, -8, 40)])
@pytest.mark.parametrize("how", ["leaf", "proof", "zonotope", "multipliers"])
def test_the_middle_of_the_box_need_not_be_the_center(judge: Judge, how: str, box: tuple[int, ...]) -> None:
    """3 x - 4 y over |x - (1, -2)| <= 5 is least at -14, wherever the box around the ball ends."""
    numbers = ([], [], [-5e-5, 1e-9, 1e-9])
    item = {
        "proof": proof(0, [1], []),
        "zonotope": zonotope(0, [1], [], 0),
        "multipliers": multiplied(0, [1], [], ([], [], []), numbers, ball=12.5),
    }
    for slack in (1, -1):
        row = QueryRow({}, {0: Fraction(3), 1: Fraction(-4)}, 14 + slack * Fraction(1, 10**4), True)
        sides = [tuple(map(Fraction, part)) for part in (box[::2], box[1::2])]
        checker = Checker(IDENTITY, (QueryCase(sides[0], sides[1], False, (row,), CIRCLE),))
        evidence = LEAF if how == "leaf" else certificate(1, chunk([0], item[how], [END]))
        assert judge(checker, evidence).accepted == (slack > 0)


def test_a_ball_of_one_point_and_one_of_none(judge: Judge) -> None:
    """Its multiplier is of no use where the exact checker would divide by 0; of none, all is true."""
    lower, upper = (Fraction(-9),) * 2, (Fraction(9),) * 2
    item = multiplied(0, [1], [], ([], [], []), ([], [], [-5e-5, 1e-9, 1e-9]), ball=1.0)
    row = QueryRow({}, {0: Fraction(3), 1: Fraction(-4)}, Fraction(-11), True)  # 0 at the point
    for bound in (0, -1):
        ball = replace(CIRCLE, bound=Fraction(bound))
        empty = not ball.meets(lower, upper)
        checker = Checker(IDENTITY, (QueryCase(lower, upper, empty, (row,), ball),))
        for evidence in (LEAF, certificate(1, chunk([0], item, [END]))):
            assert judge(checker, evidence).accepted == (bound < 0)
        above = Checker(IDENTITY, (QueryCase(lower, upper, empty, (replace(row, constant=Fraction(-10)),), ball),))
        assert judge(above, LEAF).accepted


def test_cases_with_balls_of_their_own_share_none(judge: Judge) -> None:
    """A reader gives all cases one ball; a tree for cases that had two would be about the box."""
    row = QueryRow({}, {0: Fraction(3), 1: Fraction(-4)}, Fraction(15), True)
    sides = (Fraction(-4), Fraction(-7)), (Fraction(6), Fraction(3))
    other = replace(CIRCLE, bound=Fraction(26))
    tree = certificate(2, chunk([0, 1], proof(0, [1], []), proof(1, [1], []), [END]))
    for balls, accepted in (((CIRCLE, CIRCLE), True), ((CIRCLE, other), False), ((CIRCLE, None), False)):
        cases = tuple(QueryCase(*sides, False, (row,), ball) for ball in balls)
        assert judge(Checker(IDENTITY, cases), tree).accepted is accepted


def hostile_ball(rng: random.Random, lower: list[Fraction], upper: list[Fraction]) -> ExactBall:
    """Around a corner or a point of the box or next to it; it reaches the box's middle, exactly or by far."""
    width = [up - low or abs(low) / 2**20 or Fraction(1) for low, up in zip(lower, upper, strict=True)]
    center = tuple(low + w * Fraction(rng.choice([0.0, 0.5, rng.uniform(-1, 2)])) for low, w in zip(lower, width))
    weights = tuple(Fraction(rng.uniform(0.1, 3)) / w**2 for w in width)
    middle = [(low + up) / 2 for low, up in zip(lower, upper, strict=True)]
    far = sum((w * (m - c) ** 2 for w, m, c in zip(weights, middle, center, strict=True)), Fraction(0))
    return ExactBall(center, weights, far * Fraction(rng.choice([1.0, 1.5, 4.0])))


class Kept(Lifted):
    """Keeps every bound; its multiplier of the ball is any."""

    seen: list[float]

    def __init__(self, *of: object) -> None:
        *before, item = of
        assert isinstance(item, Multiplied)
        super().__init__(*before, replace(item, ball=self.kappa if item.quadratic else 0.0))  # type: ignore[arg-type]

    kappa = 0.0

    def least(self, rows: Rows) -> float:
        value = super().least(rows)
        Kept.seen.append(value)
        return value


def test_multipliers_on_hostile_networks_are_never_above_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows at points of box and ball, with ranges found over it and any multiplier of it."""
    monkeypatch.setattr(phases, "Lifted", Kept)
    compared = 0
    for seed in range(120):
        rng = random.Random(seed)
        network = hostile_network(seed)
        rows, (low, up) = hostile_rows(seed, network), hostile_box(seed, network.sizes[0])
        lower, upper = exact(low), exact(up)
        ball = hostile_ball(rng, lower, upper)
        middle = [(a + b) / 2 for a, b in zip(lower, upper, strict=True)]
        x = [(c + m) / 2 if a <= (c + m) / 2 <= b else m for c, m, a, b in zip(ball.center, middle, lower, upper)]
        for point in (middle, x):
            assert ball.contains(point)
            many = len(rows.constant)
            tree_words = tree_around(network, many, point, rng)
            if rng.random() < 0.5:
                tree_words.insert(2, SYMBOLS)
            tree = read_phase_tree(words(tree_words), network.sizes[0], network.widths, [many])
            Kept.seen, Kept.kappa = [], rng.choice([0.0, rng.random(), 10.0 ** rng.randint(-9, 9)])
            boxes = Boxes.of(low[None], up[None], Ball.of(ball))
            PhaseProver(Bounder(network), tree, [rows], boxes).prove(0, tree.ends)
            [item] = [item for node in tree.nodes for item in node.items if isinstance(item, Multiplied)]
            true = combined(network, rows, item.weights, point)
            finite = [least for least in Kept.seen if np.isfinite(least)]
            assert all(Fraction(least) <= true for least in finite)
            compared += len(finite)
    assert compared > 100


def test_ranges_of_the_first_layer_use_the_ball_where_forms_are_too_large() -> None:
    """z = 3 x - 4 y + 14.1 is positive in the ball only; without generators it is bounded backward."""
    first = Affine(((0, Dense(np.array([[3.0, -4.0]]))),), np.array([14.1]))
    bounder = Bounder(Network((Input(2), first, Relu(1)), (2, 1, 1)))
    boxes = Boxes.of(np.array([[-4.0, -7.0]]), np.array([[6.0, 3.0]]), Ball.of(CIRCLE))
    for with_generators in (True, False):
        bounder._with_generators = with_generators
        lower, upper = bounder.relax(boxes).ranges[2]
        assert 0 < lower[0, 0] <= Fraction(14.1) - 14
        assert Fraction(14.1) + 36 <= upper[0, 0] < 50.2


@pytest.mark.parametrize("seed", range(20))
def test_exact_symbols_enclose_what_is_in_the_ball(seed: int) -> None:
    network, rng = hostile_network(seed), random.Random(seed)
    low, up = hostile_box(seed, network.sizes[0])
    lower, upper = exact(low), exact(up)
    ball = hostile_ball(rng, lower, upper)
    middle = [(a + b) / 2 for a, b in zip(lower, upper, strict=True)]
    ranges = ExactRelaxation(network, lower, upper, symbols=True, ball=ball).ranges
    corners = [[rng.choice(pair) for pair in zip(lower, upper, strict=True)] for _ in range(8)]
    for x in [middle, *(corner for corner in corners if ball.contains(corner))]:
        for k, z in zip(network.layers, arguments(network, x), strict=True):
            assert all(l <= v <= u for l, v, u in zip(ranges[k][0], z, ranges[k][1], strict=True))


def test_a_weight_of_zero_is_refused() -> None:
    head = "".join(f"(declare-const {name} Real)" for name in ("X_0", "Y_0"))
    with pytest.raises(CheckError, match="positive multiple"):
        read_query(f"{head}(assert (>= X_0 0))(assert (<= X_0 1))(assert (<= (* 0 (* X_0 X_0)) 1))", 1, 1)


def test_words_of_a_ball_stand_between_products_and_squares() -> None:
    item = multiplied(0, [1], [], ([], [], []), ([], [], [-3.0, 1.0, 2.0]), ball=7.0)
    tree = read_phase_tree(words([1, 0, *item, 4]), 2, [1], [1])
    [read] = [i for i in tree.nodes[0].items if isinstance(i, Multiplied)]
    assert (read.ball, read.squares.tolist()) == (7.0, [-3.0, 1.0, 2.0])
