"""Generator forms: what they enclose, what they bound, and how phases enter them."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.dual import Duals, backward, lines
from relaxations.bounds.zonotope import Zonotope, zonotope
from tests.unit.relaxations.nodes import Node

SEEDS = range(40)


def bands(node: Node, duals: Duals) -> list[np.ndarray]:
    """The slopes that a backward pass without phases has used, of its first row."""
    free = lines(node.frame, (None, None), np)
    chosen = backward(node.network, node.target, node.frame, free, duals._replace(multipliers=(None, None)), np)[2]
    return [slope[0] for _, slope, _ in chosen]


def made(node: Node, slopes: list[np.ndarray], shifts=()) -> Zonotope:
    bounds = [l[0] for l in node.frame.lower], [u[0] for u in node.frame.upper]
    box = node.frame.mid, node.frame.rad
    return zonotope(node.network, node.target, node.duals.weights[0], box, bounds, slopes, shifts)


def symbols(node: Node, form: Zonotope, slopes: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The values that the symbols have at an input."""
    seen, _ = node.network.preactivations(x[None])
    e = [(x - node.frame.mid) / np.where(node.frame.rad > 0, node.frame.rad, 1)]
    for z, l, u, s in zip(seen, node.frame.lower, node.frame.upper, slopes):
        free = np.flatnonzero((l[0] < 0) & (u[0] > 0))
        half = np.maximum(-s * l[0], (1 - s) * u[0])[free] / 2
        e.append((np.maximum(z[0], 0) - s * z[0])[free] / half - 1)
    return np.concatenate(e)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_the_slopes_of_a_backward_pass_the_form_has_its_bound(seed: int) -> None:
    node = Node(seed)
    for duals in (node.duals, node.crown_duals(node.duals.weights)):
        free = lines(node.frame, (None, None), np)
        duals = duals._replace(multipliers=(None, None))
        bound = backward(node.network, node.target, node.frame, free, duals, np)[0][0]
        form = made(node, bands(node, duals))
        assert form.offset - np.abs(form.form).sum() == pytest.approx(bound, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_at_every_input_the_symbols_are_in_their_range_and_the_forms_are_exact(seed: int) -> None:
    node, rng = Node(seed), np.random.default_rng(seed)
    slopes = [rng.uniform(0, 1, size=n) for n in node.sizes[1:]]
    stable = [
        np.where(l[0] >= 0, 1.0, np.where(u[0] <= 0, 0.0, s))
        for l, u, s in zip(node.frame.lower, node.frame.upper, slopes)
    ]
    shifts = [(k, int(rng.integers(n)), float(rng.normal())) for k, n in enumerate(node.sizes[1:])]
    form = made(node, slopes, shifts)
    for x in rng.uniform(node.lower, node.upper, size=(50, 2)):
        e = symbols(node, form, stable, x)
        assert np.abs(e).max() <= 1 + 1e-9
        seen, values = node.network.preactivations(x[None])
        unstable = [z[0][(l[0] < 0) & (u[0] > 0)] for z, l, u in zip(seen, node.frame.lower, node.frame.upper)]
        np.testing.assert_allclose(form.rows @ e + form.constant, np.concatenate(unstable), atol=1e-9)
        row = float(node.duals.weights[0] @ values[0]) + sum(shift * seen[k][0][i] for k, i, shift in shifts)
        assert form.form @ e + form.offset == pytest.approx(row, abs=1e-9)


def test_forms_do_not_depend_on_symbols_of_their_own_layer_or_later_ones() -> None:
    node = Node(3)
    form = made(node, bands(node, node.duals))
    for k, (first, last) in enumerate(zip(form.starts, form.starts[1:])):
        assert not form.rows[first:last, form.inputs + form.starts[k] :].any()
