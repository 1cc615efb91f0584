"""Networks without the neurons that are idle: the same function wherever they are, and structured maps untouched."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from relaxations.lowering import lower
from relaxations.maps.linear import LinearMap
from relaxations.network import Layer, ReluNetwork
from relaxations.slimming import slimmed
from specs.graph.ops import Conv, MatMul, Relu, Reshape
from tests.unit.relaxations.graphs import chain

INPUTS, WIDTHS = 4, (7, 6, 5)


def network(seed: int, sparse: bool) -> tuple[ReluNetwork, Layer, list[np.ndarray]]:
    """Layers that read the input and all layers before them, some neurons far below 0; a further layer over all."""
    rng = np.random.default_rng(seed)
    sizes = (INPUTS, *WIDTHS)

    def layer(k: int, n: int) -> Layer:
        weights = [rng.normal(size=(n, size)) * (rng.random((n, size)) < 0.7) for size in sizes[: k + 1]]
        terms = enumerate(scipy.sparse.csr_matrix(w) if sparse and s == 1 else w for s, w in enumerate(weights))
        return Layer(tuple(terms), rng.normal(size=n))

    layers, idle = [], []
    for k, n in enumerate(WIDTHS):
        mask = rng.random(n) < 0.5
        made = layer(k, n)
        layers.append(Layer(made.terms, np.where(mask, -1e4, made.bias)))
        idle.append(mask)
    return ReluNetwork(INPUTS, tuple(layers), layer(len(WIDTHS), 3)), layer(len(WIDTHS), 2), idle


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_values_stay_where_the_neurons_left_out_are_idle(seed: int, sparse: bool) -> None:
    whole, target, idle = network(seed, sparse)
    slim, rest, kept = slimmed(whole, target, idle)
    assert slim.widths == (INPUTS, *(n - mask.sum() for n, mask in zip(WIDTHS, idle, strict=True)))
    points = np.random.default_rng(seed).normal(size=(50, INPUTS))
    before, outputs = whole.preactivations(points)
    after, found = slim.preactivations(points)
    assert found == pytest.approx(outputs, abs=1e-9)
    for z, mask, seen, keep in zip(before, idle, after, kept, strict=True):
        assert (z[:, mask] < 0).all()
        assert (keep == np.flatnonzero(~mask)).all()
        assert seen == pytest.approx(z[:, keep], abs=1e-9)
    values, fewer = ([points, *(np.maximum(z, 0) for z in seen)] for seen in (before, after))
    assert rest.apply(fewer) == pytest.approx(target.apply(values), abs=1e-9)


def test_a_layer_all_of_whose_neurons_are_idle_keeps_one() -> None:
    whole, target, _ = network(0, sparse=False)
    slim, rest, kept = slimmed(whole, target, [np.ones(n, dtype=bool) for n in WIDTHS])
    assert slim.widths == (INPUTS, 1, 1, 1)
    assert [weight.shape for _, weight in rest.terms] == [(2, INPUTS), (2, 1), (2, 1), (2, 1)]
    assert [keep.tolist() for keep in kept] == [[0], [0], [0]]


def test_neurons_of_convolutions_and_before_them_stay() -> None:
    """Only the last layer, which is dense and which only the dense output reads, loses its neurons."""
    conv, kernel = Conv((1, 1), (0, 0, 0, 0), (1, 1)), np.ones((2, 2, 3, 3), dtype=np.float32)
    dense = MatMul(), np.ones((288, 5), dtype=np.float32)
    steps = (conv, kernel), (Relu(),), (conv, kernel), (Relu(),), (Reshape((1, 288)),), dense, (Relu(),)
    whole = lower(chain((1, 2, 16, 16), *steps, (MatMul(), np.ones((5, 3), dtype=np.float32))))
    assert all(isinstance(weight, LinearMap) for layer in whole.layers[:2] for _, weight in layer.terms)
    slim, _, kept = slimmed(whole, whole.output, [np.ones(n, dtype=bool) for n in whole.widths[1:]])
    assert slim.widths == (512, 392, 288, 1)
    assert [len(keep) for keep in kept] == [392, 288, 1]
