"""The first-order method: what it proves is true whatever its steps did, and little less than the optimum."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lifting import Lifting
from relaxations.lp.safe_dual import random_multipliers
from relaxations.multipliers import Multipliers
from relaxations.sdp import first_order, interior_point
from relaxations.sdp import products as products_
from relaxations.sdp.first_order import Scales, proved, solve
from relaxations.sdp.linear_start import begin_linear, squared
from relaxations.sdp.products import maps_of, neurons, places
from relaxations.sdp.shor import Shor
from tests.relaxations.queries import degenerate_queries, exact_optimum, inputs_of, random_network, random_query

pytest.importorskip("jax")

ROUNDING = 1e-9  # of the values compared: thousands of float64 operations on numbers of that size
SINGLE = 1e-4  # the same of float32
SEEDS = range(10)
SIZES = {"inputs": 3, "neurons": 9, "layers": 2, "rows": 3}


def one_row(inputs: int, hidden: int, seed: int) -> Query:
    """A difference of two outputs of a network of two hidden layers on a box around 0."""
    network = random_network(np.random.default_rng(seed), [inputs, hidden, hidden], 2)
    rows = Rows(np.zeros((1, inputs)), np.array([[1.0, -1.0]]), np.zeros(1))
    return Query.over_box(network, rows, np.full(inputs, -0.3), np.full(inputs, 0.3))


def random_dual(lifting: Lifting, seed: int) -> Multipliers:
    """Products, backs and squares of any kind, no linear multipliers."""
    dual = Shor(lifting.query).some_dual(np.random.default_rng(seed))
    none = lifting.split(np.zeros(len(lifting.up)))
    return replace(dual, positive=none, above=none, chord=none)


def joined(parts: tuple[np.ndarray, ...] | None) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(parts or ())])


@pytest.mark.parametrize("seed", SEEDS)
def test_products_are_those_of_the_matrix(seed: int) -> None:
    query = random_query(seed)
    lifting = Lifting.of(query)
    dual, maps = random_dual(lifting, seed), maps_of(lifting)
    assert maps is not None
    at, own = places(lifting), neurons(lifting)
    assert np.flatnonzero(maps.symbols).tolist() == sorted(at.tolist())

    def everywhere(values: np.ndarray, where: np.ndarray, like: Any) -> np.ndarray:
        out = np.zeros(len(like), np.float32)
        out[where] = values
        return out

    v = np.random.default_rng(seed).normal(size=(4, lifting.size))
    vectors = np.stack([everywhere(row, at, maps.symbols) for row in v])
    found, _ = maps.times(
        vectors,
        dual.weights.astype(np.float32),
        everywhere(joined(dual.product) * lifting.up * lifting.low, own, maps.half),
        everywhere(joined(dual.back) * lifting.low**2, own, maps.half),
        everywhere(lifting.of_symbols(np.asarray(dual.squares)), at, maps.symbols),
    )
    matrix = lifting.quadratic_form(dual)
    assert np.asarray(found)[:, at] == pytest.approx(v @ matrix, abs=SINGLE * (1 + np.abs(matrix).sum()))
    rest = np.delete(np.asarray(found), at, axis=1)
    assert not rest.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_linear_dual_is_worth_the_same_as_one_of_squares(seed: int) -> None:
    """The identities of ``linear_start``: the same margin, and a matrix that is positive semidefinite."""
    query = random_query(seed)
    shor, rng = Shor(query), np.random.default_rng(seed)
    for _ in range(10):
        linear = random_multipliers(query, rng)
        start = squared(shor.lifting, linear)
        size = 1 + abs(start.proved)
        assert start.proved == pytest.approx(-shor.bound(linear), abs=ROUNDING * size)
        assert start.proved == pytest.approx(-shor.bound(start.dual), abs=ROUNDING * size * shor.lifting.size)
        assert not joined(start.dual.positive).any()
        assert (start.diagonal >= 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_it_proves_is_true_and_no_less_than_what_it_began_with(seed: int) -> None:
    query = random_query(seed, **SIZES)
    shor = Shor(query)
    found, truth = solve(shor.lifting, steps=100), -float(exact_optimum(query))
    size = 1 + abs(truth) + abs(found.proved)
    assert found.proved <= truth + ROUNDING * size
    assert found.proved >= found.began == begin_linear(shor.lifting).proved
    assert -shor.bound(found.dual) == pytest.approx(found.proved, abs=ROUNDING * size * shor.lifting.size)
    scores = query.score(inputs_of(query, np.random.default_rng(seed), 200))
    assert -found.proved >= scores.max() - ROUNDING * size
    assert found.dual.weights.sum() == pytest.approx(1)
    assert (joined(found.dual.back) >= 0).all()
    assert found.dual.squares is not None
    assert (found.dual.squares[1:] >= 0).all()


@pytest.mark.parametrize(("inputs", "hidden"), [(4, 8), (8, 20), (16, 40)])
def test_it_comes_close_to_the_optimum(inputs: int, hidden: int) -> None:
    for seed in range(2):
        lifting = Lifting.of(one_row(inputs, hidden, seed))
        best, found = interior_point.solve(lifting), solve(lifting)
        assert best.finished
        assert found.proved <= best.primal + 1e-3 * (1 + abs(best.primal))
        assert best.proved - found.proved <= 0.02 * abs(best.proved)
        assert best.proved - found.proved <= 0.1 * (best.proved - found.began)


@pytest.mark.parametrize("query", list(degenerate_queries()))
def test_it_ends_where_there_is_next_to_nothing_to_relax(query: Query) -> None:
    found = solve(Lifting.of(query), steps=50)
    scores = query.score(inputs_of(query, np.random.default_rng(0), 100))
    assert np.isfinite(found.proved)
    assert -found.proved >= scores.max() - ROUNDING * (1 + abs(found.proved))
    assert found.proved >= found.began


@pytest.mark.parametrize("seed", SEEDS)
def test_squares_that_are_wrong_are_made_good(seed: int) -> None:
    """As if the eigenvalue had been wrong, by anything: the margin proved is still true."""
    query, rng = random_query(seed, **SIZES), np.random.default_rng(seed)
    shor, truth = Shor(query), -float(exact_optimum(query))
    lifting = shor.lifting
    good = solve(lifting, steps=50).dual
    assert good.squares is not None
    diagonal = np.full(lifting.size, 1.0)
    for wrong in (0.0, 1e-6, 1e-3, 1.0, 100.0):
        squares = lifting.of_symbols(good.squares) - wrong * rng.exponential(size=lifting.size)
        squares[1:] = np.maximum(squares[1:], 0)
        promised = -float(squares.sum())
        found = proved(lifting, replace(good, squares=lifting.of_inputs(squares)), Scales(diagonal, 0.0))
        assert found is not None
        dual, margin = found
        assert margin <= min(truth, promised) + ROUNDING * (1 + abs(truth))
        assert -shor.bound(dual) == pytest.approx(margin, abs=ROUNDING * (1 + abs(margin)) * lifting.size)
        np.linalg.cholesky(lifting.quadratic_form(dual))


class Optimist(first_order._Ascent):
    """Believes in eigenvalues that are larger than they are."""

    def _steps(self, count: int, rate: float, mu: float) -> None:
        super()._steps(count, rate, mu)
        now = self.state.now
        self.state = self.state._replace(now=now._replace(squares=now.squares - 5.0))
        self.estimate += 5.0 * self.total


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_eigenvalue_proves_nothing_false(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_order, "_Ascent", Optimist)
    query = random_query(seed, **SIZES)
    truth = -float(exact_optimum(query))
    found = solve(Lifting.of(query), steps=100)
    assert found.proved <= truth + ROUNDING * (1 + abs(truth))
    assert found.proved >= found.began


@pytest.fixture(scope="module")
def warm() -> Lifting:
    """A lifting whose program has been compiled."""
    lifting = Lifting.of(one_row(16, 40, 0))
    solve(lifting, steps=25)
    return lifting


def test_a_limit_of_time_is_obeyed(warm: Lifting) -> None:
    for seconds in (0.0, 0.5, 4.5):
        began = time.monotonic()
        found = solve(warm, seconds, steps=10**6)
        assert time.monotonic() - began < seconds + 2
        assert found.proved >= found.began
        assert not found.finished


def test_it_stops_once_enough_is_proved(warm: Lifting) -> None:
    whole = solve(warm, steps=1000)
    wanted = (whole.began + whole.proved) / 2
    found = solve(warm, enough=wanted, steps=1000)
    assert wanted < found.proved
    assert found.finished
    assert found.steps < whole.steps / 2


def test_what_is_not_promised_is_not_tried(warm: Lifting, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a proof was tried")

    monkeypatch.setattr(first_order, "proved", never)
    found = solve(warm, least=1e6, steps=50)
    assert found.proved == found.began


def test_it_falls_back_where_weights_or_matrices_are_too_large(warm: Lifting, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(products_, "to_jax", lambda network: None)
        assert solve(warm).steps == 0
    monkeypatch.setattr(first_order, "LARGEST", 10)
    found = solve(warm)
    assert found.steps == 0
    assert found.proved == found.began


def test_large_queries_are_solved_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    query = one_row(8, 20, 3)
    best = Shor(query).solve()
    monkeypatch.setattr("relaxations.sdp.shor.FIRST_ORDER", 10)
    found = Shor(query).solve()
    assert found.action is None
    assert found.dual is not None
    assert found.value == Shor(query).bound(found.dual)
    assert best.attained - 1e-3 <= found.value <= best.value + 0.02 * abs(best.value)
