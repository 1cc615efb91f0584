"""Every linear map against its dense matrix, found independently from a reference convolution."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.maps import (
    Chain,
    Convolution,
    Diagonal,
    Geometry,
    Identity,
    Matrix,
    Sum,
    Transposed,
    dense,
    largest,
    nonzeros,
    pull,
    push,
    rows_of,
)
from relaxations.maps.composing import add, compose
from relaxations.maps.elementwise import gather

RNG = np.random.default_rng(5)

GEOMETRIES = {
    "plain": Geometry(2, 3, 1, (5, 4), (3, 2), (3, 3), (1, 1), (0, 0), (1, 1)),
    "padded": Geometry(2, 3, 1, (5, 4), (5, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    "strided, unequal padding": Geometry(1, 2, 1, (6, 7), (3, 4), (3, 2), (2, 2), (0, 1), (1, 1)),
    "the end is not read": Geometry(2, 2, 1, (8, 8), (2, 3), (2, 2), (3, 2), (0, 0), (1, 1)),
    "dilated": Geometry(2, 2, 1, (7, 7), (5, 3), (3, 3), (1, 2), (1, 1), (2, 2)),
    "groups": Geometry(4, 6, 2, (4, 4), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    "depthwise": Geometry(3, 3, 3, (4, 5), (2, 3), (2, 2), (2, 2), (0, 1), (1, 1)),
    "one dimension": Geometry(2, 3, 1, (9,), (5,), (4,), (2,), (2,), (1,)),
    "windows in the padding": Geometry(1, 1, 1, (2,), (6,), (2,), (1,), (3,), (1,)),
    "three dimensions": Geometry(1, 2, 1, (3, 4, 3), (2, 4, 1), (2, 3, 3), (1, 1, 1), (0, 1, 0), (1, 1, 1)),
}


def kernel_of(g: Geometry) -> np.ndarray:
    return RNG.standard_normal((g.filters, g.channels // g.groups, *g.window))


def matrix_of(kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """The matrix of a convolution, entry by entry from its definition."""
    out = np.zeros((g.filters, *g.out_space, g.channels, *g.space))
    per_group = g.channels // g.groups
    for m in range(g.filters):
        for o in np.ndindex(*g.out_space):
            for c in range(per_group):
                for k in np.ndindex(*g.window):
                    place = [a * s - b + i * d for a, s, b, i, d in zip(o, g.strides, g.begin, k, g.dilations)]
                    if all(0 <= p < n for p, n in zip(place, g.space)):
                        out[(m, *o, m // (g.filters // g.groups) * per_group + c, *place)] += kernel[(m, c, *k)]
    return out.reshape(g.shape)


def made(name: str) -> tuple[Matrix, np.ndarray]:
    """A map and its matrix."""
    if name in GEOMETRIES:
        kernel = kernel_of(GEOMETRIES[name])
        return Convolution(kernel, GEOMETRIES[name]), matrix_of(kernel, GEOMETRIES[name])
    if name == "identity":
        return Identity(4), np.eye(4)
    if name == "diagonal":
        factor = RNG.standard_normal(5)
        return Diagonal(factor), np.diag(factor)
    if name == "transposed":
        m, matrix = made("strided, unequal padding")
        return Transposed(m), matrix.T
    if name.startswith("gather"):
        index = {"gather": [3, 0, -1, 2], "gather with repeats": [3, 0, 3, -1, 3], "gather of one": [1] * 40}[name]
        size = 30 if name == "gather of one" else 5
        matrix = np.zeros((len(index), size))
        for row, place in enumerate(index):
            if place >= 0:
                matrix[row, place] = 1
        return gather(np.array(index), size), matrix
    kernel, g = kernel_of(GEOMETRIES["padded"]), GEOMETRIES["padded"]
    convolution, matrix = Convolution(kernel, g), matrix_of(kernel, g)
    weight = RNG.standard_normal((7, len(matrix)))
    if name == "chain":
        return Chain((convolution, weight)), weight @ matrix
    if name == "sum":
        other = RNG.standard_normal(matrix.shape)
        return Sum((convolution, other)), matrix + other
    raise KeyError(name)


NAMES = [
    *GEOMETRIES,
    "identity",
    "diagonal",
    "transposed",
    "gather",
    "gather with repeats",
    "gather of one",
    "chain",
    "sum",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_map_is_its_matrix(name: str) -> None:
    m, matrix = made(name)
    out, size = matrix.shape
    assert m.shape == matrix.shape
    x, a = RNG.standard_normal((3, 50, size)), RNG.standard_normal((70, out))
    np.testing.assert_allclose(push(m, x), x @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(pull(m, a), a @ matrix, atol=1e-12)
    np.testing.assert_allclose(dense(m), matrix, atol=1e-14)
    chosen = RNG.integers(0, out, 9)
    np.testing.assert_allclose(rows_of(m, chosen), matrix[chosen], atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_magnitudes_bound_the_entries_and_are_those_of_a_single_map(name: str) -> None:
    m, matrix = made(name)
    magnitude = dense(abs(m))
    assert (magnitude >= abs(matrix) - 1e-12).all()
    if name not in ("chain", "sum"):
        np.testing.assert_allclose(magnitude, abs(matrix))
        assert largest(m) == pytest.approx(max(abs(getattr(m, "kernel", matrix)).max(), abs(matrix).max()))
        assert nonzeros(m) == np.count_nonzero(matrix)


@pytest.mark.parametrize("name", NAMES)
def test_precision_is_that_of_the_coefficients_and_the_operand(name: str) -> None:
    m, matrix = made(name)
    single = m.astype(np.float32)
    pushed = push(single, np.ones((2, matrix.shape[1]), dtype=np.float32))
    assert pushed.dtype == np.float32
    assert pull(single, np.ones((2, matrix.shape[0]), dtype=np.float32)).dtype == np.float32
    np.testing.assert_allclose(pushed[0], matrix.sum(axis=1), atol=1e-4)


@pytest.mark.parametrize("outer", NAMES)
@pytest.mark.parametrize("channelwise", [False, True])
def test_scaling_before_and_after_a_map(outer: str, channelwise: bool) -> None:
    m, matrix = made(outer)
    geometry = getattr(m, "geometry", None)
    for size, channels, after in ((matrix.shape[0], "filters", True), (matrix.shape[1], "channels", False)):
        factor = RNG.standard_normal(size)
        if channelwise and geometry is not None:
            count = getattr(geometry, channels)
            factor = np.repeat(factor[:count], size // count)
        scaled = compose(Diagonal(factor), m) if after else compose(m, Diagonal(factor))
        np.testing.assert_allclose(dense(scaled), factor[:, None] * matrix if after else matrix * factor, atol=1e-12)
        if channelwise and geometry is not None:
            assert isinstance(scaled, Convolution)


@pytest.mark.parametrize("name", NAMES)
def test_products_and_sums(name: str) -> None:
    m, matrix = made(name)
    out, size = matrix.shape
    index = RNG.integers(-1, out, 6)
    chosen = np.where((index >= 0)[:, None], matrix[index], 0)
    np.testing.assert_allclose(dense(compose(gather(index, out), m)), chosen, atol=1e-14)
    left, right = RNG.standard_normal((4, out)), RNG.standard_normal((size, 3))
    product = compose(compose(left, m), right)
    np.testing.assert_allclose(dense(product), left @ matrix @ right, atol=1e-12)
    np.testing.assert_allclose(dense(compose(left, compose(m, right))), left @ matrix @ right, atol=1e-12)
    np.testing.assert_allclose(dense(add(m, m)), 2 * matrix, atol=1e-14)
    if out == size:
        np.testing.assert_allclose(dense(add(m, Identity(out))), matrix + np.eye(out), atol=1e-14)
        np.testing.assert_allclose(
            dense(add(Diagonal(np.arange(out)), m)), matrix + np.diag(np.arange(out)), atol=1e-14
        )


def test_sparse_matrices_stay_sparse_and_can_be_read_by_rows() -> None:
    from scipy.sparse import csr_array

    matrix = RNG.standard_normal((50, 40)) * (RNG.random((50, 40)) < 0.1)
    rows, columns, index = RNG.standard_normal(50), RNG.standard_normal(40), RNG.integers(-1, 50, 60)
    scaled = compose(compose(Diagonal(rows), csr_array(matrix)), Diagonal(columns))
    expected = rows[:, None] * matrix * columns
    chosen = np.where((index >= 0)[:, None], expected[index], 0)
    for m, value in (
        (scaled, expected),
        (compose(gather(index, 50), scaled), chosen),
        (compose(csr_array(matrix.T), scaled), matrix.T @ expected),
        (add(scaled, gather(np.arange(50) % 40, 40)), expected + np.eye(40)[np.arange(50) % 40]),
        (compose(scaled, gather(np.arange(40)[::-1], 40)), expected[:, ::-1]),
    ):
        assert isinstance(m, csr_array)
        np.testing.assert_allclose(rows_of(m, np.array([3, 0, 3])), value[[3, 0, 3]], atol=1e-12)
        np.testing.assert_allclose(dense(m), value, atol=1e-12)
