"""Every rounding claim of the float bounds against exact fractions, at magnitudes chosen to hurt.

Expected values are exact: floats are rationals, and the network is evaluated in rational arithmetic. Each finder
returns the claims it saw broken, so that the last tests can also show that a smaller error term would be noticed.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder
from verifier.checker.boxes import AffineBound, Boxes, Rows
from verifier.checker.clip import clip
from verifier.checker.convolution import Convolution, Transposed
from verifier.checker.exact import evaluate
from verifier.checker.forward import Forward, output_size, range_of, through
from verifier.checker.lines import U, lines_of_sign, lines_on
from verifier.checker.network import Affine, Dense, Gather, Input, Network, Normalize, Relu, Scale, Sign, Sparse

Floats = NDArray[np.float64]
Point = list[Fraction]
SEEDS = range(60)
HALF_ULP = 2.0**-53 * 0.99  # added to 1 it rounds away, whatever the sum so far


class Recorder(Bounder):
    """Keeps the forward form of every affine node and the refined ranges."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.forms: dict[int, Forward] = {}
        self.refined: dict[int, tuple[Floats, Floats]] = {}

    def _push_affine(self, k, *rest):
        self.forms[k] = super()._push_affine(k, *rest)
        return self.forms[k]

    def _refine(self, parent, l, u, *rest):
        super()._refine(parent, l, u, *rest)
        self.refined[parent] = l.copy(), u.copy()


def exact(values: Floats) -> Point:
    return [Fraction(value) for value in values.tolist()]


def dot(a: Floats, t: Point) -> Fraction:
    return sum((Fraction(c) * v for c, v in zip(a.tolist(), t, strict=True)), Fraction(0))


