"""Maps and networks compute in JAX what they compute in NumPy, and are arguments of compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relaxations.bounds.interval import interval_bounds
from relaxations.lowering import lower
from relaxations.maps import Chain, Matrix, dense, pull, push
from relaxations.network import Layer, ReluNetwork
from relaxations.pytrees import register_with_jax, to_jax
from specs.graph import ops
from tests.unit.relaxations.graphs import chain, weight
from tests.unit.relaxations.test_maps import NAMES, made

jax = pytest.importorskip("jax")

RNG = np.random.default_rng(31)


@jax.jit
def actions(m: Matrix, x: Any, a: Any) -> tuple[Any, Any, Any]:
    """What a map does as the argument of a compiled function: its arrays are traced there."""
    return push(m, x), pull(m, a), push(abs(m), abs(x))


@pytest.mark.parametrize("name", NAMES)
def test_a_map_computes_the_same_in_both_namespaces(name: str) -> None:
    m, matrix = made(name)
    single = m.astype(np.float32)
    x = RNG.standard_normal((5, matrix.shape[1])).astype(np.float32)
    a = RNG.standard_normal((5, matrix.shape[0])).astype(np.float32)
    tolerance = 1e-5 * (1 + abs(matrix).sum(axis=1).max() + abs(matrix).sum(axis=0).max())
    np.testing.assert_allclose(np.asarray(push(single, jax.numpy.asarray(x))), x @ matrix.T, atol=tolerance)
    np.testing.assert_allclose(np.asarray(pull(single, jax.numpy.asarray(a))), a @ matrix, atol=tolerance)
    register_with_jax()
    expected = x @ matrix.T, a @ matrix, abs(x) @ dense(abs(m)).T
    for found, value in zip(actions(single, x, a), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), value, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_push_and_pull_are_adjoint(name: str) -> None:
    m, matrix = made(name)
    x, a = RNG.standard_normal((1, matrix.shape[1])), RNG.standard_normal((1, matrix.shape[0]))
    assert (push(m, x) @ a.T).item() == pytest.approx((x @ pull(m, a).T).item(), abs=1e-10)
    single = m.astype(np.float32)
    x, a = (jax.numpy.asarray(v, dtype=np.float32) for v in (x, a))
    assert (push(single, x) @ a.T).item() == pytest.approx((x @ pull(single, a).T).item(), abs=1e-3)


def image_network() -> ReluNetwork:
    step = ops.Conv((1, 1), (1, 1, 1, 1), (1, 1))
    pool = ops.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1))
    flat = ops.Reshape((1, 8 * 8 * 8))
    steps = [
        (ops.Transpose((0, 3, 1, 2)),),
        (step, weight(8, 3, 3, 3) / 5, weight(8)),
        (ops.LeakyRelu(0.1),),
        (pool,),
        (step, weight(8, 8, 3, 3) / 8, weight(8)),
        (ops.Relu(),),
        (flat,),
        (ops.MatMul(), weight(512, 3) / 20),
    ]
    return lower(chain((1, 16, 16, 3), *steps))


def test_a_network_is_an_argument_of_a_compiled_function() -> None:
    network = image_network()
    x = RNG.standard_normal((6, network.input_size)).astype(np.float32)
    converted = to_jax(network)
    assert converted is not None
    leaves = jax.tree_util.tree_leaves(converted)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert {leaf.dtype for leaf in leaves} <= {np.dtype(np.float32), np.dtype(np.int32)}
    program = jax.jit(lambda network, x: network.evaluate(x))
    np.testing.assert_allclose(np.asarray(program(converted, x)), network.evaluate(x.astype(float)), atol=1e-4)
    assert max((c.size for c in jax.make_jaxpr(program)(converted, x).consts), default=0) == 0
    other = to_jax(
        ReluNetwork(network.input_size, network.layers, Layer(network.output.terms, network.output.bias + 1))
    )
    np.testing.assert_allclose(np.asarray(program(other, x)), network.evaluate(x.astype(float)) + 1, atol=1e-4)
    assert program._cache_size() == 1  # the same program: weights are no constants of it


def test_interval_bounds_agree_in_both_namespaces() -> None:
    network = image_network()
    low = RNG.random((2, network.input_size))
    found = interval_bounds(to_jax(network), low.astype(np.float32), (low + 0.1).astype(np.float32))
    for (l, u), (expected_l, expected_u) in zip(found, interval_bounds(network, low, low + 0.1), strict=True):
        np.testing.assert_allclose(np.asarray(l), expected_l, atol=1e-3)
        np.testing.assert_allclose(np.asarray(u), expected_u, atol=1e-3)


def test_registering_twice_changes_nothing() -> None:
    register_with_jax()
    register_with_jax()
    first = Layer(((0, np.ones((2, 2))), (3, np.ones((2, 5)))), np.zeros(2))
    leaves, structure = jax.tree_util.tree_flatten(first)
    assert [leaf.shape for leaf in leaves] == [(2, 2), (2, 5), (2,)]
    assert [source for source, _ in jax.tree_util.tree_unflatten(structure, leaves).terms] == [0, 3]


def test_sparse_matrices_become_dense_or_keep_the_network_out() -> None:
    from scipy.sparse import csr_array

    small = csr_array(([2.0, 3.0], ([0, 1], [1, 0])), shape=(2, 4))
    network = ReluNetwork(4, (), Layer(((0, Chain((small, np.ones((1, 2))))),), np.zeros(1)))
    assert np.asarray(to_jax(network).evaluate(jax.numpy.ones((1, 4)))).item() == 5
    large = csr_array(([2.0], ([0], [1])), shape=(5000, 5000))
    assert to_jax(ReluNetwork(5000, (), Layer(((0, large),), np.zeros(5000)))) is None
