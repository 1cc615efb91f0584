"""Networks without idle neurons: the same function wherever they are idle, and structured maps cut where it pays."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from relaxations.lowering import lower
from relaxations.maps.linear import LinearMap
from relaxations.network import Layer, ReluNetwork
from relaxations.slimming import slimmed
from specs.graph.ops import Add, Conv, MatMul, Relu, Reshape
from specs.loading.graph_builder import GraphBuilder

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


def images() -> ReluNetwork:
    """Two convolutions and a dense layer, with skips around the second one; biases decide which neurons are idle."""
    rng = np.random.default_rng(7)
    conv, same = Conv((1, 1), (0, 0, 0, 0), (1, 1)), Conv((1, 1), (1, 1, 1, 1), (1, 1))
    first, second, last = (rng.normal(size=s).astype(np.float32) for s in ((3, 2, 3, 3), (3, 3, 3, 3), (588, 5)))
    builder = GraphBuilder()
    value = builder.add(Relu(), builder.add(conv, builder.input("x", (1, 2, 16, 16)), builder.constant(first)))
    added = builder.add(Add(), value, builder.add(same, value, builder.constant(second)))
    flat = builder.add(Reshape((1, 588)), builder.add(Relu(), added))
    hidden = builder.add(Relu(), builder.add(MatMul(), flat, builder.constant(last)))
    out = builder.add(MatMul(), hidden, builder.constant(np.ones((5, 2), dtype=np.float32)))
    return lower(builder.build(("x",), (out,)))


@pytest.mark.parametrize(("share", "cut"), [(0.6, True), (0.1, False)])
def test_structured_maps_are_cut_where_many_neurons_are_idle(share: float, cut: bool) -> None:
    network = images()
    assert any(isinstance(weight, LinearMap) for layer in network.layers for _, weight in layer.terms)
    rng = np.random.default_rng(1)
    idle = [rng.random(n) < share for n in network.widths[1:]]
    layers = (Layer(z.terms, np.where(mask, -1e4, z.bias)) for z, mask in zip(network.layers, idle, strict=True))
    whole = ReluNetwork(network.input_size, tuple(layers), network.output)
    slim, _, kept = slimmed(whole, whole.output, idle)
    assert [len(keep) < n for keep, n in zip(kept, whole.widths[1:], strict=True)][:2] == [cut, cut]
    structured = any(isinstance(weight, LinearMap) for layer in slim.layers for _, weight in layer.terms)
    assert structured != cut
    points = rng.normal(size=(20, whole.input_size))
    assert slim.evaluate(points) == pytest.approx(whole.evaluate(points), abs=1e-9)
    for seen, z, keep in zip(slim.preactivations(points)[0], whole.preactivations(points)[0], kept, strict=True):
        assert seen == pytest.approx(z[:, keep], abs=1e-9)
