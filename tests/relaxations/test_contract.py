"""The contract, for every relaxation that is registered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from relaxations.bounds.relaxed import Interval
from relaxations.registry import GROUP, OWN, Registry, relaxations
from specs.errors import CertifyError
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


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package that brings a relaxation of a name."""

    def install(name: str) -> None:
        info = tmp_path / "theirs-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = theirs:Mine\n", encoding="utf-8")
        code = "from relaxations.bounds.relaxed import Interval\n\n\nclass Mine(Interval):\n    pass\n"
        (tmp_path / "theirs.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "theirs", raising=False)

    return install


def test_an_installed_package_brings_its_own(installed: Callable[[str], None]) -> None:
    installed("mine")
    registry = Registry(OWN, GROUP)
    assert registry.names() == (*OWN, "mine")
    assert issubclass(registry.get("mine"), Interval)


def test_an_installed_package_cannot_take_a_name_that_is_taken(installed: Callable[[str], None]) -> None:
    installed("crown")
    with pytest.raises(CertifyError, match="theirs brings a relaxation 'crown'"):
        Registry(OWN, GROUP).names()
