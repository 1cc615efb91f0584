"""Hulls of activations against brute force and exact fractions."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.hulls import Hull, HullRow, HullShape, activations, hull_of
from specs.hulls.build import most_correlated, principal_directions, rounded_up
from specs.language.inputs.dataset import read_examples
from tests.unit.specs.compose.modules import random_dense

SHAPES = [
    HullShape("box"),
    HullShape("octagon"),
    HullShape("octagon", pairs=2),
    HullShape("polytope"),
    HullShape("polytope", directions=3),
]


def awkward(rng: np.random.Generator, points: int, size: int) -> np.ndarray:
    """Values of very different magnitudes, some equal and one unit that never moves."""
    values = rng.normal(size=(points, size)) * 10.0 ** rng.integers(-12, 12, size)
    values[:, -1] = 0.0
    values[rng.integers(points)] = values[rng.integers(points)]
    return values


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_every_point_it_was_built_from_is_inside_in_rational_arithmetic(shape: HullShape, seed: int) -> None:
    values = awkward(np.random.default_rng(seed), 23, 6)
    hull = hull_of(values, shape)
    assert hull.points == 23
    for point in values:
        exact = [Fraction(float(v)) for v in point]
        for row in hull.rows:
            assert sum((c * exact[i] for i, c in row.terms), Fraction(0)) <= row.bound
        assert hull.contains(point.tolist())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bounds_are_the_least_up_to_rounding(shape: HullShape) -> None:
    """No bound is more than two float32 steps above what the data reaches in exact arithmetic."""
    values = np.random.default_rng(5).normal(size=(40, 5))
    exact = [[Fraction(float(v)) for v in point] for point in values]
    for row in hull_of(values, shape).rows:
        reached = max(row.value(point) for point in exact)
        step = Fraction(float(np.spacing(np.float32(abs(float(reached))))))
        assert reached <= row.bound <= reached + 2 * step
        assert row.support >= 1


def test_every_row_and_its_opposite_are_there() -> None:
    values = np.random.default_rng(6).normal(size=(30, 4))
    assert {row.terms for row in hull_of(values, HullShape("box")).rows} == {
        ((i, Fraction(sign)),) for i in range(4) for sign in (1, -1)
    }
    octagon = {row.terms for row in hull_of(values, HullShape("octagon", pairs=6)).rows}
    assert octagon == {((i, Fraction(s)),) for i in range(4) for s in (1, -1)} | {
        ((i, Fraction(s)), (j, Fraction(t)))
        for i in range(4)
        for j in range(i + 1, 4)
        for s in (1, -1)
        for t in (1, -1)
    }


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_a_bound_is_reached_by_as_many_points_as_its_support_says(min_support: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 4, (12, 3)).astype(float)
    for row in hull_of(values, HullShape("octagon", min_support=min_support)).rows:
        along = sorted((float(row.value([Fraction(v) for v in point])) for point in values), reverse=True)
        assert float(row.bound) == pytest.approx(along[min_support - 1], abs=1e-6)
        assert row.support >= min_support
        assert row.support == sum(v >= along[min_support - 1] for v in along)


def test_a_larger_support_never_widens_a_hull() -> None:
    values = np.random.default_rng(8).normal(size=(50, 4))
    hulls = [hull_of(values, HullShape("box", min_support=m)) for m in (1, 2, 5, 20)]
    for wide, narrow in pairwise(hulls):
        assert all(a.bound >= b.bound for a, b in zip(wide.rows, narrow.rows))


@pytest.mark.parametrize("kind", ["box", "octagon", "polytope"])
def test_a_margin_is_a_share_of_the_width(kind: str) -> None:
    values = np.random.default_rng(9).normal(size=(50, 3))
    plain, wide = (hull_of(values, HullShape(kind, margin=Fraction(m))) for m in ("0", "1/4"))
    for k in range(0, len(plain.rows), 2):
        width = plain.rows[k].bound + plain.rows[k + 1].bound
        for a, b in zip(plain.rows[k : k + 2], wide.rows[k : k + 2]):
            assert float(b.bound - a.bound) == pytest.approx(float(width) / 4, rel=1e-5)


def test_membership_is_decided_exactly() -> None:
    hull = Hull("box", 1, (HullRow(((0, Fraction(3)),), Fraction(1), 1),), 1)
    assert hull.contains([Fraction(1, 3)])
    assert not hull.contains([Fraction(1, 3) + Fraction(1, 10**40)])
    with pytest.raises(ValueError, match="2 activations"):
        hull.contains([0, 0])


def test_bounds_of_single_activations() -> None:
    values = np.random.default_rng(10).normal(size=(9, 3))
    hull = hull_of(values, HullShape("octagon"))
    for (low, up), column in zip(hull.bounds, values.T):
        assert float(low) == pytest.approx(column.min(), rel=1e-6)
        assert float(up) == pytest.approx(column.max(), rel=1e-6)


def test_pairs_that_move_together_are_chosen() -> None:
    rng = np.random.default_rng(11)
    a, b, c = rng.normal(size=(3, 200))
    values = np.stack([a, b, -a + 0.01 * b, c, np.ones(200)], axis=1)
    assert most_correlated(values, 1) == [(0, 2)]
    assert len(most_correlated(values, 100)) == 6  # none with the constant one


def test_principal_directions_find_the_line_that_data_lies_near() -> None:
    t = np.linspace(-1, 1, 50)[:, None]
    values = t * np.array([[3.0, 4.0]]) + [7, -1] + 0.01 * np.sin(40 * t) * np.array([[-4.0, 3.0]])
    first, second = principal_directions(values, 2)
    assert np.allclose(first, [0.8, -0.6], atol=1 / 64)  # across the line
    assert np.allclose(second, [0.6, 0.8], atol=1 / 64)
    hull = hull_of(values, HullShape("polytope", directions=1))
    assert len(hull.rows) == 6
    assert not hull.contains([7 - 3, -1 + 4])  # a corner of the box, far from the line


@given(st.fractions(max_denominator=10**12).filter(lambda v: abs(v) < 10**30))
def test_rounding_up_gives_the_next_float32(value: Fraction) -> None:
    up = rounded_up(value)
    assert value <= up
    assert Fraction(float(np.nextafter(np.float32(float(up)), np.float32(-np.inf)))) < value


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_what_float32_cannot_hold_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        hull_of(np.array([[0.0], [bad]]), HullShape())


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than min_support"):
        hull_of(np.zeros((2, 1)), HullShape(min_support=3))


def test_activations_are_those_of_the_layers() -> None:
    graph = random_dense(np.random.default_rng(12), 3, 5, 4, 2)
    inputs = np.random.default_rng(13).integers(-8, 9, (7, 3)) / 8
    found = activations(graph, inputs, ["pre1", "relu1", "pre2", "linear3"])
    constant = [node.op.value for node in graph.nodes if hasattr(node.op, "value")]
    w1, b1, w2, b2, w3, b3 = (value.astype(float) for value in constant)
    one = inputs @ w1 + b1
    two = np.maximum(one, 0) @ w2 + b2
    expected = [one, np.maximum(one, 0), two, np.maximum(two, 0) @ w3 + b3]
    assert all(np.array_equal(a, b) for a, b in zip(found.values.values(), expected))
    assert found.points == 7
    with pytest.raises(ValueError, match="has no layer"):
        activations(graph, inputs, ["relu9"])
    with pytest.raises(ValueError, match="takes 3"):
        activations(graph, inputs[:, :2], ["pre1"])


def test_a_data_file_is_read_whole_with_its_hash(tmp_path: Path) -> None:
    images = np.random.default_rng(14).normal(size=(5, 1, 2, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(5))
    np.save(tmp_path / "a.npy", images)
    for name in ("a.npz", "a.npy"):
        read = read_examples(tmp_path / name)
        assert np.array_equal(read.inputs, images.reshape(5, 6))
        assert read.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    np.save(tmp_path / "bad.npy", np.array([[np.nan]]))
    (tmp_path / "text.npy").write_text("no")
    for name, said in (("bad.npy", "finite"), ("text.npy", "not an .npy"), ("none.npz", "cannot be read")):
        with pytest.raises(ValueError, match=said):
            read_examples(tmp_path / name)
