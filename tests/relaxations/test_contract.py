"""The contract, for every relaxation that is registered."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from relaxations.bounds.relaxed import Interval
from relaxations.registry import OWN, Registry, relaxations
from tests.relaxations.contract import check_relaxation
from tests.relaxations.queries import random_queries

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
    if name in OWN:
        module = OWN[name].partition(":")[0]
        if not _exists(module):
            pytest.skip(f"there is no {module}")
    plan = PLANS.get(name, Plan())
    inputs = CASES // plan.count
    seen = check_relaxation(relaxations.get(name), random_queries(plan.count, **plan.sizes), inputs, 10, plan.tolerance)
    assert seen.embedded >= CASES
    assert seen.bounded >= CASES
    assert seen.solved == plan.count
    record_property("largest gap", max(seen.gaps, default=0.0))


def _exists(module: str) -> bool:
    """Whether the module itself can be found; what it imports is another matter, and an error."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


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
