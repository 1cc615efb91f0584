"""Pairs in networks of any shape: layers that read the input, each other, one node or several, signs among them.

Several boxes at once, some with a ball, of widths from nothing to large. Every claim of the bounds is held against
rational arithmetic, without tolerance: rows, ranges, differences, sizes, clips, and the exact twin's bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.test_rounding import Floats, Point, dot, exact
from verifier.checker import pairs as checked
from verifier.checker.ball import Ball, ExactBall
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.clip import clip
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation, evaluate
from verifier.checker.lines import TINY, lines_on
from verifier.checker.network import Affine, Dense, Gather, Input, LinearMap, Network, Node, Relu, Scale, Sign
from verifier.checker.pairs import Pairs, side_by_side
from verifier.checker.vnnlib import QueryRow

SPREADS = (0, 1, 5, 12)  # decades to both sides of 1


class Builder:
    """Nodes that read any earlier ones; half of the ReLU layers are copies of one before, by nothing up to much."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.spread = SPREADS[seed % len(SPREADS)]
        self.width = int(rng.integers(1, 4))
        self.nodes: list[Node] = [Input(int(rng.integers(1, 4)))]
        self.sizes = [self.nodes[0].size]  # type: ignore[union-attr]
        self.copied: dict[int, int] = {}

    def numbers(self, *shape: int) -> Floats:
        values = self.rng.normal(size=shape) * 10.0 ** self.rng.uniform(-self.spread, self.spread, shape)
        values[self.rng.random(shape) < 0.1] = 0.0
        return values

    def add(self, node: Node, size: int) -> int:
        self.nodes.append(node)
        self.sizes.append(size)
        return len(self.nodes) - 1

    def any(self) -> int:
        return int(self.rng.integers(len(self.nodes)))

    def map(self, parent: int, size: int) -> LinearMap:
        kind = self.rng.random()
        if kind < 0.2:
            return Gather(self.rng.integers(-1, self.sizes[parent], size))
        if kind < 0.4 and self.sizes[parent] == size:
            return Scale(self.numbers(size))
        return Dense(self.numbers(size, self.sizes[parent]))

    def affine(self, parents: list[int], size: int) -> Affine:
        bias = self.numbers(size) * self.rng.integers(0, 2)
        return Affine(tuple((parent, self.map(parent, size)) for parent in parents), bias)

    def twin(self, node: Affine) -> Affine:
        """A layer and its copy read one node, or copies."""
        by = self.rng.choice([0.0, 2.0**-52, 1e-6, 0.1, 1.0])
        ((parent, m),) = node.terms
        if isinstance(m, Dense):
            m = Dense(m.weight * (1 + by * self.rng.uniform(-1, 1, m.weight.shape)))
        return Affine(((self.copied.get(parent, parent), m),), node.bias * (1 + by))

    def network(self) -> Network:
        count, width = int(self.rng.integers(4, 12)), self.width
        while len(self.nodes) < count or len(self.relus) < 2:
            kind = self.rng.random()
            if kind < 0.4:
                first = self.affine([self.any()], width)
                one = self.add(Relu(self.add(first, width)), width)
                other = self.add(Relu(self.add(self.twin(first), width)), width)
                self.copied |= {one: other, other: one}
            elif kind < 0.55:
                self.add(self.affine([self.any() for _ in range(self.rng.integers(1, 4))], width), width)
            else:
                parent = self.any()
                self.add(Relu(parent) if kind < 0.9 else Sign(parent), self.sizes[parent])
        self.add(self.affine(sorted({*self.relus[-4:], self.any()}), 2), 2)
        return Network(tuple(self.nodes), tuple(self.sizes))

    @property
    def relus(self) -> list[int]:
        return [k for k, node in enumerate(self.nodes) if isinstance(node, Relu)]

    def pairs(self, network: Network) -> Pairs:
        """Whatever is not refused."""
        found: Pairs = ()
        for _ in range(12):
            one, two = (int(layer) for layer in self.rng.integers(len(network.layers), size=2))
            try:
                side_by_side(network, (*found, (one, two)))
            except CheckError:
                continue
            found = (*found, (one, two))
        return found

    def boxes(self) -> tuple[Floats, Floats]:
        mid = self.numbers(3, self.sizes[0])
        half = 10.0 ** self.rng.uniform(-3, 0.5, mid.shape) * np.maximum(np.abs(mid), self.spread < 5)
        half *= self.rng.choice([0.0, 2.0**-52, 1.0, 1.0], mid.shape)
        return mid - half, mid + half

    def rows(self) -> Rows:
        y = self.numbers(4, 2)
        y[3] = -y[2]
        return Rows(np.zeros((4, self.sizes[0])), y, self.numbers(4) * self.rng.integers(0, 2, 4))

    def points(self, lower: Floats, upper: Floats, ball: ExactBall | None) -> Iterator[Point]:
        """Of one box; where there is a ball, those in it."""
        low, up = exact(lower), exact(upper)
        for _ in range(6):
            shares = [Fraction(int(share), 4) for share in self.rng.choice([0, 0, 1, 2, 4, 4], len(low))]
            x = [a + share * (b - a) for share, a, b in zip(shares, low, up)]
            if ball is None or ball.contains(x):
                yield x


