"""The compiled ascent finds what the ascent in NumPy finds, whatever rows are padded and layers are split."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.compiled import (
    LEAST_ROWS,
    Program,
    compile_step,
    outline,
    padded,
    padded_rows,
    placed,
    shortened,
)
from relaxations.bounds.dual import Duals, Frame, lines
from relaxations.network import Layer, ReluNetwork
from tests.unit.relaxations.ascents import Question, bounds, dense_network, image_network, question
from tests.unit.relaxations.graphs import weight

jax = pytest.importorskip("jax")

RATES = Rates(0.2, 0.3, 0.95, 0.5)
PROGRAMS: dict[object, Program] = {}  # compiling takes a second each


def program(asked: Question, rates: Rates = RATES) -> tuple[Program, ReluNetwork]:
    network, target, frame, drawn, duals = asked
    short = shortened(network, target, len(drawn.free))
    device = jax.devices("cpu")[0]
    batch = padded(frame, drawn, duals)
    key = outline(short), outline(batch[:-1]), rates.weights
    if key not in PROGRAMS:
        PROGRAMS[key] = compile_step(short, batch, rates, device)
    return PROGRAMS[key], placed(short, device)


@pytest.mark.parametrize(("split", "rates"), [((), RATES), ((1,), RATES._replace(weights=0.0)), ((0, 1, 2), RATES)])
def test_both_ascents_find_the_same(split: tuple[int, ...], rates: Rates) -> None:
    asked = question(dense_network(), 7, split, 3)
    run, network = program(asked, rates)
    found = run.ascend(network, padded(*asked[2:]), 12, rates, np.inf)
    expected = bounds(asked, ascend(*asked, 12, rates))
    np.testing.assert_allclose(bounds(asked, found), expected, atol=1e-3)
    assert (expected > bounds(asked, asked[4]) + 1e-2).any()  # there was something to gain
    assert (found.weights != asked[4].weights).any() == (rates.weights > 0)


def test_one_step_is_the_same_to_rounding() -> None:
    asked = question(dense_network(), 8, (0, 2), 3)
    run, network = program(asked)
    found, expected = run.ascend(network, padded(*asked[2:]), 1, RATES, np.inf), ascend(*asked, 1, RATES)
    for ours, theirs in zip(jax.tree_util.tree_leaves(expected), _kept(found, expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def _kept(found: Duals, expected: Duals) -> list[np.ndarray]:
    kept = tuple(None if e is None else f for f, e in zip(found.multipliers, expected.multipliers))
    return jax.tree_util.tree_leaves(found._replace(multipliers=kept))


@pytest.mark.parametrize("depth", [1, 2])
def test_an_image_network_gains_as_much(depth: int) -> None:
    """Adam steps as far along a gradient of rounding errors as along any other: gains agree, duals need not."""
    asked = question(image_network(), 9, (0,), depth)
    run, network = program(asked)
    start = bounds(asked, asked[4])
    found = bounds(asked, run.ascend(network, padded(*asked[2:]), 8, RATES, np.inf)) - start
    expected = bounds(asked, ascend(*asked, 8, RATES)) - start
    assert expected.min() > 0
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_padding_does_not_disturb() -> None:
    """The first three rows come out bit for bit, alone and with five others, and nothing is asked of copies."""
    whole = question(dense_network(), 8, (1,), 3)
    few = jax.tree_util.tree_map(lambda a: a[:3], (whole[2]._replace(mid=0, rad=0)[2:], *whole[3:]))
    asked: Question = (*whole[:2], Frame(whole[2].mid, whole[2].rad, *few[0]), few[1], few[2])
    run, network = program(whole)
    alone = run.ascend(network, padded(*asked[2:]), 6, RATES, np.inf)
    together = run.ascend(network, padded(*whole[2:]), 6, RATES, np.inf)
    assert len(alone.weights) == 3
    for a, b in zip(jax.tree_util.tree_leaves(alone), jax.tree_util.tree_leaves(together), strict=True):
        np.testing.assert_array_equal(a, b[:3])


def test_lines_that_all_rows_share() -> None:
    apart = question(dense_network(), 7, (), 3)
    frame = apart[2]._replace(lower=tuple(l[:1] for l in apart[2].lower), upper=tuple(u[:1] for u in apart[2].upper))
    shared: Question = (*apart[:2], frame, lines(frame, (None,) * 3, np), apart[4])
    run, network = program(shared)
    assert run is program(apart)[0]
    found = bounds(shared, run.ascend(network, padded(*shared[2:]), 6, RATES, np.inf))
    np.testing.assert_allclose(found, bounds(shared, ascend(*shared, 6, RATES)), atol=1e-3)


def test_the_arguments_are_left_alone() -> None:
    asked = question(dense_network(), 8, (1,), 3)
    before = jax.tree_util.tree_map(np.copy, (asked[3], asked[4]))
    run, network = program(asked)
    run.ascend(network, padded(*asked[2:]), 6, RATES, np.inf)
    jax.tree_util.tree_map(np.testing.assert_array_equal, before, (asked[3], asked[4]))


def test_it_stops_where_every_real_row_is_enough() -> None:
    asked = question(dense_network(), 3, (1,), 3)
    run, network = program(asked)
    enough = float(bounds(asked, asked[4]).min()) - 1
    found = run.ascend(network, padded(*asked[2:]), 50, RATES, enough)
    for ours, theirs in zip(found.slopes, asked[4].slopes):
        np.testing.assert_array_equal(ours, theirs)  # the first duals were good enough for all


def test_rows_are_padded_to_powers_of_two() -> None:
    assert [padded_rows(n) for n in (1, LEAST_ROWS, 9, 64, 65, 300)] == [8, 8, 16, 64, 128, 512]
    asked = question(dense_network(), 9, (1,), 3)
    batch = padded(*asked[2:])
    assert {len(a) for a in jax.tree_util.tree_leaves((batch.lines, batch.duals))} == {16}
    np.testing.assert_array_equal(batch.duals.weights[9:], np.repeat(asked[4].weights[8:9], 7, axis=0))


def test_an_outline_tells_structures_apart() -> None:
    one, same = dense_network(), dense_network()
    assert outline(one) == outline(same)
    assert hash(outline(image_network())) == hash(outline(image_network()))
    wider = ReluNetwork(6, one.layers, Layer(((3, weight(5, 10)),), weight(5))).astype(np.float32)
    elsewhere = ReluNetwork(6, one.layers, Layer(((2, weight(4, 9)),), weight(4))).astype(np.float32)
    assert len({outline(one), outline(wider), outline(elsewhere), outline(image_network())}) == 4
