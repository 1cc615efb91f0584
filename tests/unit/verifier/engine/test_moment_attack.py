"""Moments of the semidefinite relaxation as relaxed attacks: valid, at its optimum, and nearer to a proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.lifting import Lifting
from relaxations.lp.triangle import Triangle
from relaxations.sdp.shor import Shor
from tests.oracle import number_of_regions
from tests.relaxations.queries import exact_optimum, random_query
from tests.soundness.deciding import decide_files
from tests.strategies import question
from tests.unit.verifier.engine.test_relaxed_files import exact, judged
from tests.unit.verifier.engine.test_unknown import judged as checked_file
from verifier.engine.linear import Region
from verifier.engine.moment_attack import relaxed_attack_by_moments
from verifier.relaxed.contents import Moments
from verifier.relaxed.validate import Subject

pytest.importorskip("scipy")

SOLVER = 1e-3  # of a value: what the interior point's moments may miss the optimum by


def region_of(query: Query) -> Region:
    return Region(0, query, (), query.network, [np.arange(len(l)) for l, _ in query.ranges], query.ranges)


def placed(query: Query, at: float) -> Query:
    """The rows shifted so that the relaxation's value is ``at`` times one and its size."""
    value = Shor(query).solve().value
    constant = query.rows.constant + value - at * (1 + abs(value))
    return replace(query, rows=replace(query.rows, constant=constant))


def test_moments_are_valid_and_attain_the_relaxation_s_value() -> None:
    told = 0
    for seed in range(30):
        query = placed(random_query(seed), 0.2)
        solution = Shor(query).solve()
        found = relaxed_attack_by_moments(region_of(query), solution.action.matrix)
        assert found is not None
        assert isinstance(found.action.content, Moments)
        box = exact(query.lower, query.upper)
        assert found.action.tolerance <= 1e-3
        checked = judged(found, Subject(query.network, query.rows, box))
        assert checked.valid, checked.checks
        size = 1 + abs(solution.value)
        assert -found.bound == pytest.approx(solution.attained, abs=1e-9 * size)
        assert -found.bound == pytest.approx(solution.value, abs=SOLVER * size)
        assert -found.bound >= float(exact_optimum(query)) - SOLVER * size
        assert -found.bound <= Triangle(query).solve().value + SOLVER * size
        assert found.value == pytest.approx(-float(query.score(np.array(found.point)[None])[0]))
        told += bool(found.exploits)
        for exploit in found.exploits:
            l, u = (side[exploit.neuron] for side in query.ranges[exploit.layer])
            assert l < 0 < u
            assert exploit.gap > found.action.tolerance * (u - l)
            assert exploit.cost > 0
    assert told >= 10


def test_what_the_relaxation_proves_has_no_moments() -> None:
    for seed in range(10):
        query = placed(random_query(seed), -0.5)
        assert relaxed_attack_by_moments(region_of(query), Shor(query).solve().action.matrix) is None


def test_moments_that_miss_their_constraints_are_not_handed_over() -> None:
    query = placed(random_query(3), 0.5)
    matrix = Shor(query).solve().action.matrix
    assert relaxed_attack_by_moments(region_of(query), matrix) is not None
    broken = matrix.copy()
    at = Lifting.of(query).symbols[0]
    broken[at, at] += 0.5
    assert relaxed_attack_by_moments(region_of(query), broken) is None


@pytest.mark.parametrize("way", ["inputs", "phases"])
def test_a_method_that_ends_unknown_hands_over_its_moments(way: str, tmp_path: Path) -> None:
    """Where they are nearer to a proof than the linear program; the file passes validation."""
    kinds: dict[str, int] = {}
    for seed in range(60):
        q = question(seed, "far")
        if not q.holds or q.kind in ("mixed", "large") or number_of_regions(q.network, q.lower, q.upper) < 8:
            continue
        model, query = q.write(tmp_path)
        outcome = decide_files(
            model,
            query,
            tmp_path / "p.nncert",
            6.0,
            way,
            relaxations=("sdp",),
            moments="first",
            search=way == "phases",
            attack=False,
        )
        if outcome.verdict == "unknown":
            told = checked_file(outcome, model, query, tmp_path)
            kinds[told["kind"]] = kinds.get(told["kind"], 0) + 1
    assert way == "phases" or kinds.get("moments", 0) >= 1