def numbers(rng: np.random.Generator, *shape: int, spread: int) -> Floats:
    """Random mantissas, magnitudes 10^-spread to 10^spread, some zeros and some of each other's negatives."""
    values = rng.normal(size=shape) * 10.0 ** rng.uniform(-spread, spread, shape)
    values[rng.random(shape) < 0.15] = 0.0
    flat = values.reshape(-1)
    pairs = rng.permutation(flat.size)[: flat.size // 4 * 2].reshape(-1, 2)
    flat[pairs[:, 0]] = -flat[pairs[:, 1]] * (1 + U * rng.integers(-2, 3, len(pairs)))
    return values


def hostile_network(seed: int) -> Network:
    """All maps, three readers of one node, repeated gathers, tiny divisors; weights over 2, 10 or 24 decades."""
    rng = np.random.default_rng(seed)
    spread = (1, 5, 12)[seed % 3]
    inputs, width = int(rng.integers(1, 5)), int(rng.integers(2, 6))

    def dense(rows: int, columns: int) -> Dense:
        return Dense(numbers(rng, rows, columns, spread=spread))

    def bias(size: int) -> Floats:
        return numbers(rng, size, spread=spread) * rng.integers(0, 2)

    cells = np.sort(rng.permutation(width * width)[: width + 2])
    values = rng.normal(size=len(cells)) * 10.0 ** rng.uniform(-spread, spread, len(cells))
    sparse = Sparse(cells % width, cells // width, values, width)
    factor = np.where(rng.random(width) < 0.5, 1.0, 10.0 ** rng.uniform(-spread, spread, width)) / 3
    signal = (1, width)
    convolution = Convolution(numbers(rng, 1, 1, 3, spread=spread), signal, signal, 1, (1,), (1,), (1,))
    root = rng.integers(1, 1000, width) * 2.0 ** rng.integers(-3 * spread, 3 * spread, width)
    normalize = Normalize(numbers(rng, width, spread=spread), root**2, 0.0)  # rational, for the exact evaluation
    nodes = (
        Input(inputs),
        Affine(((0, dense(width, inputs)),), bias(width)),
        Relu(1),
        Affine(((2, sparse), (1, Gather(rng.integers(-1, width, width))), (2, convolution)), bias(width)),
        Relu(3),
        Affine(((4, Scale(factor, divide=True)), (2, Scale(factor)), (1, Gather(rng.integers(0, width, width))),
                (2, Transposed(convolution)), (4, normalize)), bias(width)),
        Relu(5),
        Affine(((6, dense(2, width)), (2, dense(2, width)), (4, dense(2, width))), bias(2)),
    )  # fmt: skip
    return Network(nodes, (inputs, *[width] * 6, 2))


def with_signs(network: Network, seed: int) -> Network:
    """The same with some of its ReLUs replaced by signs, at least one."""
    rng = random.Random(seed)
    relus = [k for k, node in enumerate(network.nodes) if isinstance(node, Relu)]
    chosen = rng.sample(relus, rng.randint(1, len(relus)))
    nodes = (
        Sign(node.parent) if k in chosen and isinstance(node, Relu) else node for k, node in enumerate(network.nodes)
    )
    return Network(tuple(nodes), network.sizes)


def hostile_box(seed: int, size: int) -> tuple[Floats, Floats]:
    """Widths from 0 over a few ulps to large, centres of any magnitude."""
    rng = np.random.default_rng(seed + 1000)
    lower = numbers(rng, size, spread=(1, 5, 12)[seed % 3])
    width = np.abs(lower) * rng.choice([0.0, U, 3 * U, 1e-3, 1.0, 3.0], size)
    return lower, np.maximum(lower, lower + width)


def points(seed: int, lower: Floats, upper: Floats, count: int = 12) -> list[Point]:
    """Corners and points between, exactly."""
    rng = random.Random(seed)
    shares = (Fraction(0), Fraction(1), Fraction(1), Fraction(1, 3), Fraction(1, 2))
    low, up = exact(lower), exact(upper)
    return [[a + rng.choice(shares) * (b - a) for a, b in zip(low, up, strict=True)] for _ in range(count)]


def broken_forward(bounder: Recorder, boxes: Boxes, xs: list[Point]) -> list[str]:
    """The claims of the forward forms: enclosure, sizes, and ranges after refinement."""
    network, found = bounder.network, []
    mid, rad = exact(boxes.mid[0]), exact(boxes.rad[0])
    for k, form in bounder.forms.items():
        size = exact(form.size[0])
        for n in range(network.sizes[k]):
            swing = sum((abs(Fraction(g)) * r for g, r in zip(form.generators[0, :, n].tolist(), rad)), Fraction(0))
            if abs(Fraction(form.center[0, n].item())) + swing > size[n]:
                found.append(f"node {k}: size {n} below its form")
        for x in xs:
            t = [a - m for a, m in zip(x, mid, strict=True)]
            v = evaluate(Network(network.nodes[: k + 1], network.sizes[: k + 1]), x)
            for n, value in enumerate(v):
                linear = dot(form.generators[0, :, n], t) + Fraction(form.center[0, n].item())
                if abs(value - linear) > Fraction(form.remainder[0, n].item()):
                    found.append(f"node {k}: value {n} outside of its form")
                if abs(value) > size[n]:
                    found.append(f"node {k}: value {n} above its size")
                if k in bounder.refined:
                    l, u = (Fraction(side[0, n].item()) for side in bounder.refined[k])
                    if not l <= value <= u:
                        found.append(f"node {k}: value {n} outside of its range")
    return found


def broken_rows(bounder: Bounder, boxes: Boxes, rows: Rows, xs: list[Point]) -> list[str]:
    """The claims of the affine bounds of rows (as stored in float64) and of their least values."""
    bound, found = bounder.lower(boxes, rows), []
    mid = exact(boxes.mid[0])
    for r in range(len(rows.constant)):
        if not np.isfinite(bound.lower[0, r]):
            continue
        form, floor = bound.form[0, r], Fraction(bound.constant[0, r].item()) - Fraction(bound.error[0, r].item())
        for x in xs:
            t = [a - m for a, m in zip(x, mid, strict=True)]
            value = dot(rows.x[r], x) + dot(rows.y[r], evaluate(bounder.network, x)) + exact(rows.constant)[r]
            if value < dot(form, t) + floor:
                found.append(f"row {r} below its affine bound")
            if dot(form, t) + floor < Fraction(bound.lower[0, r].item()):
                found.append(f"row {r}: least value above the affine bound")
    return found


def hostile_rows(seed: int, network: Network) -> Rows:
    rng, spread = np.random.default_rng(seed + 2000), (1, 5, 12)[seed % 3]
    x, y = numbers(rng, 4, network.sizes[0], spread=spread), numbers(rng, 4, network.sizes[-1], spread=spread)
    x[:2] = 0.0
    return Rows(x, y, numbers(rng, 4, spread=spread) * rng.integers(0, 2, 4))


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_networks_break_no_claim(seed: int) -> None:
    network = hostile_network(seed)
    lower, upper = hostile_box(seed, network.sizes[0])
    boxes, xs = Boxes.of(lower[None], upper[None]), points(seed, lower, upper)
    bounder = Recorder(network)
    assert broken_rows(bounder, boxes, hostile_rows(seed, network), xs) == []
    assert broken_forward(bounder, boxes, xs) == []
    assert np.isfinite(bounder.lower(boxes, hostile_rows(seed, network)).lower).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_networks_with_signs_break_no_claim_about_rows(seed: int) -> None:
    network = with_signs(hostile_network(seed), seed)
    lower, upper = hostile_box(seed, network.sizes[0])
    boxes, rows, xs = Boxes.of(lower[None], upper[None]), hostile_rows(seed, network), points(seed, lower, upper)
    bounder = Recorder(network)
    assert broken_rows(bounder, boxes, rows, xs) == []
    assert np.isfinite(bounder.lower(boxes, rows).lower).any()


@pytest.mark.parametrize("spread", [0, 5, 100, 300])
def test_a_sign_lies_between_its_lines(spread: int) -> None:
    """L6 at both ends of [l, u], at 0 and next to it; between these the sign is constant and lines are straight."""
    rng = np.random.default_rng(spread)
    l, u = (rng.choice([-1, 1], 500) * 10.0 ** rng.uniform(-spread, spread / 4, 500) for _ in range(2))
    l[:60], u[:60] = np.repeat([-5e-324, 0.0, -1e-31], 20), np.tile([5e-324, 0.0, 1.0], 20)
    l, u = np.minimum(l, u), np.maximum(l, u)
    lines = lines_of_sign(l[None], u[None])
    assert lines.base is not None
    parts = (exact(part[0]) for part in (lines.below, lines.base, lines.slope, lines.offset, lines.size))
    for low, up, below, base, slope, offset, size in zip(exact(l), exact(u), *parts):
        for z in {low, up, *(z for z in (Fraction(0), low / 10**40, up / 10**40) if low <= z <= up)}:
            value = (z > 0) - (z < 0)
            assert below * z + base <= value <= slope * z + offset
            assert max(abs(z), abs(below * z), abs(slope * z), abs(base), abs(offset)) <= size


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_contain_what_they_are_made_of(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = numbers(rng, 50, spread=(1, 100, 307)[seed % 3]) * rng.choice([1.0, 5e-324, 1e-300], 50)
    width = np.abs(numbers(rng, 50, spread=(1, 100, 200)[seed % 3])) * rng.choice([0, U, 1], 50)
    upper = np.maximum(lower, lower + width)
    boxes = Boxes.of(lower[None], upper[None])
    for low, up, mid, rad in zip(*(exact(part[0]) for part in (boxes.lower, boxes.upper, boxes.mid, boxes.rad))):
        assert mid - rad <= low
        assert up <= mid + rad


@pytest.mark.parametrize("spread", [0, 5, 100, 300])
def test_the_upper_line_of_a_relu_lies_above_it(spread: int) -> None:
    """L5 at both ends of [l, u], for the offset as rounded; between the ends it follows from convexity."""
    rng = np.random.default_rng(spread)
    l, u = -(10.0 ** rng.uniform(-spread, spread / 4, 500)), 10.0 ** rng.uniform(-spread, spread / 4, 500)
    l[:20], u[20:40] = -5e-324, 5e-324
    lines = lines_on(l[None], u[None])
    for low, up, s, t, a in zip(exact(l), exact(u), *(exact(p[0]) for p in (lines.slope, lines.offset, lines.below))):
        assert 0 <= s <= 1
        assert a in (0, 1)
        assert s * low + t >= 0
        assert s * up + t >= up
        assert t <= (max(-s * low, (1 - s) * up)) * (1 + Fraction(32 * U)) + Fraction(2e-200)


@pytest.mark.parametrize("seed", range(20))
def test_the_forward_form_of_a_relu_encloses_it(seed: int) -> None:
    """relu(z) for every z that the argument's form and range allow, at the ends of both."""
    rng = np.random.default_rng(seed)
    n, spread = 40, (0, 3, 30)[seed % 3]
    generators, center = numbers(rng, 1, 2, n, spread=spread), numbers(rng, 1, n, spread=spread)
    rad, remainder = np.abs(numbers(rng, 1, 2, spread=1)), np.abs(numbers(rng, 1, n, spread=spread)) * 1e-3 + 1e-200
    size = (np.abs(center) + np.einsum("bi,bin->bn", rad, np.abs(generators)) + remainder) * (1 + 64 * U)
    form = Forward(generators, center, remainder, size)
    l, u = range_of(form, rad, 64 * U)
    lines = lines_on(l, u)
    after = through(form, lines, output_size(form, lines, u))
    assert ((l < 0) & (u > 0)).any()
    for i in range(n):
        for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            t = [sign * Fraction(r) for sign, r in zip(signs, rad[0].tolist(), strict=True)]
            for rest in (-1, 1):
                z = dot(generators[0, :, i], t) + exact(center[0])[i] + rest * exact(remainder[0])[i]
                assert Fraction(l[0, i].item()) <= z <= Fraction(u[0, i].item())
                value = max(z, Fraction(0))
                linear = dot(after.generators[0, :, i], t) + Fraction(after.center[0, i].item())
                assert abs(value - linear) <= Fraction(after.remainder[0, i].item())
                assert value <= Fraction(after.size[0, i].item())


@pytest.mark.parametrize("seed", range(5))
def test_the_forward_form_of_a_relu_encloses_its_kink(seed: int) -> None:
    """At z = 0 the lower end of the form is attained, so nothing but the rounding term is left."""
    rng = np.random.default_rng(seed)
    n = 400
    generators, center = rng.uniform(0.5, 2, (1, 1, n)), rng.uniform(0.1, 0.49, (1, n))
    rad, remainder = np.ones((1, 1)), np.full((1, n), 1e-200)
    form = Forward(generators, center, remainder, (np.abs(center) + generators[:, 0]) * (1 + 64 * U))
    l, u = range_of(form, rad, 64 * U)
    lines = lines_on(l, u)
    after = through(form, lines, output_size(form, lines, u))
    for i, (c, g) in enumerate(zip(exact(center[0]), exact(generators[0, 0]), strict=True)):
        t = -c / g
        linear = Fraction(after.generators[0, 0, i].item()) * t + Fraction(after.center[0, i].item())
        assert abs(t) <= 1
        assert abs(linear) <= Fraction(after.remainder[0, i].item())


def lossy_terms(count: int) -> Affine:
    """The sum 1 + e + e + ... over the terms of one node, every e of which rounds away."""
    factors = (1.0, *[HALF_ULP] * (count - 1))
    return Affine(tuple((0, Scale(np.array([factor]))) for factor in factors), np.zeros(1))


def lossy_backward(count: int) -> tuple[Network, Boxes, Rows]:
    """The coefficient of x is such a sum."""
    network = Network((Input(1), lossy_terms(count)), (1, 1))
    boxes = Boxes.of(np.array([[-1.0]]), np.array([[1.0]]))
    return network, boxes, Rows(np.zeros((2, 1)), np.array([[1.0], [-1.0]]), np.zeros(2))


def lossy_forward(count: int) -> tuple[Network, Boxes]:
    """The value is such a sum, at the input 1."""
    nodes = (Input(1), lossy_terms(count), Relu(1))  # forward forms are made where a ReLU reads them
    return Network(nodes, (1, 1, 1)), Boxes.of(np.ones((1, 1)), np.ones((1, 1)))


def cancelling_paths(*inward: float) -> Network:
    """y = p f f - p g, where f f rounds to g and p is the input times the factors: computed 0, in truth 2^-60 p."""

    def scaled(parent: int, factor: float) -> Affine:
        return Affine(((parent, Scale(np.array([factor]))),), np.zeros(1))

    f, g, one, p = 1 + 2.0**-30, 1 + 2.0**-29, Gather(np.zeros(1, dtype=np.int64)), len(inward)
    nodes = [Input(1), *(scaled(k, factor) for k, factor in enumerate(inward))]
    nodes += [scaled(p, f), scaled(p + 1, f), scaled(p, -g), Affine(((p + 2, one), (p + 3, one)), np.zeros(1))]
    return Network(tuple(nodes), (1,) * len(nodes))


def underflowing_size() -> tuple[Network, Boxes, Rows]:
    """Here p = 1e-20 x, at most 1e-29, passed through 1e-329 on its way."""
    row = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.array([1e-60]))
    return cancelling_paths(1e-320, 1e100, 1e100, 1e100), Boxes.of(np.array([[-1e-9]]), np.array([[1e-9]])), row


def test_coefficients_that_cancel_leave_their_rounding_behind() -> None:
    boxes, rows = Boxes.of(-np.ones((1, 1)), np.ones((1, 1))), Rows(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    assert broken_rows(Bounder(cancelling_paths(1.0)), boxes, rows, [[Fraction(-1)], [Fraction(1)]]) == []


def test_sums_whose_terms_all_round_away() -> None:
    network, boxes, rows = lossy_backward(400)
    assert broken_rows(Bounder(network), boxes, rows, [[Fraction(1)], [Fraction(-1)]]) == []
    network, boxes = lossy_forward(400)
    bounder, either = Recorder(network), Rows(np.zeros((2, 1)), np.array([[1.0], [-1.0]]), np.zeros(2))
    assert broken_rows(bounder, boxes, either, [[Fraction(1)]]) == []
    assert broken_forward(bounder, boxes, [[Fraction(1)]]) == []


def test_a_size_that_underflows_still_pays_for_large_coefficients() -> None:
    network, boxes, rows = underflowing_size()
    x = [Fraction(-1, 10**9)]
    assert evaluate(network, x)[0] + Fraction(1e-60) < 0
    assert broken_rows(Bounder(network), boxes, rows, [x]) == []
    assert not Bounder(network).lower(boxes, rows).lower[0, 0] > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_clipping_keeps_every_violation(seed: int) -> None:
    """The extreme violations are known: one input on the boundary of the half-space, the others at their best."""
    rng = np.random.default_rng(seed)
    n, spread = int(rng.integers(1, 8)) if seed % 2 else 100, (0, 3, 20)[seed % 3]
    lower, upper = hostile_box(seed, n)
    boxes = Boxes.of(lower[None], upper[None])
    form = numbers(rng, 1, 1, n, spread=spread)
    constant = np.einsum("bri,bi->br", np.abs(form), boxes.rad) * rng.uniform(-0.9, 0.9)
    error = np.abs(constant) * rng.choice([0.0, 1e-3])
    low, up, empty = clip(boxes, _bound_of(form, constant, error))
    for x in extreme_violations(form[0, 0], exact(constant[0])[0] - exact(error[0])[0], boxes):
        assert not empty[0]
        assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in zip(low[0].tolist(), x, up[0].tolist(), strict=True))


def _bound_of(form: Floats, constant: Floats, error: Floats) -> AffineBound:
    return AffineBound(form, constant, error, np.zeros(constant.shape))


def extreme_violations(form: Floats, constant: Fraction, boxes: Boxes) -> list[Point]:
    """For every i, the point of the box with form . (x - mid) + constant <= 0 that goes furthest in x_i."""
    a, mid, low, up = exact(form), exact(boxes.mid[0]), exact(boxes.lower[0]), exact(boxes.upper[0])
    best = [l if c > 0 else u for c, l, u in zip(a, low, up, strict=True)]
    products = [c * (v - m) for c, v, m in zip(a, best, mid, strict=True)]
    rest = -constant - sum(products, Fraction(0))
    if rest < 0:
        return []
    found = []
    for i, c in enumerate(a):
        if c:
            limit = mid[i] + (rest + products[i]) / c
            x = list(best)
            x[i] = min(up[i], limit) if c > 0 else max(low[i], limit)
            found.append(x)
    return found


def test_clipping_to_a_single_point_keeps_it() -> None:
    """A half-space that touches the box in one corner only."""
    boxes = Boxes.of(np.array([[0.1, -0.7, 1e-30]]), np.array([[0.3, 1.1, 2e-30]]))
    form = np.array([[[1.0 / 3, -7e5, 1e30]]])
    corner = [boxes.lower[0, 0], boxes.upper[0, 1], boxes.lower[0, 2]]
    value = dot(form[0, 0], [Fraction(c) - m for c, m in zip(corner, exact(boxes.mid[0]), strict=True)])
    constant = float(-value)
    constant = constant if Fraction(constant) <= -value else float(np.nextafter(constant, -np.inf))
    low, up, empty = clip(boxes, _bound_of(form, np.array([[constant]]), np.zeros((1, 1))))
    assert not empty[0]
    assert (low[0] <= corner).all()
    assert (corner <= up[0]).all()


def test_a_smaller_gamma_would_be_noticed() -> None:
    network, boxes, rows = lossy_backward(400)
    bounder = Bounder(network)
    bounder.gamma *= 1e-3
    assert broken_rows(bounder, boxes, rows, [[Fraction(1)], [Fraction(-1)]])
    network, boxes = lossy_forward(400)
    recorder = Recorder(network)
    recorder.gamma *= 1e-3
    assert broken_rows(recorder, boxes, Rows(np.zeros((1, 1)), -np.ones((1, 1)), np.zeros(1)), [[Fraction(1)]])
    assert broken_forward(recorder, boxes, [[Fraction(1)]])


def test_an_error_term_left_out_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network, boxes, rows = underflowing_size()
    whole = Bounder._push_size

    def without_floor(self, k, *rest):
        size = whole(self, k, *rest)
        return np.where(size > 1e-199, size, 0.0)

    monkeypatch.setattr(Bounder, "_push_size", without_floor)
    assert broken_rows(Bounder(network), boxes, rows, [[Fraction(-1, 10**9)]])


def test_clipping_survives_a_sum_whose_terms_round_away() -> None:
    """128 inputs: NumPy sums in eight lanes; the first term of each is 1 and all others round away against it."""
    form = np.full((1, 1, 128), HALF_ULP)
    form[..., :8] = 1.0
    boxes, constant = Boxes.of(-np.ones((1, 128)), np.ones((1, 128))), np.array([[6.5]])
    low, up, empty = clip(boxes, _bound_of(form, constant, np.zeros((1, 1))))
    assert not empty[0]
    for x in extreme_violations(form[0, 0], Fraction(6.5), boxes):
        assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in zip(low[0].tolist(), x, up[0].tolist(), strict=True))
