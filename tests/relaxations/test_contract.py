"""The contract, for every relaxation that is registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from relaxations.bounds.relaxed import Interval
from relaxations.registry import OWN, Registry, relaxations
from tests.relaxations.contract import check_relaxation
from tests.relaxations.queries import degenerate_queries, random_queries

CASES = 10_000


class Plan(NamedTuple):
    """How large the queries are, how many, and the tolerance of the solver."""

    count: int = 100
    sizes: Mapping[str, int] = MappingProxyType({})
    tolerance: float = 1e-7


TINY = {"inputs": 2, "neurons": 3, "layers": 2, "rows": 2}
PLANS = {
    "sdp": Plan(25, {"inputs": 2, "neurons": 6, "layers": 2, "rows": 3}, 1e-4),
    "sos": Plan(25, TINY, 1e-4),
    "smt": Plan(25, TINY, 1e-6),
}


@pytest.mark.parametrize("name", relaxations.names())
def test_the_contract_is_kept(name: str, record_property: Any) -> None:
    plan = PLANS.get(name, Plan())
    queries = random_queries(plan.count, **plan.sizes)
    if name == "enumerate":  # of one point: a list of all inputs of a larger box has no end
        queries = (replace(query, upper=query.lower) for query in queries)
    seen = check_relaxation(relaxations.get(name), queries, CASES // plan.count, 10, plan.tolerance)
    assert seen.embedded >= CASES
    assert seen.bounded >= CASES
    assert seen.solved == plan.count
    record_property("largest gap", max(seen.gaps, default=0.0))


@pytest.mark.parametrize("name", relaxations.names())
def test_it_is_kept_where_there_is_next_to_nothing_to_relax(name: str) -> None:
    plan = PLANS.get(name, Plan())
    seen = check_relaxation(relaxations.get(name), degenerate_queries(), tolerance=plan.tolerance)
    assert max(seen.gaps, default=0.0) <= plan.tolerance, "every one of these questions is linear"


def test_names_are_taken_once() -> None:
    registry = Registry({"ibp": OWN["ibp"]})
    with pytest.raises(ValueError, match="already"):
        registry.register("ibp")(registry.get("ibp"))
    with pytest.raises(ValueError, match="known are ibp"):
        registry.get("ipb")
    kind = registry.get("ibp")
    assert registry.register("mine")(kind) is kind
    assert registry.get("mine") is kind
    assert registry.names() == ("ibp", "mine")
    assert kind is Interval
