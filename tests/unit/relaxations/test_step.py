"""Lines of signs, and bounds of networks with signs by backward passes."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.dual import Duals, Frame, evaluate, lines
from relaxations.functions import step
from relaxations.network import Layer, ReluNetwork
from relaxations.slimming import slimmed

SEEDS = range(40)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sign_lies_between_its_lines(dtype: type) -> None:
    rng = np.random.default_rng(0)
    l, u = np.sort(rng.normal(size=(2, 2000)) * 10.0 ** rng.integers(-30, 30, 2000), axis=0).astype(dtype)
    l[:100], u[100:200] = 0, 0
    l, u = np.minimum(l, u), np.maximum(l, u)
    drawn = step.lines(l, u, np)
    for share in (0.0, 1e-6, 0.3, 0.5, 0.9, 1.0):
        z = l + dtype(share) * (u - l)
        assert (drawn.lower_slope * z + drawn.lower_offset <= np.sign(z)).all()
        assert (np.sign(z) <= drawn.upper_slope * z + drawn.upper_offset).all()
    at_zero = (l <= 0) & (u >= 0)
    assert (drawn.lower_offset[at_zero] <= 0).all()
    assert (drawn.upper_offset[at_zero] >= 0).all()


def test_a_longer_end_gets_the_slope() -> None:
    """On [-1, 3] from (0, -1) to (3, 1); on [-3, 1] from (-3, -1) to (0, 1); on [-1, 2] none; then constants."""
    drawn = step.lines(np.array([-1.0, -3.0, -1.0, 1.0, -3.0]), np.array([3.0, 1.0, 2.0, 2.0, -1.0]), np)
    np.testing.assert_allclose(drawn.lower_slope, [2 / 3, 0, 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(drawn.upper_slope, [0, 2 / 3, 0, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(drawn.lower_offset, [-1, -1, -1, 1, -1])
    np.testing.assert_array_equal(drawn.upper_offset, [1, 1, 1, 1, -1])


class Made:
    """A network of a layer of signs and one of ReLUs, in either order, with skips; a box, and ranges on it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        signs = (True, False) if seed % 2 else (False, True)
        first = Layer(((0, rng.normal(size=(5, 2))),), rng.normal(size=5) / 4, signs[0])
        terms = (0, rng.normal(size=(4, 2)) / 2), (1, rng.normal(size=(4, 5)))
        second = Layer(terms, rng.normal(size=4) / 4, signs[1])
        self.target = Layer(tuple((s, rng.normal(size=(3, n))) for s, n in enumerate((2, 5, 4))), rng.normal(size=3))
        self.network = ReluNetwork(2, (first, second), self.target)
        self.lower = rng.normal(size=2) / 2 - 0.6
        self.upper = self.lower + 1.2
        points = rng.uniform(self.lower, self.upper, size=(4000, 2))
        self.points = np.concatenate([points, np.array([[a, b] for a in self.sides(0) for b in self.sides(1)])])
        self.seen, self.values = self.network.preactivations(self.points)
        spread = [0.1 * np.ptp(z, axis=0) for z in self.seen]
        low = tuple((z.min(axis=0) - s)[None] for z, s in zip(self.seen, spread, strict=True))
        up = tuple((z.max(axis=0) + s)[None] for z, s in zip(self.seen, spread, strict=True))
        self.frame = Frame((self.lower + self.upper) / 2, (self.upper - self.lower) / 2, low, up)
        self.duals = Duals(tuple(rng.uniform(0, 1, size=(3, n)) for n in (5, 4)), (None, None), np.eye(3))

    def sides(self, dim: int) -> tuple[float, float]:
        return float(self.lower[dim]), float(self.upper[dim])


@pytest.mark.parametrize("seed", SEEDS)
def test_backward_bounds_hold_and_are_what_the_minimiser_gives(seed: int) -> None:
    """The bound is the target's value where every layer is replaced by the line that the row has taken."""
    made = Made(seed)
    drawn = lines(made.frame, (None, None), np, made.network.signs)
    seen = evaluate(made.network, made.target, made.frame, drawn, made.duals, np, with_values=True)
    assert (made.values >= seen.bound - 1e-9).all()
    assert seen.gradient.weights is not None
    np.testing.assert_allclose(np.diag(seen.gradient.weights), seen.bound, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_slopes_of_signs_do_not_move_and_those_of_relus_point_upward(seed: int) -> None:
    made = Made(seed)
    drawn = lines(made.frame, (None, None), np, made.network.signs)

    def bound(slopes: tuple[np.ndarray, ...]) -> np.ndarray:
        return evaluate(made.network, made.target, made.frame, drawn, made.duals._replace(slopes=slopes), np).bound

    seen = evaluate(made.network, made.target, made.frame, drawn, made.duals, np)
    for k, gradient in enumerate(seen.gradient.slopes):
        if k in made.network.signs:
            assert not gradient.any()
            continue
        moved = tuple(s + 1e-7 * gradient if j == k else s for j, s in enumerate(made.duals.slopes))
        assert (bound(moved) >= seen.bound - 1e-9).all()


def test_slimming_keeps_signs() -> None:
    made = Made(1)
    idle = [np.zeros(5, dtype=bool), made.frame.upper[1][0] <= 0]
    slim, _, _ = slimmed(made.network, made.target, idle)
    assert slim.signs == made.network.signs
    assert slim.astype(np.float32).signs == made.network.signs
