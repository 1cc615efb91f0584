"""Models as a relaxation: exact optima against the oracle and z3, weak duality, time, what is declined."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from relaxations.network import Layer
from relaxations.smt import cvc5_solver, z3_solver
from relaxations.smt.answers import Contradicted, Satisfied
from relaxations.smt.bounds import root_ranges
from relaxations.smt.encode import exact
from relaxations.smt.formula import at_least, network
from relaxations.smt.relaxed import MOST_UNSTABLE, Models
from specs.errors import CertifyError
from tests.oracle import minimum_of_max
from tests.relaxations.smt.questions import oracle_layers, oracle_rows, random_query

SIZES = ([1, 6, 2], [2, 6, 6, 2], [3, 8, 6, 1], [2, 5, 5, 5, 3], [4, 8, 2])


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_optimum_is_the_oracles_exactly(sizes: list[int], rows: int) -> None:
    """Bound, attained value and truth are one rational number."""
    query = random_query(sizes, rows, rows)
    models = Models(query)
    solution = models.solve(60)
    least, _ = minimum_of_max(oracle_layers(query), query.lower, query.upper, oracle_rows(query))
    assert solution.finished
    assert models.exact_bound(solution.dual) == -least == models.question.score(solution.action)
    assert solution.value >= solution.attained
    assert solution.gap <= np.spacing(abs(solution.value))
    assert models.outside(solution.action) == 0


@pytest.mark.parametrize("seed", range(3))
def test_z3_finds_the_same_optimum(seed: int) -> None:
    """The least t that all rows stay below somewhere, in a formula of its own."""
    query = random_query([2, 4, 4, 1], seed, 2)
    models = Models(query)
    assertions = network(models.question, root_ranges(models.question))
    bounded = {name: formula for name, formula in assertions.items() if not name.startswith("row ")}
    for r in range(2):
        row = assertions[f"row {r}"]
        bounded[f"row {r}"] = at_least({**row.terms, "t": Fraction(1)}, row.constant)
    found = z3_solver.minimise(bounded, {"t": Fraction(1)}, 60)
    assert isinstance(found, tuple)
    assert models.exact_bound(models.solve(60).dual) == -found[0]


@pytest.mark.parametrize("seed", range(10))
def test_no_dual_is_below_any_score(seed: int) -> None:
    """(S1), (S2) and (W) without a tolerance: scores are exact, bounds are rounded upward."""
    query = random_query([2, 6, 5, 2], seed, 2)
    models = Models(query)
    rng = np.random.default_rng(seed)
    best = -min(minimum_of_max(oracle_layers(query), query.lower, query.upper, oracle_rows(query))[:1])
    for _ in range(30):
        dual = models.some_dual(rng)
        assert models.exact_bound(dual) >= best
        assert Fraction(models.bound(dual)) >= best
    for x in rng.uniform(query.lower, query.upper, (20, 2)):
        action = models.embed(x)
        assert models.outside(action) == 0
        # Rounding of a few dozen float64 operations on numbers of size 10.
        assert models.score(action) == pytest.approx(query.score(x[None])[0], abs=1e-12)
        assert models.round(action, rng)[0] == pytest.approx(x, abs=0)


def test_outside_is_a_distance() -> None:
    models = Models(random_query([2, 3, 1], 0))
    assert models.outside(exact(np.array([1.25, 0.0]))) == 0.25
    assert models.outside(exact(np.array([0.0, -3.0]))) == 2.0


def test_without_time_the_bound_still_holds() -> None:
    query = random_query([4, 14, 14, 2], 0, 2)
    models = Models(query)
    start = time.monotonic()
    solution = models.solve(0.3)
    assert time.monotonic() - start < 3.0
    assert not solution.finished
    inputs = np.random.default_rng(0).uniform(query.lower, query.upper, (20_000, 4))
    assert solution.value >= max(query.score(inputs).max(), solution.attained)


def test_large_queries_and_signs_are_declined_with_a_reason() -> None:
    assert Models.declines(random_query([2, 6, 1], 0)) == ""
    assert f"up to {MOST_UNSTABLE}" in Models.declines(random_query([6, 40, 40, 1], 0))
    query = random_query([2, 3, 1], 0)
    layer = query.network.layers[0]
    signs = replace(query.network, layers=(Layer(layer.terms, layer.bias, sign=True),))
    assert "signs" in Models.declines(replace(query, network=signs))


@pytest.mark.parametrize(
    ("module", "solver", "package"),
    [("z3", z3_solver.solve, "z3-solver"), ("cvc5", cvc5_solver.solve, "cvc5")],
)
def test_a_missing_solver_is_one_line(
    module: str, solver: object, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CertifyError) as raised:
        solver({}, 1.0)
    assert f"pip install {package}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_highs_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(CertifyError, match="pip install highspy"):
        Models(random_query([2, 3, 1], 0)).solve(1.0)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_cvc5_agrees_and_its_proof_is_kept_as_a_foreign_one(seed: int) -> None:
    pytest.importorskip("cvc5")
    query = random_query([2, 4, 3, 1], seed)
    best = Models(query).question.score(Models(query).solve(60).action)
    for shift, reachable in ((Fraction(-1, 1000), True), (Fraction(1, 1000), False)):
        question = Models(query).question.above(best + shift)
        assertions = network(question, root_ranges(question))
        answer = cvc5_solver.solve(assertions, 60)
        if reachable:
            assert isinstance(answer, Satisfied)
            assert isinstance(z3_solver.solve(assertions, 60), Satisfied)
        else:
            assert isinstance(answer, cvc5_solver.ForeignProof)
            assert answer.format == "alethe"
            assert "(step" in answer.text
            assert "not checked here" in answer.label
            assert isinstance(z3_solver.solve(assertions, 60), Contradicted)
