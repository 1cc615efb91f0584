"""The linear program's relaxed attack: optimal by another formulation, valid against the model, and executable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from specs.loading import load_model
from tests.triangle_program import solve_triangle
from tests.unit.verifier.engine.made import made
from tests.unit.verifier.engine.test_relaxed_files import exact, judged, subject_of, unproved
from verifier.engine.deadline import Deadline
from verifier.engine.linear import (
    LEAST_SECONDS,
    MOST_SECONDS,
    Region,
    climb_from_optimum,
    linear_attack,
    open_boxes,
    open_nodes,
    possible,
    seconds_kept,
)
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.phases.group import Group
from verifier.engine.phases.moments import query_of
from verifier.engine.relaxed import relaxed_attack
from verifier.relaxed.extrapolation import extrapolate
from verifier.relaxed.validate import Subject

pytest.importorskip("highspy")

LONG = Deadline(np.inf)


def ignored(case: int, x: np.ndarray) -> bool:
    return False


def is_executable(found: RelaxedAttack, subject: Subject, model: Path) -> None:
    """Its score is that of the extrapolated network at its input."""
    action, graph = found.action, load_model(model)
    units = action.content.units
    query = Query(subject.network, subject.rows, action.lower, action.upper, tuple(zip(units.lower, units.upper)))
    made_of = extrapolate(graph, query, action.content.point)
    y = made_of.graph.evaluate_flat(made_of.action.x)
    rows = subject.rows
    score = float((-(rows.x @ made_of.action.x + rows.y @ np.asarray(y, dtype=float) + rows.constant)).min())
    assert score == pytest.approx(-found.bound, rel=1e-7, abs=1e-7)


def test_of_a_box_it_is_the_optimum_of_the_triangle_relaxation(tmp_path: Path) -> None:
    stood = 0
    for seed in range(400, 440):
        one = made(seed, tmp_path)
        [region, *_] = [*open_boxes([one.case()])] or [None]
        if region is None:
            continue
        best, _ = solve_triangle(region.query)
        found = linear_attack(open_boxes([one.case()]), LONG, ignored)
        assert (found is None) == (best < 0), (seed, best)
        if found is None:
            continue
        assert -found.bound == pytest.approx(best, rel=1e-6, abs=1e-6)
        crown = relaxed_attack([one.case()])
        assert found.bound >= crown.bound - 1e-6 * (1 + abs(crown.bound))  # the triangles are inside the lines
        subject = Subject(one.explorer.network, one.explorer.rows, exact(one.lower, one.upper))
        checked = judged(found, subject)
        assert checked.valid, checked.checks
        assert checked.score == pytest.approx(-found.bound)
        assert checked.real == pytest.approx(-found.value)
        assert all(exploit.cost > 0 and exploit.gap > 0 for exploit in found.exploits)
        is_executable(found, subject, one.question.write(tmp_path)[0])
        stood += 1
    assert stood >= 10


def test_of_a_node_it_is_the_optimum_under_the_splits(tmp_path: Path) -> None:
    stood = split = 0
    for one, search in unproved(tmp_path):
        groups = [Group((0,), {0: search})]
        found = linear_attack(open_nodes(groups), LONG, ignored)
        nodes = sorted(search.unproved, key=lambda node: node.bound)
        optima = [solve_triangle(query_of(search.bounding, node, 0))[0] for node in nodes if feasible(search, node)]
        if found is None:
            assert all(best < 1e-6 for best in optima)
            continue
        splits = {node.splits: node for node in nodes}
        names = search.tree.names
        told = {tuple((k, int(names[k][i]), s) for k, i, s in own): node for own, node in splits.items()}
        best, _ = solve_triangle(query_of(search.bounding, told[found.action.splits], 0))
        assert -found.bound == pytest.approx(best, rel=1e-6, abs=1e-6)
        subject = subject_of(one)
        checked = judged(found, subject)
        assert checked.valid, checked.checks
        (tmp_path / "model.onnx").write_bytes(one.model)
        is_executable(found, subject, tmp_path / "model.onnx")
        stood += 1
        split += bool(found.action.splits)
    assert stood >= 10
    assert split >= 3


def feasible(search, node) -> bool:
    """Whether the node's relaxation has any action."""
    try:
        solve_triangle(query_of(search.bounding, node, 0))
    except AssertionError:
        return False
    return True


def test_no_time_is_no_attack(tmp_path: Path) -> None:
    assert linear_attack(open_boxes([made(401, tmp_path).case()]), Deadline.after(-1.0), ignored) is None


def test_what_is_kept_of_a_limit() -> None:
    assert seconds_kept(1e6) == MOST_SECONDS
    assert seconds_kept(20.0) == pytest.approx(2.0)
    assert seconds_kept(9.9 * LEAST_SECONDS) == 0


def test_programs_need_a_solver_and_a_network_that_is_not_too_large(tmp_path: Path, monkeypatch) -> None:
    network = made(401, tmp_path).explorer.network
    assert possible(network)
    monkeypatch.setattr("verifier.engine.linear.MOST_COEFFICIENTS", 3)
    assert not possible(network)
    monkeypatch.undo()
    monkeypatch.setattr("verifier.engine.linear.find_spec", lambda name: None)
    assert not possible(network)


def test_rows_that_have_to_fail_together_are_climbed_to() -> None:
    """Each output is x/2 + relu(x)/2 of its input; only near one point are all three what they have to be."""
    target = np.array([0.25, -0.5, 0.125])
    output = Layer(((0, np.eye(3) / 2), (1, np.eye(3) / 2)), np.zeros(3))
    network = ReluNetwork(3, (Layer(((0, np.eye(3)),), np.zeros(3)),), output)
    aim = target / 2 + np.maximum(target, 0) / 2
    rows = Rows(np.zeros((6, 3)), np.vstack([np.eye(3), -np.eye(3)]), np.concatenate([-aim, aim]) - 1e-4)
    query = Query.over_box(network, rows, -np.ones(3), np.ones(3))
    regions = [Region(0, query, (), network, [np.arange(3)], query.ranges)]
    seen: list[np.ndarray] = []

    def candidate(case: int, x: np.ndarray) -> bool:
        seen.append(x)
        return bool(query.score(x[None])[0] > 0)

    assert climb_from_optimum(iter(regions), LONG, candidate)
    assert seen[-1] == pytest.approx(target, abs=3e-4)
    assert not climb_from_optimum(iter(regions), Deadline.after(-1.0), candidate)