class Recorder(Bounder):
    """Keeps the ranges of differences."""

    def _compare(self, k, *rest):
        (l, u), where = super()._compare(k, *rest)
        self.seen = {**getattr(self, "seen", {}), k: (np.where(where, l, -np.inf), np.where(where, u, np.inf))}
        return (l, u), where


def values_at(network: Network, x: Point) -> list[Point]:
    """The values of all nodes."""
    return [evaluate(Network(network.nodes[: k + 1], network.sizes[: k + 1]), x) for k in range(len(network.nodes))]


def inside(low: Floats, values: Point, up: Floats) -> bool:
    """An end that is not finite says nothing."""
    return all(
        (not np.isfinite(l) or Fraction(l) <= v) and (not np.isfinite(u) or v <= Fraction(u))
        for l, v, u in zip(low.tolist(), values, up.tolist(), strict=True)
    )


@pytest.mark.parametrize("seed", range(160))
def test_any_pairing_of_any_network_breaks_no_claim(seed: int) -> None:
    build = Builder(seed)
    network = build.network()
    pairs = build.pairs(network)
    (lower, upper), rows = build.boxes(), build.rows()
    ball = None
    if seed % 3 == 0:
        ball = ExactBall(tuple(exact(lower[0])), (Fraction(1),) * len(lower[0]), Fraction(float(np.ptp(upper))) ** 2)
    boxes = Boxes.of(lower, upper, Ball.of(ball))
    bounder = Recorder(network, pairs)
    bound = bounder.lower(boxes, rows)
    with np.errstate(all="ignore"):
        relaxation = bounder.relax(boxes)
    clipped_lower, clipped_upper, empty = clip(boxes, bound)
    paired = side_by_side(network, pairs)
    nodes = bounder.network.nodes
    for b in range(len(lower)):
        twin = twin_rows = None
        if build.spread < 5:
            twin = ExactRelaxation(paired.network, exact(lower[b]), exact(upper[b]), ball=ball, seconds=paired.seconds)
            twin_rows = twin.bounds(exact_rows(rows))
        for x in build.points(lower[b], upper[b], ball):
            values = values_at(bounder.network, x)
            assert values[-1] == evaluate(network, x)
            found = [dot(y, values[-1]) + d for y, d in zip(rows.y, exact(rows.constant))]
            t = [v - m for v, m in zip(x, exact(boxes.mid[b]))]
            for r in np.flatnonzero(np.isfinite(bound.lower[b])):
                floor = Fraction(bound.constant[b, r].item()) - Fraction(bound.error[b, r].item())
                assert dot(bound.form[b, r], t) + floor <= found[r]
                assert Fraction(bound.lower[b, r].item()) <= found[r]
            if max(found) < 0:
                assert not empty[b]
                assert inside(clipped_lower[b], x, clipped_upper[b])
            for k, (l, u) in relaxation.ranges.items():
                assert inside(l[b], values[nodes[k].parent], u[b])  # type: ignore[union-attr]
            for k, size in relaxation.sizes.items():
                assert inside(-size[b], values[k], size[b])
            for k, (l, u) in getattr(bounder, "seen", {}).items():
                one, two = (values[nodes[j].parent] for j in (k - 1, k))  # type: ignore[union-attr]
                assert inside(l[b], [v - w for v, w in zip(one, two)], u[b])
            if twin is not None and twin_rows is not None:
                assert all(low <= value for low, value in zip(twin_rows, found))
                for k, (lows, ups) in twin.ranges.items():
                    arguments = values[nodes[k].parent]  # type: ignore[union-attr]
                    assert all(low <= v <= up for low, v, up in zip(lows, arguments, ups))


def exact_rows(rows: Rows) -> list[QueryRow]:
    return [
        QueryRow({}, {j: Fraction(c) for j, c in enumerate(y.tolist()) if c}, d, False)
        for y, d in zip(rows.y, exact(rows.constant))
    ]


@pytest.mark.parametrize("spread", [0, 20, 150, 300])
def test_ranges_are_tightened_outward(spread: int) -> None:
    """Sums of ends are moved by more than rounding, and by at least half of ``TINY``, whatever their magnitudes."""
    rng = np.random.default_rng(spread)
    a = np.full((2, 1, 500), 1e308) * np.array([-1, 1])[:, None, None]
    b, d = (np.sort(rng.normal(size=(2, 1, 500)) * 10.0 ** rng.uniform(-spread, spread, (2, 1, 500)), 0) for _ in "bd")
    d[0, 0, :100] = -b[0, 0, :100] * (1 + 2.0**-52)  # sums that nearly cancel
    everywhere = np.ones((1, 500), dtype=bool)
    (low, up), _ = checked.tightened(tuple(a), tuple(b), tuple(d), everywhere)
    _, (low_b, up_b) = checked.tightened(tuple(b), tuple(a), tuple(d), everywhere)
    half = Fraction(TINY) / 2
    columns = (exact(part[0]) for part in (*b, *d, low, up, low_b, up_b))
    for b_l, b_u, d_l, d_u, l, u, other_l, other_u in zip(*columns):
        assert l <= b_l + d_l - half
        assert u >= b_u + d_u + half
        assert other_l <= b_l - d_u - half
        assert other_u >= b_u - d_l + half


def test_a_range_that_is_not_known_tightens_nothing() -> None:
    inf, nan = np.inf, np.nan
    a = np.array([[-1.0, -1.0, nan]]), np.array([[2.0, 2.0, nan]])
    b, d = (np.array([[-inf, 0.0, 0.0]]), np.array([[inf, 0.0, 0.0]])), (np.full((1, 3), -inf), np.full((1, 3), inf))
    found = checked.tightened(a, b, d, np.ones((1, 3), dtype=bool))
    assert np.array_equal(found, (a, b), equal_nan=True)


@pytest.mark.parametrize("seed", range(40))
def test_what_sharing_rounds_is_charged_with_it(seed: int) -> None:
    """Alone, without what the nodes behind it are charged, and with what is left over for sums at several readers.

    Rows of the second of two boxes, the larger one; kappa may be tiny next to the constant, or huge.
    """
    rng = np.random.default_rng(seed)
    relus = (Input(1), *(Affine(((0, Dense(np.ones((3, 1)))),), np.zeros(3)) for _ in range(2)), Relu(1), Relu(2))
    bounder = Bounder(Network(relus, (1, 3, 3, 3, 3)), ((0, 1),))
    scales = np.array([[1.0], [1e3]])
    a, b = (np.sort(rng.normal(size=(2, 2, 3)) * scales, axis=0) for _ in range(2))
    lines_a, lines_b = lines_on(*a), lines_on(*b)
    lines = checked.pair_lines((a[0] - b[1], a[1] - b[0]), lines_a, lines_b, np.ones((2, 3), dtype=bool))
    kappa = rng.normal(size=(1, 3)) * 10.0 ** rng.integers(-12, 12)
    start = rng.normal(size=1) * 10.0 ** rng.integers(-12, 12)
    coefs = {3: kappa.copy(), 4: -kappa}
    constant, error = bounder._share(4, lines, coefs, start, np.zeros(1), np.ones(1, dtype=np.int64))
    assert not np.any(coefs[3])
    assert not np.any(coefs[4])
    below, base, above, offset = (exact(p[1]) for p in (lines.below, lines.base, lines.above, lines.offset))
    for ends in np.ndindex(2, 2):
        x, y = exact(a[ends[0], 1]), exact(b[ends[1], 1])
        row, left = Fraction(start.item()), Fraction(constant.item()) - Fraction(error.item())
        for n, k in enumerate(exact(kappa[0])):
            d = x[n] - y[n]
            row += k * (below[n] * d - base[n] if k > 0 else above[n] * d + offset[n])
            left += 2 * Fraction(bounder.gamma) * abs(k) * (abs(x[n]) + abs(y[n]))
        left += dot(coefs[1][0], x) + dot(coefs[2][0], y)
        assert left <= row


@pytest.mark.parametrize("pair", [(0, 2), (2, 0), (1, 0)])
def test_layers_by_number_are_checked_to_the_last(pair: tuple[int, int]) -> None:
    """One that is just too large; and the output, which has to stay the last node."""
    weight = Dense(np.array([[2.0]]))
    nodes = Input(1), Affine(((0, weight),), np.ones(1)), Relu(0), Relu(1)
    with pytest.raises(CheckError, match="does not have" if 2 in pair else "no order"):
        Bounder(Network(nodes, (1,) * 4), (pair,))


@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
def test_a_sign_is_in_no_pair(pair: tuple[int, int]) -> None:
    dense = Dense(np.ones((1, 1)))
    nodes = Input(1), Relu(0), Sign(0), Affine(((1, dense), (2, dense)), np.zeros(1))
    with pytest.raises(CheckError, match="not both of ReLUs"):
        Bounder(Network(nodes, (1,) * 4), (pair,))
